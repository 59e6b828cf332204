"""The composition root: Config → running daemon. It owns every lifetime; nothing else starts a part."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from ghostd import __version__, plugins
from ghostd.analysis.analyst import Analyst
from ghostd.batches.service import open_batches
from ghostd.code_ports import GitHistory, Index, Similar
from ghostd.committed import HistoryState
from ghostd.config.settings import Config
from ghostd.context.for_fill import quote_for
from ghostd.context.service import ContextService
from ghostd.embedded import SimilarState
from ghostd.engine import Engine, Frontend, FrontendHost
from ghostd.errors import ConfigError, RootError
from ghostd.files.service import open_files
from ghostd.gateway.app import serve_http
from ghostd.gateway.attachments import Attachments
from ghostd.gateway.dialects.responses.doors import responses_doors
from ghostd.gateway.doors import (
    api_routes,
    batch_doors,
    context_doors,
    file_doors,
    load_dialects,
    metrics_doors,
    next_edit_doors,
    ollama_doors,
    project_doors,
    symbol_doors,
    zeke_doors,
)
from ghostd.gateway.inside import Inside
from ghostd.gateway.routes import Later
from ghostd.history.service import open_history
from ghostd.index.service import open_index
from ghostd.indexed import RootStatus
from ghostd.ledger.service import open_ledger
from ghostd.local.control import control_routes
from ghostd.local.control_types import (
    EmbeddingState,
    ModelState,
    RootReport,
    RootState,
    SkipState,
    Status,
)
from ghostd.local.evaluate_control import evaluation_routes
from ghostd.local.model_control import model_routes
from ghostd.local.paths import Paths, expand
from ghostd.navigation.navigator import navigator
from ghostd.next_edit.by_model import ModelEdits
from ghostd.next_edit.service import NextEdits
from ghostd.ports import ProjectModel, Provider, SecretStore
from ghostd.project_model.provider import project_model
from ghostd.providers.http.client import http_client
from ghostd.resolve.resolver import Resolver
from ghostd.responses.service import open_responses
from ghostd.routing.explain import deployment_report
from ghostd.routing.registry import Registry
from ghostd.routing_reports import DeploymentReport, KeyReport
from ghostd.secrets.store import Secrets
from ghostd.suggestion_reports import CompletionsReport
from ghostd.suggestions.service import SuggestionService, open_suggestions
from ghostd.tokenizers.service import open_tokenizers
from ghostd.upkeep import Upkeep
from ghostd.upstreams import Upstreams
from ghostd.workers.model_store import LocalModelStore
from ghostd.workers.provider import local_provider

log = logging.getLogger(__name__)

_DIALECTS_AFTER_S = 2.0
"""The first requests come first."""


class Daemon:
    """A running daemon: its parts, and what the control API may do with them."""

    def __init__(
        self,
        index: Index,
        history: GitHistory,
        engine: Engine,
        project: ProjectModel | None,
        paths: Paths,
        secrets: SecretStore,
        upstreams: Upstreams,
    ) -> None:
        self.index = index
        self.history = history
        self.engine = engine
        self.upkeep: Upkeep | None = None
        self.suggestions: SuggestionService | None = None
        self._secrets = secrets
        self._upstreams = upstreams
        self.url = self.ollama_url = ""
        self.warnings: list[str] = []
        self.stopping = asyncio.Event()
        """Set when the daemon should end."""
        self.similar: Similar | None = None
        """None where no model for embeddings is set."""
        self._project = project
        self._paths = paths
        self._started = time.monotonic()

    def status(self) -> Status:
        """What it is and does now."""
        off = self.suggestions.off() if self.suggestions is not None else {}
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
                    detail="; ".join(filter(None, (info.detail, off.get(info.id)))),
                    source=info.source,
                )
                for info in self.engine.models()
            ],
            ollama_url=self.ollama_url,
            warnings=self.warnings,
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

    async def reload(self) -> str:
        """Put the changed configuration into force; raises ConfigError."""
        assert self.upkeep is not None
        return await self.upkeep.reload()

    def forget_secret(self, name: str) -> None:
        """Read the keyring's entry anew when it is needed next, whatever the old one rests for."""
        reference = f"keyring:{name}"
        self._secrets.forget(reference)
        users = self._upstreams.secret_replaced(reference)
        for deployment in self.engine.registry.used():
            if deployment.provider.name in users:
                deployment.health.keys_replaced()

    def health(self) -> list[DeploymentReport]:
        """How every deployment fares that was asked so far."""
        now = asyncio.get_running_loop().time()
        used = self.engine.registry.used()
        return [deployment_report(deployment, now) for deployment in used if deployment.health.asked]

    def keys(self) -> list[KeyReport]:
        """The keys of every provider, without their values."""
        return [
            KeyReport(name, key.reference, key.state, key.detail)
            for name, endpoints in self.engine.registry.upstreams.items()
            for key in endpoints[0].keys()  # noqa: SIM118 - API keys
        ]

    def completions(self) -> CompletionsReport:
        """How soon editors get completions."""
        assert self.suggestions is not None
        return self.suggestions.report()

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
            history=_history_line(self.history.state(status.root)),
            embeddings=None if self.similar is None else _embedding_state(self.similar.state(status.root)),
        )


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
    async with AsyncExitStack() as parts:
        index = await parts.enter_async_context(open_index(paths.indexes, config.index))
        history = await parts.enter_async_context(open_history(paths.cache / "history", config.history, index))
        providers: list[Provider] = []
        project: ProjectModel | None = None
        if config.project_model.enabled:
            learner = project_model(index, paths.data / "project-model", config.project_model)
            providers.append(project := await parts.enter_async_context(learner))
        base = config_file.parent
        models_dir = base / expand(Path(config.local.models_dir)) if config.local.models_dir else paths.models
        local = await parts.enter_async_context(
            local_provider(
                config.local, models_dir, base, discovery=config.discovery, data=paths.data, cache=paths.cache
            )
        )
        providers.append(local)
        store = await asyncio.to_thread(LocalModelStore, local, models_dir, paths.data / "pulled-models.json")
        secrets = Secrets()
        http = await parts.enter_async_context(http_client(config.upstream))
        ledger = await parts.enter_async_context(open_ledger(paths.ledger, config.ledger))
        engine = Engine(registry=Registry(config, providers), ledger=ledger, open_connection=http.warm)
        parts.push_async_callback(engine.router.close)
        engine.tokens.known = await parts.enter_async_context(open_tokenizers())
        upstreams = Upstreams(http, secrets)
        daemon = Daemon(index, history, engine, project, paths, secrets, upstreams)
        ports: list[int] = []
        upkeep = Upkeep(
            config,
            config_file,
            engine.router,
            upstreams,
            http,
            lambda: ports[0] if ports else config.http.port,
            command_line,
        )
        await upkeep.start()
        resolver = Resolver(index)
        parts.callback(resolver.close)
        navigation = navigator(index, resolver)
        if config.embeddings.model:
            daemon.similar = await parts.enter_async_context(_embeddings(config, paths, engine, index))
        context = ContextService(index, resolver, history, config.context, lambda: engine.registry, daemon.similar)
        parts.callback(context.close)
        engine.quote = partial(quote_for, context)
        calibration = paths.data / "completion-calibration.json"
        daemon.suggestions = suggestions = await parts.enter_async_context(
            open_suggestions(engine, lambda: engine.registry.config.completion, calibration)
        )
        next_edits = NextEdits(config.next_edit, resolver, ModelEdits(engine, config.next_edit))
        for name in config.frontends:
            at = paths.runtime / f"{name}.sock"
            host = FrontendHost(daemon.engine, index, config, at, navigation, context, suggestions, next_edits)
            await parts.enter_async_context(_frontend(name)(host))
        kept = await parts.enter_async_context(open_responses(paths.responses, config.responses))
        responses = await parts.enter_async_context(responses_doors(engine, kept, config.responses))
        attachments, background = await parts.enter_async_context(_background(config, paths, engine, responses))
        server = await parts.enter_async_context(
            serve_http(
                daemon.engine,
                config.http,
                paths.http_socket,
                lambda: {},
                [*control_routes(daemon), *model_routes(local), *evaluation_routes(context)],
                doors=[
                    ollama_doors(daemon.engine, store),
                    *responses,
                    *background,
                    symbol_doors(navigation),
                    context_doors(context),
                    next_edit_doors(next_edits, index),
                    zeke_doors(engine, suggestions),
                    metrics_doors(suggestions),
                    project_doors(Analyst(index, resolver, history)),
                ],
                attachments=attachments,
                drain_s=config.drain_s,
            )
        )
        ports.append(server.port)
        daemon.upkeep = upkeep
        parts.push_async_callback(_ended, asyncio.create_task(upkeep.run(), name="upkeep"))
        parts.push_async_callback(_ended, asyncio.create_task(load_dialects(_DIALECTS_AFTER_S), name="load dialects"))
        daemon.ollama_url, daemon.warnings = server.ollama_url, [server.warning] if server.warning else []
        daemon.url = f"http://{_bracketed(config.http.host)}:{server.port}"
        await _add_roots(index, config, roots, base)
        yield daemon


@asynccontextmanager
async def _background(
    config: Config, paths: Paths, engine: Engine, doors: Sequence[Later]
) -> AsyncIterator[tuple[Attachments, Sequence[Later]]]:
    """Files and batches while the block runs: for requests that name files, and their doors.

    Batches ask the doors that HTTP has.
    """
    async with open_files(paths.files, config.files) as files:
        attachments = Attachments(files, config.http.max_body_bytes)
        inside = Inside([*api_routes(engine, dict), *doors], config.http, attachments)
        limit = config.http.max_body_bytes + 65_536  # a line is more than its body
        async with open_batches(paths.batches, config.batches, files, inside.ask, max_line_bytes=limit) as batches:
            yield attachments, [file_doors(files, config.files), batch_doors(batches)]


def _embeddings(config: Config, paths: Paths, engine: Engine, index: Index) -> AbstractAsyncContextManager[Similar]:
    """The vectors of the indexed projects; numpy is loaded only for those who want them."""
    from ghostd.embedding_model import asking_engine
    from ghostd.vectors.service import open_vectors

    return open_vectors(index, paths.vectors, config.embeddings, asking_engine(config.embeddings, engine))


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


def _history_line(found: HistoryState) -> str:
    if found.state == "none":
        return ""
    if found.state == "failed":
        return f"git history failed: {found.detail}"
    part = "" if found.complete else " so far" if found.state == "reading" else " (not all)"
    return f"{found.commits} commits{part}"


def _embedding_state(found: SimilarState) -> EmbeddingState:
    return EmbeddingState(found.state, found.model, found.embedded, found.chunks, found.left_out, found.detail)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:  # no Linux
        import psutil

        return int(psutil.Process().memory_info().rss)
    return pages * os.sysconf("SC_PAGE_SIZE")
