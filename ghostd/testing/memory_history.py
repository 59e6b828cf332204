"""A GitHistory that says what it was told, for tests of what asks one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ghostd.committed import (
    BlameSpan,
    Branch,
    CoChange,
    CoChangeScore,
    CommitInfo,
    FileChange,
    HistoryState,
    SymbolCoChange,
)


@dataclass(slots=True)
class MemoryHistory:
    """The history of every root in it is the same; a fresh one has none."""

    known: HistoryState = field(default_factory=lambda: HistoryState("none"))
    together: dict[PurePosixPath, tuple[CoChange, ...]] = field(default_factory=dict)
    symbols_together: dict[tuple[PurePosixPath, str], tuple[SymbolCoChange, ...]] = field(default_factory=dict)
    log: tuple[tuple[CommitInfo, frozenset[PurePosixPath]], ...] = ()
    """Commits and the files they touched, the newest first."""
    most_changed: tuple[CoChange, ...] = ()
    score: CoChangeScore = field(default_factory=lambda: CoChangeScore(0, 0, 0))
    spans: dict[PurePosixPath, tuple[BlameSpan, ...]] = field(default_factory=dict)
    changes: tuple[FileChange, ...] = ()
    current: Branch | None = None

    def state(self, root: Path) -> HistoryState:
        """What it was told."""
        return self.known

    def awake(self, root: Path) -> bool:
        """Always."""
        return True

    async def wait_read(self, root: Path) -> HistoryState:
        """At once."""
        return self.known

    async def co_changed(
        self, root: Path, path: PurePosixPath, limit: int = 20, beside: Sequence[PurePosixPath] = ()
    ) -> Sequence[CoChange]:
        """What it was told of this file."""
        return list(self.together.get(path, ())[:limit])

    async def symbols_co_changed(
        self, root: Path, path: PurePosixPath, name: str, limit: int = 20
    ) -> Sequence[SymbolCoChange]:
        """What it was told of this definition."""
        return list(self.symbols_together.get((path, name), ())[:limit])

    async def commits(
        self, root: Path, path: PurePosixPath | None = None, lines: range | None = None, limit: int = 20
    ) -> Sequence[CommitInfo]:
        """From the log; those of lines from the spans."""
        if path is not None and lines is not None:
            spans = self.spans.get(path, ())
            found = {s.commit.id: s.commit for s in spans if s.first_line < lines.stop and s.last_line >= lines.start}
            return sorted(found.values(), key=lambda commit: -commit.time_s)[:limit]
        return [commit for commit, paths in self.log if path is None or path in paths][:limit]

    async def churn(self, root: Path, limit: int = 50) -> Sequence[CoChange]:
        """What it was told."""
        return list(self.most_changed[:limit])

    async def co_change_score(self, root: Path, commits: int = 200) -> CoChangeScore:
        """What it was told."""
        return self.score

    async def blame(self, root: Path, path: PurePosixPath) -> Sequence[BlameSpan]:
        """What it was told of this file."""
        return list(self.spans.get(path, ()))

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        """What it was told."""
        return list(self.changes)

    async def branch(self, root: Path) -> Branch | None:
        """What it was told."""
        return self.current
