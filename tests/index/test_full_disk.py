"""A disk that takes no more: the status says so, what was indexed before answers, and room again mends all."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from index_harness import Followed, following, write

from ghostd.config.projects import IndexConfig
from ghostd.errors import RootError
from ghostd.index.service import index_once, open_index

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="uses prlimit and tmpfs"),
]

MANY = {
    f"d{n % 20}/m{n}.py": "".join(f"def f_{n}_{k}(a): return b_{n}_{k}(a)\n" for k in range(60)) for n in range(400)
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=False, capture_output=True
    )
    if done.returncode:
        pytest.skip("only root mounts a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


async def degrades_and_recovers(followed: Followed, fill: Callable[[], None], free: Callable[[], None]) -> None:
    """With the disk full, reading goes on and the status tells; afterwards the index is whole."""
    index, root = followed.index, followed.root
    fill()
    write(root, MANY)

    def failed() -> bool:
        return index.roots()[0].state == "failed"

    await followed.until_true(failed)
    assert "cannot be written" in index.roots()[0].detail or "the pass failed" in index.roots()[0].detail
    assert len(await index.definitions(root, "good")) == 1
    assert await index.search(root, {"good": 1.0})
    free()
    write(root, {"last.py": "def last_one(): pass\n"})
    await followed.until_defined("last_one")
    await followed.until_true(lambda: index.roots()[0].state == "ready" and index.roots()[0].pending == 0)
    assert len(await followed.paths()) == len(MANY) + 2
    assert len(await index.definitions(root, "f_399_59")) == 1
    assert index.roots()[0].detail == ""


async def test_a_full_disk_is_said_and_what_was_indexed_answers(root: Path, small_disk: Path) -> None:
    write(root, {"good.py": "def good(): pass\n"})
    ballast = small_disk / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return

    async with following(root, small_disk / "store") as followed:
        await degrades_and_recovers(followed, fill, lambda: _make_room(small_disk))


def _make_room(disk: Path) -> None:
    (disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)


async def test_a_file_that_may_not_grow_is_said_and_what_was_indexed_answers(root: Path, store: Path) -> None:
    """The same where every write beyond a size fails, without a file system of one's own."""
    write(root, {"good.py": "def good(): pass\n"})
    async with following(root, store) as followed:
        worker = followed.index.worker_pid
        assert worker is not None
        before = resource.prlimit(worker, resource.RLIMIT_FSIZE)

        def limit(size: int) -> None:
            resource.prlimit(worker, resource.RLIMIT_FSIZE, (size, before[1]))

        await degrades_and_recovers(followed, lambda: limit(64 * 1024), lambda: limit(before[0]))


async def test_a_first_pass_onto_a_full_disk_fails_with_words(root: Path, small_disk: Path) -> None:
    write(root, MANY)
    with (small_disk / "ballast").open("wb") as file:
        file.write(b"x" * (2 * 1024 * 1024 - 64 * 1024))
    with pytest.raises(RootError, match=r"cannot be written|the pass failed"):
        await index_once(small_disk / "store", root, IndexConfig())


async def test_a_store_that_may_only_be_read_refuses_the_root_and_no_other(
    root: Path, small_disk: Path, tmp_path: Path
) -> None:
    write(root, {"good.py": "def good(): pass\n"})
    (small_disk / "store").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    async with open_index(small_disk / "store", IndexConfig()) as index:
        with pytest.raises(RootError, match="cannot be written"):
            await index.add_root(root)
        assert index.roots() == ()
    assert (await index_once(tmp_path / "store", root, IndexConfig())).files == 1


async def test_a_folder_that_may_only_be_read_is_indexed_and_left_as_it_is(
    root: Path, store: Path, small_disk: Path
) -> None:
    write(small_disk / "project", {"good.py": "def good(): pass\n", "sub/a.py": "def a(): pass\n"})
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    async with following(small_disk / "project", store) as followed:
        assert await followed.paths() == ["good.py", "sub/a.py"]
        assert followed.index.roots()[0].state == "ready"
        assert sorted(path.name for path in (small_disk / "project").iterdir()) == ["good.py", "sub"]
