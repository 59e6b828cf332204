"""The double does what every history does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath

from ghostd.code_ports import GitHistory
from ghostd.committed import BlameSpan, Branch, CoChange, CoChangeScore, CommitInfo, FileChange, HistoryState, Hunk
from ghostd.testing.history_contract import APP, COMMITS, NOTES, SHAPES, HistoryContract
from ghostd.testing.memory_history import MemoryHistory

ONE, TWO, THREE, FOUR = (CommitInfo(f"{n:040x}", time_s, subject) for n, (subject, time_s, _) in enumerate(COMMITS))


class TestMemoryHistory(HistoryContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[tuple[GitHistory, Path]]:
        logged = zip((ONE, TWO, THREE, FOUR), COMMITS, strict=True)
        last = ((1, TWO), (2, ONE), (3, THREE), (4, FOUR))
        yield (
            MemoryHistory(
                known=HistoryState("ready", FOUR.id, len(COMMITS), complete=True),
                together={APP: (CoChange(SHAPES, 0.6, 3), CoChange(NOTES, 0.2, 1))},
                log=tuple((one, frozenset(files)) for one, (_, _, files) in reversed(list(logged))),
                most_changed=(CoChange(APP, 4, 4), CoChange(SHAPES, 3, 3), CoChange(NOTES, 1, 1)),
                score=CoChangeScore(4, 1, 4),
                spans={APP: tuple(BlameSpan(line, line, one) for line, one in last)},
                changes=(FileChange(APP, "modified", hunks=(Hunk(5, 5, "", "five\n"),)),),
                current=Branch("main", "", "", (), ()),
            ),
            folder,
        )


async def test_a_fresh_one_has_no_history(tmp_path: Path) -> None:
    history: GitHistory = MemoryHistory()
    assert (await history.wait_read(tmp_path)).state == "none"
    assert await history.co_changed(tmp_path, PurePosixPath("a.py")) == []
    assert await history.commits(tmp_path) == []
    assert await history.branch(tmp_path) is None
