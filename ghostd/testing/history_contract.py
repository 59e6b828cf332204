"""What every GitHistory must do. Subclass HistoryContract, say how to open yours, and pytest runs the tests."""

# ruff: noqa: D102 (the names of the tests say it)

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath

from ghostd.code_ports import GitHistory
from ghostd.committed import Hunk

APP = PurePosixPath("app.py")
SHAPES = PurePosixPath("lib/shapes.py")
NOTES = PurePosixPath("notes.md")
TIME_S = 1_700_000_000

COMMITS: tuple[tuple[str, int, dict[PurePosixPath, str]], ...] = (
    ("one", TIME_S, {APP: "1\n2\n", SHAPES: "1\n", NOTES: "1\n"}),
    ("two", TIME_S + 100, {APP: "two\n2\n", SHAPES: "2\n"}),
    ("three", TIME_S + 200, {APP: "two\n2\n3\n", SHAPES: "3\n"}),
    ("four", TIME_S + 300, {APP: "two\n2\n3\n4\n"}),
)
"""(subject, time, files) of the sample's commits on its branch "main", the oldest first."""
UNCOMMITTED = "two\n2\n3\n4\nfive\n"
"""What the working tree has as `app.py`."""


class HistoryContract(ABC):
    """The tests; a subclass gives `opened`."""

    @abstractmethod
    def opened(self, folder: Path) -> AbstractAsyncContextManager[tuple[GitHistory, Path]]:
        """A history and a root in it, below `folder`, with the sample's commits and its working tree."""

    async def test_all_commits_are_read(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            state = await history.wait_read(root)
            assert (state.state, state.commits, state.complete) == ("ready", len(COMMITS), True)
            assert history.state(root) == state
            assert history.awake(root)

    async def test_what_changed_together_most_comes_first(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            await history.wait_read(root)
            found = await history.co_changed(root, APP)
            assert [(one.path, one.commits) for one in found] == [(SHAPES, 3), (NOTES, 1)]
            assert found[0].score > found[1].score > 0
            assert list(await history.co_changed(root, APP)) == list(found)
            assert list(await history.co_changed(root, APP, limit=1)) == list(found[:1])
            assert list(await history.co_changed(root, PurePosixPath("unknown.py"))) == []

    async def test_an_unknown_definition_changed_with_none(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            await history.wait_read(root)
            assert list(await history.symbols_co_changed(root, APP, "unknown")) == []
            assert list(await history.symbols_co_changed(root, PurePosixPath("unknown.py"), "main")) == []

    async def test_commits_come_newest_first_of_all_of_a_file_and_of_lines(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            await history.wait_read(root)
            assert [one.subject for one in await history.commits(root)] == ["four", "three", "two", "one"]
            assert [one.subject for one in await history.commits(root, SHAPES)] == ["three", "two", "one"]
            assert [one.subject for one in await history.commits(root, APP, range(1, 3))] == ["two", "one"]
            assert [one.time_s for one in await history.commits(root, limit=1)] == [TIME_S + 300]
            assert list(await history.commits(root, PurePosixPath("unknown.py"))) == []

    async def test_churn_counts_the_commits_of_each_file(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            await history.wait_read(root)
            assert [(one.path, one.commits) for one in await history.churn(root)] == [(APP, 4), (SHAPES, 3), (NOTES, 1)]
            assert [one.path for one in await history.churn(root, limit=1)] == [APP]

    async def test_blame_covers_the_file_as_last_committed(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            for _ in range(2):
                spans = await history.blame(root, APP)
                found = [(span.first_line, span.last_line, span.commit.subject) for span in spans]
                assert found == [(1, 1, "two"), (2, 2, "one"), (3, 3, "three"), (4, 4, "four")]
            assert list(await history.blame(root, PurePosixPath("unknown.py"))) == []

    async def test_uncommitted_lines_are_those_of_the_working_tree(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            (change,) = await history.uncommitted(root)
            assert (change.path, change.kind, change.old_path) == (APP, "modified", None)
            assert change.hunks == (Hunk(5, 5, "", "five\n"),)

    async def test_the_first_branch_has_no_base(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            branch = await history.branch(root)
            assert branch is not None
            assert (branch.name, branch.base, branch.merge_base, branch.commits) == ("main", "", "", ())

    async def test_the_score_says_how_many_were_tried(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as (history, root):
            score = await history.co_change_score(root)
            assert 0 < score.hits <= score.tried
            assert 0 <= score.floor_hits <= score.tried
