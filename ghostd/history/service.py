"""The port GitHistory on a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from ghostd.committed import BlameSpan, Branch, CoChange, CoChangeScore, CommitInfo, FileChange, HistoryState, Hunk
from ghostd.config import HistoryConfig
from ghostd.history.supervisor import State, Supervisor
from ghostd.ports import GitHistory, Index


@asynccontextmanager
async def open_history(folder: Path, config: HistoryConfig, index: Index) -> AsyncIterator[GitHistory]:
    """The history while the block runs; caches lie in `folder`. No process is started before the first question."""
    history = History(folder, config, index)
    task = asyncio.create_task(history.supervisor.run(), name="history")
    try:
        yield history
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class History:
    """GitHistory. Which files are untracked is what the index has and git does not."""

    def __init__(self, folder: Path, config: HistoryConfig, index: Index) -> None:
        self._config = config
        self._index = index
        self._states: dict[str, HistoryState] = {}
        self.supervisor = Supervisor(folder, config, self._keep_state)

    def state(self, root: Path) -> HistoryState:
        """As it was when something was asked last; "none" before."""
        return self._states.get(str(root), HistoryState("none"))

    async def wait_read(self, root: Path) -> HistoryState:
        """Wait until the current head has been read."""
        await self._ask(root, "wait", timeout_s=None)
        return self.state(root)

    async def co_changed(self, root: Path, path: PurePosixPath, limit: int = 20) -> Sequence[CoChange]:
        """Files that were committed together with this one."""
        return _co_changes(await self._ask(root, "co_changed", path=str(path), limit=limit))

    async def commits(
        self, root: Path, path: PurePosixPath | None = None, lines: range | None = None, limit: int = 20
    ) -> Sequence[CommitInfo]:
        """The last commits; with `lines` those that left them as they are."""
        if path is not None and lines is not None:
            spans = await self.blame(root, path)
            found = {s.commit.id: s.commit for s in spans if s.first_line < lines.stop and s.last_line >= lines.start}
            return sorted(found.values(), key=lambda commit: -commit.time_s)[:limit]
        name = None if path is None else str(path)
        return [CommitInfo(*row) for row in await self._ask(root, "commits", path=name, limit=limit) or ()]

    async def churn(self, root: Path, limit: int = 50) -> Sequence[CoChange]:
        """The files that change most."""
        return _co_changes(await self._ask(root, "churn", limit=limit))

    async def co_change_score(self, root: Path, commits: int = 200) -> CoChangeScore:
        """How well co-change foretells the last commits of this root."""
        await self.wait_read(root)
        return CoChangeScore(*(await self._ask(root, "score", limit=commits, timeout_s=None) or (0, 0, 0)))

    async def blame(self, root: Path, path: PurePosixPath) -> Sequence[BlameSpan]:
        """Which commit last changed each line."""
        rows = await self._ask(root, "blame", path=str(path)) or ()
        return [BlameSpan(first, last, CommitInfo(*commit)) for first, last, commit in rows]

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        """How the working tree differs from the last commit."""
        others: list[str] = []
        if self._index.root_of(root) == root:
            others = [str(file.path) for file in await self._index.files(root)]
        return _changes(await self._ask(root, "uncommitted", others=others))

    async def branch(self, root: Path) -> Branch | None:
        """The current branch against its base."""
        row = await self._ask(root, "branch")
        if row is None:
            return None
        name, base, merge_base, commits, changes = row
        return Branch(name, base, merge_base, tuple(CommitInfo(*commit) for commit in commits), _changes(changes))

    async def _ask(self, root: Path, op: str, *, timeout_s: float | None = -1, **more: Any) -> Any:
        if not self._config.enabled:
            return None
        limit = self._config.timeout_s if timeout_s == -1 else timeout_s
        return await self.supervisor.ask({"op": op, "root": str(root), **more}, limit)

    def _keep_state(self, root: str, state: State) -> None:
        self._states[root] = HistoryState(*state)


def _co_changes(rows: Any) -> list[CoChange]:
    return [CoChange(PurePosixPath(path), score, commits) for path, score, commits in rows or ()]


def _changes(rows: Any) -> tuple[FileChange, ...]:
    return tuple(
        FileChange(
            PurePosixPath(path),
            kind,
            None if old is None else PurePosixPath(old),
            tuple(Hunk(*hunk) for hunk in hunks),
        )
        for path, kind, old, hunks in rows or ()
    )
