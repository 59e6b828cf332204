"""The running daemon, as the control API sees it: what it does now, and what may be done with it."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from ghostd import __version__
from ghostd.committed import HistoryState
from ghostd.daemon.models import Models
from ghostd.daemon.projects import Projects
from ghostd.embedded import SimilarState
from ghostd.indexed import RootStatus
from ghostd.local.control_types import (
    EmbeddingState,
    ModelState,
    RootReport,
    RootState,
    SkipState,
    Status,
)
from ghostd.local.paths import Paths
from ghostd.routing.explain import deployment_report
from ghostd.routing_reports import DeploymentReport, KeyReport
from ghostd.suggestion_reports import CompletionsReport


class Daemon:
    """A running daemon."""

    def __init__(self, models: Models, projects: Projects, paths: Paths) -> None:
        self.index = projects.index
        self.engine = models.engine
        self.url = self.ollama_url = ""
        """Known once HTTP is served."""
        self.warnings: list[str] = []
        self.stopping = asyncio.Event()
        """Set when the daemon should end."""
        self._models = models
        self._projects = projects
        self._paths = paths
        self._started = time.monotonic()

    def status(self) -> Status:
        """What it is and does now."""
        off = self._projects.suggestions.off()
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
        if (project := self._models.project) is not None:
            await project.wait_learned(root)
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
        return await self._models.upkeep.reload()

    def forget_secret(self, name: str) -> None:
        """Read the keyring's entry anew when it is needed next, whatever the old one rests for."""
        reference = f"keyring:{name}"
        self._models.secrets.forget(reference)
        users = self._models.upstreams.secret_replaced(reference)
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
        return self._projects.suggestions.report()

    def shutdown(self) -> None:
        """Begin to drain and end."""
        self.stopping.set()

    def _root_state(self, status: RootStatus) -> RootState:
        project, similar = self._models.project, self._projects.similar
        return RootState(
            path=str(status.root),
            state=status.state,
            files=status.files,
            symbols=status.symbols,
            pending=status.pending,
            skipped=status.skipped,
            learned=project is not None and project.learned(status.root),
            detail=status.detail,
            history=_history_line(self._projects.history.state(status.root)),
            embeddings=None if similar is None else _embedding_state(similar.state(status.root)),
        )


def _history_line(found: HistoryState) -> str:
    if found.state == "none":
        return ""
    if found.state == "failed":
        return f"git history failed: {found.detail}"
    part = "" if found.complete else " so far" if found.state == "reading" else " (not all)"
    return f"{found.commits} commits{part}"


def _embedding_state(found: SimilarState) -> EmbeddingState:
    return EmbeddingState(found.state, found.model, found.embedded, found.chunks, found.left_out, found.detail)


def _resident_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:  # no Linux
        import psutil

        return int(psutil.Process().memory_info().rss)
    return pages * os.sysconf("SC_PAGE_SIZE")
