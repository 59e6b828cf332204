"""The composition root: Config → running daemon. It owns every lifetime; nothing else starts a part."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import entry_points
from pathlib import Path

from ghostd import __version__
from ghostd.config import Config
from ghostd.engine import Engine, Frontend, FrontendHost
from ghostd.errors import ConfigError, RootError
from ghostd.gateway.app import serve_http
from ghostd.index.service import open_index
from ghostd.local.control import control_routes
from ghostd.local.control_types import ModelState, RootReport, RootState, SkipState, Status
from ghostd.local.paths import Paths, expand
from ghostd.ports import Index, ProjectModel, Provider
from ghostd.project_model.provider import project_model
from ghostd.types import RootStatus
from ghostd.workers.provider import local_provider

log = logging.getLogger(__name__)


class Daemon:
    """A running daemon: its parts, and what the control API may do with them."""

    def __init__(self, index: Index, engine: Engine, project: ProjectModel | None, paths: Paths) -> None:
        self.index = index
        self.engine = engine
        self.url = ""
        self.stopping = asyncio.Event()
        """Set when the daemon should end."""
        self._project = project
        self._paths = paths
        self._started = time.monotonic()

    def status(self) -> Status:
        """What it is and does now."""
        return Status(
            version=__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._started, 3),
            url=self.url,
            home=str(self._paths.data),
            memory_bytes=_resident_bytes(),
            roots=[self._root_state(status) for status in self.index.roots()],
            models=[
                ModelState(
                    id=info.id,
                    owned_by=info.owned_by,
                    capabilities=sorted(info.capabilities),
                    state=info.state,
                    context_tokens=info.context_tokens,
                    size_bytes=info.size_bytes,
                    detail=info.detail,
                )
                for info in self.engine.models()
            ],
        )

    async def add_root(self, root: Path) -> None:
        """Index and watch a folder; raises RootError."""
        await self.index.add_root(root)

    async def remove_root(self, root: Path) -> None:
        """Stop to watch a folder."""
        await self.index.remove_root(root)

    async def wait_root(self, root: Path) -> RootReport:
        """Wait until a root is indexed and learned; raises RootError."""
        report = await self.index.wait_ready(root)
        if self._project is not None:
            await self._project.wait_learned(root)
        return RootReport(
            path=str(root),
            files=report.files,
            parsed=report.parsed,
            symbols=report.symbols,
            references=report.references,
            imports=report.imports,
            size_bytes=report.size_bytes,
            seconds=report.seconds,
            skips=[SkipState(str(skip.path), skip.reason) for skip in await self.index.skips(root)],
        )

    def shutdown(self) -> None:
        """Begin to drain and end."""
        self.stopping.set()

    def _root_state(self, status: RootStatus) -> RootState:
        return RootState(
            path=str(status.root),
            state=status.state,
            files=status.files,
            symbols=status.symbols,
            pending=status.pending,
            skipped=status.skipped,
            learned=self._project is not None and self._project.learned(status.root),
            detail=status.detail,
        )


@asynccontextmanager
async def running(
    config: Config, paths: Paths, roots: Sequence[Path] = (), config_folder: Path | None = None
) -> AsyncIterator[Daemon]:
    """A daemon whose every part accepts work while the block runs.

    `roots` are indexed besides the configured ones. Relative paths of the configuration start at
    `config_folder`. Raises ConfigError, PortTaken or RootError when it cannot start; a configured root that is
    missing is logged and left out, one of `roots` is an error.
    """
    try:
        async with _parts(config, paths, roots, config_folder) as daemon:
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
    config: Config, paths: Paths, roots: Sequence[Path], config_folder: Path | None
) -> AsyncIterator[Daemon]:
    async with AsyncExitStack() as parts:
        index = await parts.enter_async_context(open_index(paths.indexes, config.index))
        providers: list[Provider] = []
        project: ProjectModel | None = None
        if config.project_model.enabled:
            learner = await parts.enter_async_context(
                project_model(index, paths.data / "project-model", config.project_model)
            )
            project = learner
            providers.append(learner)
        base = config_folder or paths.config
        models_dir = base / expand(Path(config.local.models_dir)) if config.local.models_dir else paths.models
        providers.append(
            await parts.enter_async_context(
                local_provider(
                    config.local, models_dir, base, discovery=config.discovery, data=paths.data, cache=paths.cache
                )
            )
        )
        daemon = Daemon(index, Engine(providers), project, paths)
        for name in config.frontends:
            host = FrontendHost(daemon.engine, index, config, paths.runtime / f"{name}.sock")
            await parts.enter_async_context(_frontend(name)(host))
        server = await parts.enter_async_context(
            serve_http(
                daemon.engine,
                config.http,
                paths.http_socket,
                lambda: {},
                control_routes(daemon),
                drain_s=config.drain_s,
            )
        )
        daemon.url = f"http://{_bracketed(config.http.host)}:{server.port}"
        await _add_roots(index, config, roots, base)
        yield daemon


async def _add_roots(index: Index, config: Config, roots: Sequence[Path], base: Path) -> None:
    for root in roots:
        await index.add_root(root)
    for text in config.index.roots:
        try:
            await index.add_root(Path(os.path.realpath(base / expand(Path(text)))))
        except (RootError, ConfigError) as error:
            log.warning("index.roots: %s", error)


def _frontend(name: str) -> Frontend:
    found = entry_points(group="ghostd.frontends", name=name)
    if not found:
        known = ", ".join(sorted(entry_points(group="ghostd.frontends").names))
        raise ConfigError(f"`frontends`: no front-end is called {name!r}; installed: {known}")
    frontend: Frontend = next(iter(found)).load()
    return frontend


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)
