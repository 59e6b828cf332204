"""From the configuration to a daemon that runs, and to its end."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from ghostd import plugins
from ghostd.code_ports import Index
from ghostd.config.settings import Config
from ghostd.daemon.control import Daemon
from ghostd.daemon.doors import serve
from ghostd.daemon.models import open_models
from ghostd.daemon.projects import open_projects
from ghostd.engine import Frontend, FrontendHost
from ghostd.errors import ConfigError, RootError
from ghostd.gateway.doors import load_dialects
from ghostd.history.service import open_history
from ghostd.index.service import open_index
from ghostd.local.paths import Paths, expand

log = logging.getLogger(__name__)

_DIALECTS_AFTER_S = 2.0
"""The first requests come first."""


@asynccontextmanager
async def running(
    config: Config,
    paths: Paths,
    roots: Sequence[Path] = (),
    config_file: Path | None = None,
    command_line: Callable[[Config], Config] = lambda config: config,
) -> AsyncIterator[Daemon]:
    """A daemon whose every part accepts work while the block runs.

    `roots` are indexed besides the configured ones. Relative paths of the configuration start at the folder of
    `config_file`, which is read again when it changes (and need not exist), with `command_line` over it.

    Raises ConfigError, PortTaken or RootError when it cannot start; a configured root that is missing is logged and
    left out, one of `roots` is an error.
    """
    try:
        file = config_file or paths.config_file
        async with _parts(config, paths, roots, file.absolute(), command_line) as daemon:
            yield daemon
    except BaseExceptionGroup as group:
        raise _cause(group) from None


def _cause(error: BaseException) -> BaseException:
    """What the parts' task groups have wrapped, if it is one error."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


@asynccontextmanager
async def _parts(
    config: Config,
    paths: Paths,
    roots: Sequence[Path],
    config_file: Path,
    command_line: Callable[[Config], Config],
) -> AsyncIterator[Daemon]:
    ports: list[int] = []

    def own_port() -> int:
        return ports[0] if ports else config.http.port

    async with AsyncExitStack() as parts:
        index = await parts.enter_async_context(open_index(paths.indexes, config.index))
        history = await parts.enter_async_context(open_history(paths.cache / "history", config.history, index))
        models = await parts.enter_async_context(open_models(config, config_file, command_line, paths, index, own_port))
        models.engine.syntax = index.soundness
        projects = await parts.enter_async_context(open_projects(config, paths, index, history, models.engine))
        for name in config.frontends:
            host = FrontendHost(
                models.engine,
                index,
                config,
                paths.runtime / f"{name}.sock",
                projects.navigation,
                projects.context,
                projects.suggestions,
                projects.next_edits,
            )
            await parts.enter_async_context(_frontend(name)(host))
        daemon = Daemon(models, projects, paths)
        server = await parts.enter_async_context(serve(config, paths, models, projects, daemon))
        ports.append(server.port)
        parts.push_async_callback(_ended, asyncio.create_task(models.upkeep.run(), name="upkeep"))
        parts.push_async_callback(_ended, asyncio.create_task(load_dialects(_DIALECTS_AFTER_S), name="load dialects"))
        daemon.ollama_url, daemon.warnings = server.ollama_url, [server.warning] if server.warning else []
        daemon.url = f"http://{_bracketed(config.http.host)}:{server.port}"
        await _add_roots(index, config, roots, config_file.parent)
        yield daemon


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _add_roots(index: Index, config: Config, roots: Sequence[Path], base: Path) -> None:
    for root in roots:
        await index.add_root(root)
    for text in config.index.roots:
        try:
            await index.add_root(Path(os.path.realpath(base / expand(Path(text)))))
        except (RootError, ConfigError) as error:
            log.warning("index.roots: %s", error)


def _frontend(name: str) -> Frontend:
    frontend: Frontend | None = plugins.find("ghostd.frontends", name)
    if frontend is None:
        known = ", ".join(plugins.known("ghostd.frontends"))
        raise ConfigError(f"`frontends`: no front-end is called {name!r}; installed: {known}")
    return frontend


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
