"""Git history is waited for once; then an older answer stands while a new one is read."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Literal

import pytest

from ghostd.committed import CoChange, FileChange
from ghostd.context import recent as module
from ghostd.context.recent import RecentChanges
from ghostd.testing.memory_history import MemoryHistory

ROOT = Path("/")
FIRST = (FileChange(PurePosixPath("a.py"), "modified"),)
SECOND = (FileChange(PurePosixPath("b.py"), "modified"),)


@dataclass
class Counting(MemoryHistory):
    """Counts the questions, and answers when it is let."""

    asked: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None

    async def uncommitted(self, root: Path) -> Sequence[FileChange]:
        self.asked += 1
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return self.changes


async def test_who_gives_up_waiting_does_not_end_the_reading() -> None:
    history = Counting(changes=FIRST)
    changes = RecentChanges(history)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await changes.uncommitted(ROOT)
    waiting = asyncio.ensure_future(changes.uncommitted(ROOT))
    await asyncio.sleep(0)
    history.go.set()
    assert await waiting == FIRST
    assert await changes.uncommitted(ROOT) == FIRST
    assert history.asked == 1


async def test_an_older_answer_stands_while_a_new_one_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHANGES_S", -1.0)
    history = Counting(changes=FIRST)
    history.go.set()
    changes = RecentChanges(history)
    assert await changes.uncommitted(ROOT) == FIRST
    history.changes = SECOND
    history.go.clear()
    assert await changes.uncommitted(ROOT) == FIRST
    history.go.set()
    async with asyncio.timeout(20):
        while await changes.uncommitted(ROOT) == FIRST:
            await asyncio.sleep(0)
    changes.close()


async def test_a_very_old_answer_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHANGES_S", -1.0)
    monkeypatch.setattr(module, "WORTHLESS_S", 0.5)
    history = Counting(changes=FIRST)
    history.go.set()
    changes = RecentChanges(history)
    assert await changes.uncommitted(ROOT) == FIRST
    history.changes = SECOND
    assert await changes.uncommitted(ROOT) == SECOND


async def test_a_failure_is_told_and_logged_and_the_next_question_is_asked_anew(
    caplog: pytest.LogCaptureFixture,
) -> None:
    history = Counting(changes=FIRST, error=RuntimeError("broken"))
    history.go.set()
    changes = RecentChanges(history)
    with pytest.raises(RuntimeError, match="broken"):
        await changes.uncommitted(ROOT)
    assert "broken" in caplog.text
    history.error = None
    assert await changes.uncommitted(ROOT) == FIRST


@dataclass
class Asked(MemoryHistory):
    """Remembers what was asked."""

    beside: list[list[str]] = field(default_factory=list)

    async def co_changed(
        self, root: Path, path: PurePosixPath, limit: int = 20, beside: Sequence[PurePosixPath] = ()
    ) -> Sequence[CoChange]:
        self.beside.append([str(one) for one in beside])
        return ()


async def test_what_changes_together_is_asked_for_with_the_few_files_that_are_being_changed() -> None:
    edited = ["a.py", "b.py", "gone.py"]
    history = Asked(changes=tuple(_change(name, "deleted" if name == "gone.py" else "modified") for name in edited))
    changes = RecentChanges(history)
    await changes.co_changed(ROOT, PurePosixPath("c.py"))
    await changes.uncommitted(ROOT)
    await changes.co_changed(ROOT, PurePosixPath("a.py"))
    assert history.beside == [[], ["b.py"]]


async def test_many_uncommitted_files_say_nothing_about_one() -> None:
    history = Asked(changes=tuple(_change(f"{number}.py", "modified") for number in range(20)))
    changes = RecentChanges(history)
    await changes.uncommitted(ROOT)
    await changes.co_changed(ROOT, PurePosixPath("a.py"))
    assert history.beside == [[]]


def _change(path: str, kind: Literal["modified", "deleted"]) -> FileChange:
    return FileChange(PurePosixPath(path), kind)


async def test_closing_ends_what_is_read_and_what_is_kept_is_bounded() -> None:
    history = Counting()
    changes = RecentChanges(history)
    for number in range(300):
        await changes.co_changed(ROOT, PurePosixPath(f"{number}.py"))
    assert len(changes._answers) == 256
    waiting = asyncio.ensure_future(changes.uncommitted(ROOT))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    changes.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
