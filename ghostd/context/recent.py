"""What git history says, without waiting for it more than once: an older answer stands while a new one is read."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, TypeVar, cast

from ghostd.committed import CoChange, FileChange

log = logging.getLogger(__name__)

CHANGES_S = 2.0
"""How old an answer about uncommitted changes may be before a new one is read."""
CO_CHANGES_S = 60.0
WORTHLESS_S = 30.0
"""An answer that is older than it may be by so much more is not given: a new one is waited for."""
_MAX_ANSWERS = 256
_MAX_IN_THE_WORKS = 8
"""More uncommitted files than these are hardly of one change."""

T = TypeVar("T")


class Changes(Protocol):
    """What retrieval asks of git history; see the port `GitHistory`."""

    def awake(self, root: Path) -> bool:
        """Whether questions are answered at once; where not, this begins what they would wait for, and returns."""
        ...

    async def co_changed(
        self, root: Path, path: PurePosixPath, limit: int = 20, beside: Sequence[PurePosixPath] = ()
    ) -> Sequence[CoChange]:
        """Files that change together with this one, and with those beside it."""
        ...

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        """How the working tree differs from the last commit."""
        ...


@dataclass(slots=True)
class _Answer:
    value: Any = None
    read_at: float | None = None
    """Monotonic; None before the first one."""
    reading: asyncio.Task[Any] | None = None


class RecentChanges:
    """Changes from memory. Only the first question about something waits; giving up the wait does not end the reading.

    Use from the event loop's thread.
    """

    def __init__(self, history: Changes) -> None:
        self._history = history
        self._answers: OrderedDict[tuple[object, ...], _Answer] = OrderedDict()

    def close(self) -> None:
        """End what is being read."""
        for answer in self._answers.values():
            if answer.reading is not None:
                answer.reading.cancel()
        self._answers.clear()

    def awake(self, root: Path) -> bool:
        """Whether the history is."""
        return self._history.awake(root)

    async def co_changed(
        self, root: Path, path: PurePosixPath, limit: int = 20, beside: Sequence[PurePosixPath] = ()
    ) -> Sequence[CoChange]:
        """Files that change together with this one, and with those beside it.

        Without any named, these are the few that are not committed, as far as was known when it was read.
        """
        return await self._recent(
            (root, path, limit, *beside),
            CO_CHANGES_S,
            lambda: self._history.co_changed(root, path, limit, beside or self._in_the_works(root, path)),
        )

    def _in_the_works(self, root: Path, path: PurePosixPath) -> Sequence[PurePosixPath]:
        answer = self._answers.get((root,))
        changes = answer.value if answer is not None and answer.value else ()
        others = [change.path for change in changes if change.path != path and change.kind != "deleted"]
        return others if len(others) <= _MAX_IN_THE_WORKS else ()

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        """How the working tree differed from the last commit, a moment ago."""
        return await self._recent((root,), CHANGES_S, lambda: self._history.uncommitted(root))

    async def _recent(self, key: tuple[object, ...], fresh_s: float, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        answer = self._answers.setdefault(key, _Answer())
        self._answers.move_to_end(key)
        age = float("inf") if answer.read_at is None else time.monotonic() - answer.read_at
        if answer.reading is None and age > fresh_s:
            answer.reading = asyncio.create_task(self._read(answer, ask), name="context: history")
            answer.reading.add_done_callback(_hear)
        if answer.reading is not None and age > fresh_s + WORTHLESS_S:
            await asyncio.shield(answer.reading)
        self._bound()
        return cast(T, answer.value)

    async def _read(self, answer: _Answer, ask: Callable[[], Coroutine[Any, Any, T]]) -> None:
        try:
            answer.value = await ask()
            answer.read_at = time.monotonic()
        finally:
            answer.reading = None

    def _bound(self) -> None:
        while len(self._answers) > _MAX_ANSWERS:
            _, old = self._answers.popitem(last=False)
            if old.reading is not None:
                old.reading.cancel()


def _hear(task: asyncio.Task[Any]) -> None:
    """Whoever waited has heard of a failure; the log hears of it in any case."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the history failed", exc_info=error)
