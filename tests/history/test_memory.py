"""The double answers as the adapter does where there is no history."""

from pathlib import Path, PurePosixPath

from ghostd.ports import GitHistory
from ghostd.testing.memory_history import MemoryHistory


async def test_a_fresh_one_has_no_history(tmp_path: Path) -> None:
    history: GitHistory = MemoryHistory()
    assert (await history.wait_read(tmp_path)).state == "none"
    assert await history.co_changed(tmp_path, PurePosixPath("a.py")) == []
    assert await history.commits(tmp_path) == []
    assert await history.branch(tmp_path) is None
