"""The port GitHistory on a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from ghostd.code_ports import GitHistory, Index
from ghostd.committed import (
    BlameSpan,
    Branch,
    CoChange,
    CoChangeScore,
    CommitInfo,
    FileChange,
    HistoryState,
    Hunk,
    SymbolCoChange,
)
from ghostd.config.projects import HistoryConfig
from ghostd.errors import GhostdError
from ghostd.history.kept import Kept
from ghostd.history.locate import locate
from ghostd.history.supervisor import State, Supervisor
from ghostd.indexed import ChangeBatch

_LOOK_S = 1.0
"""How old an answer about the working tree may be, and how often a kept answer's head is looked at."""
_NONE_S = 5.0
"""How long a root without a repository is held to have none."""
_MAX_SLOW = 1000
_MAX_BESIDE = 8
"""Further files that one question is about."""
_MAX_READINGS = 10
"""Of the commits behind one question about definitions, a second each."""


@asynccontextmanager
async def open_history(folder: Path, config: HistoryConfig, index: Index) -> AsyncIterator[GitHistory]:
    """The history while the block runs; caches lie in `folder`. The process starts with the first repository."""
    history = History(folder, config, index)
    unsubscribe = index.subscribe(history.hear)
    task = asyncio.create_task(history.supervisor.run(), name="history")
    try:
        yield history
    finally:
        unsubscribe()
        for one in (task, *history.tasks):
            one.cancel()
        await asyncio.gather(task, *history.tasks, return_exceptions=True)


class History:
    """GitHistory. Which files are untracked is what the index has and git does not."""

    def __init__(self, folder: Path, config: HistoryConfig, index: Index) -> None:
        self._config = config
        self._index = index
        self._states: dict[str, HistoryState] = {}
        self._kept = Kept()
        self._asked: dict[str, float] = {}
        """When a root's head was looked at last, by the loop's clock."""
        self._begun: set[Path] = set()
        self._looking: set[Path] = set()
        self._slow: set[tuple[Any, ...]] = set()
        """Questions that took too long; they are asked again when the head has moved."""
        self._tree: dict[Path, tuple[int, float, tuple[FileChange, ...]]] = {}
        """Root → (generation of the index, when, the uncommitted changes)."""
        self.tasks: set[asyncio.Task[None]] = set()
        self.supervisor = Supervisor(folder, config, self._keep_state)

    def state(self, root: Path) -> HistoryState:
        """As it was when something was asked last."""
        return self._states.get(str(root), HistoryState("none"))

    def hear(self, batch: ChangeBatch) -> None:
        """Follow the index: a new root's history is read once its first pass is done; files that went are not named."""
        self._begin(batch.root)
        if batch.removed:
            self._kept.drop(str(batch.root))

    def awake(self, root: Path) -> bool:
        """Whether the process runs or is not needed; if not, it is started."""
        known = self._states.get(str(root))
        if not self._config.enabled or self.supervisor.awake or self._has_none(root):
            return True
        self._look(root)
        return known is not None and known.state == "none"

    async def wait_read(self, root: Path) -> HistoryState:
        """Wait until the current head has been read."""
        await self._ask(root, "wait", timeout_s=None)
        return self.state(root)

    async def co_changed(
        self, root: Path, path: PurePosixPath, limit: int = 20, beside: Sequence[PurePosixPath] = ()
    ) -> Sequence[CoChange]:
        """Files that go with this one, and with those that are being changed beside it."""
        others = tuple(str(one) for one in dict.fromkeys(beside) if one != path)[:_MAX_BESIDE]
        return list(_co_changes(await self._ask_once(root, "co_changed", path=str(path), limit=limit, beside=others)))

    async def symbols_co_changed(
        self, root: Path, path: PurePosixPath, name: str, limit: int = 20
    ) -> Sequence[SymbolCoChange]:
        """Definitions that were changed together with this one, and that the index still has."""
        question = ("symbols_co_changed", str(path), name)
        rows = self._kept.get(str(root), question)
        if rows is None:
            for _ in range(_MAX_READINGS):
                answer = await self._ask(root, "symbols_co_changed", path=str(path), name=name)
                if answer is None:
                    return []
                complete, rows = answer
                if complete:
                    break
            if complete and self.state(root).state == "ready":
                self._kept.put(str(root), question, rows)
        elif asyncio.get_running_loop().time() - self._asked.get(str(root), 0) > _LOOK_S:
            self._look(root)
        found = [SymbolCoChange(PurePosixPath(row[0]), *row[1:]) for row in rows]
        if self._index.root_of(root) == root:
            places = [(one.name.rpartition(".")[2], one.path) for one in found]
            defined = await self._index.definitions_in(root, places) if places else ()
            known = {(s.path, f"{s.container}.{s.name}" if s.container else s.name) for s in defined}
            found = [one for one in found if (one.path, one.name) in known]
        return found[:limit]

    async def commits(
        self, root: Path, path: PurePosixPath | None = None, lines: range | None = None, limit: int = 20
    ) -> Sequence[CommitInfo]:
        """The last commits; with `lines` those that left them as they are."""
        if path is not None and lines is not None:
            spans = await self.blame(root, path)
            found = {s.commit.id: s.commit for s in spans if s.first_line < lines.stop and s.last_line >= lines.start}
            return sorted(found.values(), key=lambda commit: -commit.time_s)[:limit]
        name = None if path is None else str(path)
        return [CommitInfo(*row) for row in await self._ask_once(root, "commits", path=name, limit=limit) or ()]

    async def churn(self, root: Path, limit: int = 50) -> Sequence[CoChange]:
        """The files that change most."""
        return _co_changes(await self._ask_once(root, "churn", limit=limit))

    async def co_change_score(self, root: Path, commits: int = 200) -> CoChangeScore:
        """How well co-change foretells the last commits of this root."""
        await self.wait_read(root)
        return CoChangeScore(*(await self._ask_once(root, "score", limit=commits, timeout_s=None) or (0, 0, 0)))

    async def blame(self, root: Path, path: PurePosixPath) -> Sequence[BlameSpan]:
        """Which commit last changed each line."""
        rows = await self._ask(root, "blame", path=str(path)) or ()
        return [BlameSpan(first, last, CommitInfo(*commit)) for first, last, commit in rows]

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        """How the working tree differs from the last commit."""
        if self._index.root_of(root) != root:
            return _changes(await self._ask(root, "uncommitted", others=[]))
        generation = next((status.generation for status in self._index.roots() if status.root == root), 0)
        now = asyncio.get_running_loop().time()
        kept = self._tree.get(root)
        if kept is not None and kept[0] == generation and now - kept[1] < _LOOK_S:
            return kept[2]
        others = [] if self._has_none(root) else [str(file.path) for file in await self._index.files(root)]
        found = _changes(await self._ask(root, "uncommitted", others=others))
        self._tree[root] = (generation, now, found)
        return found

    async def branch(self, root: Path) -> Branch | None:
        """The current branch against its base."""
        row = await self._ask(root, "branch")
        if row is None:
            return None
        name, base, merge_base, commits, changes = row
        return Branch(name, base, merge_base, tuple(CommitInfo(*commit) for commit in commits), _changes(changes))

    async def _ask_once(self, root: Path, op: str, **more: Any) -> Any:
        """The answer that was given for the same head, or a new one."""
        question = (op, *(value for name, value in more.items() if name != "timeout_s"))
        kept = self._kept.get(str(root), question)
        if kept is not None:
            if asyncio.get_running_loop().time() - self._asked.get(str(root), 0) > _LOOK_S:
                self._look(root)
            return kept
        answer = await self._ask(root, op, **more)
        if answer is not None and self.state(root).state == "ready":
            self._kept.put(str(root), question, answer)
        return answer

    async def _ask(self, root: Path, op: str, *, timeout_s: float | None = -1, **more: Any) -> Any:
        if not self._config.enabled or (op != "wait" and self._has_none(root)):
            return None
        if self.state(root).state == "none" and await asyncio.to_thread(locate, root) is None:
            self._asked[str(root)] = asyncio.get_running_loop().time()
            self._keep_state(str(root), ["none", "", 0, False, ""])
            return None
        limit = self._config.timeout_s if timeout_s == -1 else timeout_s
        name = str(root)
        slow = (name, self.state(root).head, op, more.get("path"))
        if op == "blame" and slow in self._slow:
            return None
        self._asked[name] = asyncio.get_running_loop().time()
        try:
            return await self.supervisor.ask({"op": op, "root": name, **more}, limit)
        except TimeoutError:
            if len(self._slow) >= _MAX_SLOW:
                self._slow.clear()
            self._slow.add(slow)
            return None

    def _has_none(self, root: Path) -> bool:
        """Whether it was seen to be in no repository just now."""
        found = self._states.get(str(root))
        now = asyncio.get_running_loop().time()
        return found is not None and found.state == "none" and now - self._asked.get(str(root), 0) < _NONE_S

    def _look(self, root: Path) -> None:
        """See in the background whether the head has moved."""
        if root not in self._looking:
            self._looking.add(root)
            self._start(self._ask(root, "look"), lambda: self._looking.discard(root))

    def _begin(self, root: Path) -> None:
        if self._config.enabled and root not in self._begun:
            self._begun.add(root)
            self._start(self._read_when_ready(root))

    async def _read_when_ready(self, root: Path) -> None:
        with suppress(GhostdError):
            await self._index.wait_ready(root)
            await self.wait_read(root)

    def _start(self, work: Coroutine[Any, Any, object], then: Callable[[], None] = lambda: None) -> None:
        async def run() -> None:
            try:
                await work
            finally:
                then()

        task = asyncio.create_task(run(), name="history-in-the-background")
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def _keep_state(self, root: str, state: State) -> None:
        found = HistoryState(*state)
        before = self._states.get(root)
        if before is None or (before.head, before.state) != (found.head, found.state):
            self._kept.drop(root)
            self._tree.pop(Path(root), None)
        self._states[root] = found


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
