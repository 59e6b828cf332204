"""Changes on disk reach the index, by inotify and by watchfiles; nothing that happens after wait_ready is lost."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pygit2
import pytest
from index_harness import Followed, following, write

from ghostd.config.projects import IndexConfig
from ghostd.index import inotify
from ghostd.index.service import index_once
from ghostd.index.watch import InotifyWatch, NoWatch, Watch, WatchfilesWatch
from ghostd.indexed import ChangeBatch

pytestmark = pytest.mark.e2e

MakeWatch = Callable[[], Watch]


@pytest.fixture(params=["inotify", "watchfiles"])
def make_watch(request: pytest.FixtureRequest) -> MakeWatch:
    """Each way to notice changes."""
    if request.param == "watchfiles":
        return WatchfilesWatch
    if not inotify.available():
        pytest.skip("this system has no inotify")
    return lambda: InotifyWatch(inotify.create())


async def test_created_changed_and_deleted_files_are_followed(root: Path, store: Path, make_watch: MakeWatch) -> None:
    write(root, {"a.py": "def one(): pass\n"})
    async with following(root, store, watch=make_watch()) as followed:
        write(root, {"new/b.py": "def two(): pass\n"})
        await followed.until_defined("two")
        write(root, {"a.py": "def three(): pass\n"})
        await followed.until_defined("three")
        assert await followed.index.definitions(root, "one") == []
        (root / "a.py").unlink()
        await followed.until(["new/b.py"])
        shutil.rmtree(root / "new")
        await followed.until([])


async def test_a_commit_names_what_changed_and_raises_the_generation(root: Path, store: Path) -> None:
    write(root, {"a.py": "x = 1\n", "b.py": "y = 1\n"})
    async with following(root, store) as followed:
        before = followed.index.roots()[0].generation
        followed.batches.clear()
        write(root, {"a.py": "x = 2\n"})
        await followed.until_true(lambda: followed.batches)
        (batch,) = followed.batches
        assert batch == ChangeBatch(root, before + 1, (batch.changed[0],), ())
        assert str(batch.changed[0]) == "a.py"
        (root / "b.py").unlink()
        await followed.until_true(lambda: len(followed.batches) == 2)
        assert [str(path) for path in followed.batches[1].removed] == ["b.py"]
        assert followed.index.roots()[0].generation == before + 2


async def test_the_report_counts_what_there_is_now(root: Path, store: Path) -> None:
    write(root, {"a.py": "x = 1\n"})
    async with following(root, store) as followed:
        await followed.until(["a.py"])
        write(root, {"b.py": "y = x\n"})
        await followed.until(["a.py", "b.py"])
        report = await followed.index.wait_ready(root)
    assert (report.files, report.symbols, report.references, report.size_bytes) == (2, 2, 1, 12)


async def test_a_file_saved_with_equal_content_commits_nothing(root: Path, store: Path) -> None:
    write(root, {"a.py": "x = 1\n"})
    async with following(root, store) as followed:
        followed.batches.clear()
        write(root, {"a.py": "x = 1\n"})
        write(root, {"b.py": "y = 1\n"})
        await followed.until(["a.py", "b.py"])
        assert [str(path) for batch in followed.batches for path in batch.changed] == ["b.py"]


async def test_a_file_replaced_by_rename_is_followed(root: Path, store: Path, make_watch: MakeWatch) -> None:
    """How most editors save."""
    write(root, {"a.py": "def old(): pass\n"})
    async with following(root, store, watch=make_watch()) as followed:
        write(root, {"a.py.tmp": "def new(): pass\n"})
        (root / "a.py.tmp").rename(root / "a.py")
        await followed.until_defined("new")
        await followed.until(["a.py"])


async def test_a_renamed_folder_moves_its_files_and_stays_watched(
    root: Path, store: Path, make_watch: MakeWatch
) -> None:
    write(root, {"old/deep/a.py": "def one(): pass\n", "old/b.py": "def two(): pass\n"})
    async with following(root, store, watch=make_watch()) as followed:
        (root / "old").rename(root / "new")
        await followed.until(["new/b.py", "new/deep/a.py"])
        write(root, {"new/deep/a.py": "def three(): pass\n"})
        await followed.until_defined("three")
        (root / "new").rename(root / "old")
        await followed.until(["old/b.py", "old/deep/a.py"])
        write(root, {"old/deep/c.py": "def four(): pass\n"})
        await followed.until_defined("four")


async def test_a_package_in_the_place_of_one_of_the_same_sizes_and_times_is_read(root: Path, store: Path) -> None:
    """As npm and reproducible archives give all files of all versions one time."""

    def unpack(folder: str, version: int) -> None:
        write(root, {f"{folder}/main.py": f"def version_{version}(): pass\n"})
        os.utime(root / folder / "main.py", (499162500, 499162500))

    unpack("package", 1)
    async with following(root, store) as followed:
        await followed.until_defined("version_1")
        unpack("package.new", 2)
        await followed.until_defined("version_2")
        shutil.rmtree(root / "package")
        (root / "package.new").rename(root / "package")
        await followed.until(["package/main.py"])
        await followed.until_defined("version_1", 0)
    unpack("package", 3)
    async with following(root, store) as followed:
        await followed.until_defined("version_3")


async def test_a_rename_that_changes_only_case_is_followed(root: Path, store: Path) -> None:
    write(root, {"a.py": "def one(): pass\n", "pkg/b.py": "def two(): pass\n"})
    async with following(root, store) as followed:
        (root / "a.py").rename(root / "A.py")
        (root / "pkg").rename(root / "Pkg")
        await followed.until(["A.py", "Pkg/b.py"])


async def test_a_folder_moved_in_from_outside_is_indexed_and_watched(
    root: Path, store: Path, tmp_path: Path, make_watch: MakeWatch
) -> None:
    write(tmp_path / "outside", {"a.py": "def one(): pass\n"})
    async with following(root, store, watch=make_watch()) as followed:
        (tmp_path / "outside").rename(root / "inside")
        await followed.until(["inside/a.py"])
        write(root, {"inside/b.py": "def two(): pass\n"})
        await followed.until_defined("two")
        (root / "inside").rename(tmp_path / "outside")
        await followed.until([])


async def test_a_changed_gitignore_changes_what_is_indexed(root: Path, store: Path, make_watch: MakeWatch) -> None:
    write(root, {"a.py": "x = 1\n", "gen/b.py": "y = 1\n", "gen/deep/c.py": "z = 1\n"})
    async with following(root, store, watch=make_watch()) as followed:
        write(root, {".gitignore": "gen/\n"})
        await followed.until([".gitignore", "a.py"])
        write(root, {".gitignore": "gen/deep\n"})
        await followed.until([".gitignore", "a.py", "gen/b.py"])
        (root / ".gitignore").unlink()
        await followed.until(["a.py", "gen/b.py", "gen/deep/c.py"])
        write(root, {"gen/deep/d.py": "w = 1\n"})
        await followed.until(["a.py", "gen/b.py", "gen/deep/c.py", "gen/deep/d.py"])


async def test_changes_of_ignored_files_commit_nothing(root: Path, store: Path, make_watch: MakeWatch) -> None:
    write(root, {".gitignore": "*.log\nout/\n", "a.py": "x = 1\n", "out/b.py": "y = 1\n"})
    async with following(root, store, watch=make_watch()) as followed:
        followed.batches.clear()
        for number in range(5):
            write(root, {"debug.log": str(number), "out/b.py": f"y = {number}\n", "node_modules/m/i.js": str(number)})
        write(root, {"last.py": "z = 1\n"})
        await followed.until([".gitignore", "a.py", "last.py"])
        changed = {str(path) for batch in followed.batches for path in batch.changed}
        assert changed == {"last.py"}


async def test_a_file_in_the_place_of_an_ignored_folder_is_indexed(
    root: Path, store: Path, make_watch: MakeWatch
) -> None:
    write(root, {".gitignore": "out/\n"})
    async with following(root, store, watch=make_watch()) as followed:
        write(root, {"out/a.py": "x = 1\n", "b.py": "y = 1\n"})
        await followed.until([".gitignore", "b.py"])
        shutil.rmtree(root / "out")
        write(root, {"out": "now a file\n"})
        await followed.until([".gitignore", "b.py", "out"])


async def test_a_folder_in_the_place_of_a_file_takes_its_definitions_away(
    root: Path, store: Path, make_watch: MakeWatch
) -> None:
    async with following(root, store, watch=make_watch()) as followed:
        write(root, {"a": "x = 1\n", "b.py": "y = 1\n"})
        await followed.until(["a", "b.py"])
        (root / "a").unlink()
        write(root, {"a/inner.py": "x = 2\n"})
        await followed.until(["a/inner.py", "b.py"])
        shutil.rmtree(root / "a")
        os.mkfifo(root / "a")
        await followed.until(["b.py"])
        (root / "a").unlink()
        write(root, {"a/inner.py": "x = 3\n"})
        await followed.until(["a/inner.py", "b.py"])
        assert await followed.index.skips(root) == []


async def test_what_was_skipped_in_a_folder_is_not_when_a_link_takes_its_place(root: Path, store: Path) -> None:
    write(root, {"folder/a.py": "x = 1\n"})
    (root / "folder" / "link").symlink_to("/nowhere")
    async with following(root, store) as followed:
        assert await followed.skips() == {"folder/link": "a symbolic link to nothing"}
        (root / "folder").rename(root / "other")
        (root / "folder").symlink_to("/nowhere")

        async def only_these() -> bool:
            return sorted(await followed.skips()) == ["folder", "other/link"]

        await followed.until_true(only_these)


async def test_a_folder_that_becomes_a_virtual_environment_is_left_out(root: Path, store: Path) -> None:
    async with following(root, store) as followed:
        write(root, {"env/lib/a.py": "x = 1\n"})
        await followed.until(["env/lib/a.py"])
        write(root, {"env/pyvenv.cfg": "home = /usr\n"})
        await followed.until([])


async def test_a_file_that_becomes_too_large_is_skipped_until_it_shrinks(root: Path, store: Path) -> None:
    write(root, {"a.py": "x = 1\n"})
    async with following(root, store, IndexConfig(max_file_bytes=100)) as followed:
        write(root, {"a.py": "# " + "x" * 200})
        await followed.until([])
        assert "index.max_file_bytes" in (await followed.skips())["a.py"]
        write(root, {"a.py": "x = 2\n"})
        await followed.until(["a.py"])
        assert await followed.skips() == {}


@pytest.mark.timeout(300)
async def test_after_a_storm_the_index_equals_a_full_pass(
    root: Path, store: Path, tmp_path: Path, make_watch: MakeWatch
) -> None:
    """10,000 files written, some changed, some deleted, a folder renamed, while the index follows."""
    async with following(root, store, watch=make_watch()) as followed:
        await asyncio.to_thread(storm, root)
        expected = {str(path.relative_to(root)) for path in root.rglob("*.py")}

        async def same() -> bool:
            status = followed.index.roots()[0]
            if status.pending or status.files != len(expected):
                return False  # cheaper than to ask for the paths after each commit
            return set(await followed.paths()) == expected

        await followed.until_true(same)
        await followed.until_defined("last_change")
        hashes = await followed.hashes()
        definitions = [s.path for s in await followed.index.symbols(root, "f_", limit=20_000)]
    await index_once(tmp_path / "fresh", root, IndexConfig())
    async with following(root, tmp_path / "fresh") as fresh:
        assert await fresh.hashes() == hashes
        assert [s.path for s in await fresh.index.symbols(root, "f_", limit=20_000)] == definitions


@pytest.mark.timeout(180)
async def test_after_switches_between_branches_the_index_equals_a_full_pass(
    root: Path, store: Path, tmp_path: Path, make_watch: MakeWatch
) -> None:
    """Files of one branch only, files that differ, a folder under another name, and names that differ by case."""
    repository = pygit2.init_repository(str(root), initial_head="one")
    shared = {f"s{n % 5}/m{n}.py": f"def shared_{n}(): pass\n" for n in range(100)}
    ours = {f"p/d{n % 9}/m{n}.py": f"def f_{n}(): return 1\n" for n in range(300)} | {"Case.py": "def f_case(): pass\n"}
    other = {f"q/d{n % 9}/m{n}.py": f"def f_{n}(): return {n % 2}\n" for n in range(300)}
    write(root, shared | ours)
    commit_all(repository, "one")
    repository.branches.local.create("two", repository[repository.head.target].peel(pygit2.Commit))
    repository.checkout("refs/heads/two")
    shutil.rmtree(root / "p")
    (root / "Case.py").unlink()
    write(root, {**other, "case.py": "def f_case_two(): pass\n", "s0/m0.py": "def f_changed(): pass\n"})
    commit_all(repository, "two")
    async with following(root, store, watch=make_watch()) as followed:
        for branch in ("one", "two", "one"):
            await asyncio.to_thread(repository.checkout, f"refs/heads/{branch}")
            expected = {str(path.relative_to(root)) for path in root.rglob("*.py")}

            async def same(expected: set[str] = expected) -> bool:
                return not followed.index.roots()[0].pending and set(await followed.paths()) == expected

            await followed.until_true(same)
            await followed.until_defined("f_changed", int(branch == "two"))
            found = await followed.hashes(), await followed.index.symbols(root, "f_", limit=1000)
            async with following(root, tmp_path / f"fresh {branch}") as fresh:
                assert (await fresh.hashes(), await fresh.index.symbols(root, "f_", limit=1000)) == found


def commit_all(repository: pygit2.Repository, message: str) -> None:
    """Commit the whole working tree to the current branch."""
    repository.index.add_all()
    for entry in [entry.path for entry in repository.index if not Path(repository.workdir, entry.path).exists()]:
        repository.index.remove(entry)
    repository.index.write()
    author = pygit2.Signature("a", "a@b", 1_700_000_000, 0)
    parents = [] if repository.is_empty or repository.head_is_unborn else [repository.head.target]
    repository.create_commit("HEAD", author, author, message, repository.index.write_tree(), parents)


def storm(root: Path) -> None:
    """Change much, fast."""
    for folder in range(100):
        write(root, {f"d{folder}/m{n}.py": f"def f_{folder}_{n}(): pass\n" for n in range(100)})
    for folder in range(0, 100, 7):
        write(root, {f"d{folder}/m{n}.py": f"def f_{folder}_{n}(): return {n}\n" for n in range(0, 100, 3)})
    for folder in range(0, 100, 11):
        shutil.rmtree(root / f"d{folder}")
    (root / "d5").rename(root / "renamed")
    write(root, {"renamed/m0.py": "def last_change(): pass\n"})


@pytest.mark.skipif(not inotify.available(), reason="only inotify sees the folder come back")
async def test_a_root_that_is_deleted_fails_and_recovers_when_it_returns(root: Path, store: Path) -> None:
    write(root, {"a.py": "def one(): pass\n"})
    async with following(root, store) as followed:
        shutil.rmtree(root)
        await followed.until_true(lambda: state(followed) == "failed")
        assert "gone" in followed.index.roots()[0].detail
        write(root, {"b.py": "def two(): pass\n"})
        await followed.until(["b.py"])
        await followed.until_true(lambda: state(followed) == "ready")
        write(root, {"c.py": "def three(): pass\n"})
        await followed.until(["b.py", "c.py"])


@pytest.mark.skipif(not inotify.available(), reason="only inotify sees the folder come back")
async def test_a_root_that_is_moved_away_and_back_is_followed_again(root: Path, store: Path, tmp_path: Path) -> None:
    write(root, {"a.py": "def one(): pass\n"})
    async with following(root, store) as followed:
        root.rename(tmp_path / "away")
        await followed.until_true(lambda: state(followed) == "failed")
        (tmp_path / "away").rename(root)
        await followed.until_true(lambda: state(followed) == "ready")
        write(root, {"b.py": "def two(): pass\n"})
        await followed.until(["a.py", "b.py"])


@pytest.mark.skipif(not inotify.available(), reason="inotify's queue")
async def test_a_file_system_that_is_unmounted_takes_its_files_away(root: Path, store: Path) -> None:
    write(root, {"a.py": "x = 1\n", "mounted/hidden.py": "x = 1\n"})
    if subprocess.run(["mount", "-t", "tmpfs", "none", root / "mounted"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount anything")
    try:
        write(root, {"mounted/b.py": "x = 1\n"})
        async with following(root, store) as followed:
            await followed.until(["a.py", "mounted/b.py"])
            subprocess.run(["umount", root / "mounted"], check=True)
            await followed.until(["a.py", "mounted/hidden.py"])
    finally:
        subprocess.run(["umount", root / "mounted"], check=False, capture_output=True)


async def test_lost_events_are_made_up_for_by_a_full_comparison(root: Path, store: Path) -> None:
    """What the kernel reports as IN_Q_OVERFLOW is told to every root."""
    watch = InotifyWatch(inotify.create())
    async with following(root, store, watch=watch) as followed:
        deaf(watch)
        write(root, {"a.py": "x = 1\n"})
        watch._handle(inotify.Event(-1, inotify.IN_Q_OVERFLOW, ""))
        await followed.until(["a.py"])


def deaf(watch: InotifyWatch) -> None:
    """Let the events so far, and all later ones, go unheard."""
    asyncio.get_running_loop().remove_reader(watch.descriptor)


async def test_a_missed_change_is_found_by_the_periodic_check(root: Path, store: Path) -> None:
    if not inotify.available():
        pytest.skip("uses inotify to be deaf")
    watch = InotifyWatch(inotify.create())
    async with following(root, store, IndexConfig(reconcile_s=0.2), watch) as followed:
        deaf(watch)
        write(root, {"a.py": "x = 1\n"})
        await followed.until(["a.py"])


async def test_a_root_that_cannot_be_watched_says_so_and_is_compared_now_and_then(root: Path, store: Path) -> None:
    watch = NoWatch("inotify gives no instance")
    async with following(root, store, IndexConfig(reconcile_s=0.2), watch) as followed:
        detail = "inotify gives no instance: some changes are seen only every 0.2 s"
        assert (state(followed), followed.index.roots()[0].detail) == ("ready", detail)
        write(root, {"a.py": "x = 1\n"})
        await followed.until(["a.py"])
        assert followed.index.roots()[0].detail == detail


async def test_nested_roots_follow_a_shared_file_both(root: Path, store: Path) -> None:
    write(root, {"sub/a.py": "def one(): pass\n"})
    async with following(root, store) as followed:
        inner = Followed(followed.index, root / "sub")
        await followed.index.add_root(root / "sub")
        await followed.index.wait_ready(root / "sub")
        write(root, {"sub/a.py": "def two(): pass\n"})
        await followed.until_defined("two")
        await inner.until_defined("two")
        await followed.index.remove_root(root / "sub")
        write(root, {"sub/a.py": "def three(): pass\n"})
        await followed.until_defined("three")


async def test_no_change_during_the_first_pass_is_lost(root: Path, store: Path) -> None:
    """Files are written into folders while they are walked for the first time."""
    write(root, {f"d{n}/a.py": f"a_{n} = 1\n" for n in range(200)})
    async with following(root, store) as followed:
        await followed.index.remove_root(root)
        await followed.index.add_root(root)
        for n in range(200):
            write(root, {f"d{n}/b.py": f"b_{n} = 1\n", f"d{n}/new/c.py": f"c_{n} = 1\n"})
            await asyncio.sleep(0)
        await followed.index.wait_ready(root)
        await followed.until(sorted(str(path.relative_to(root)) for path in root.rglob("*.py")))


async def test_the_folder_of_the_store_may_lie_in_the_root(root: Path) -> None:
    """Its own writes must not wake it for ever."""
    write(root, {"a.py": "x = 1\n"})
    async with following(root, root / ".my [store]") as followed:
        write(root, {"b.py": "y = 1\n"})
        await followed.until_defined("y")
        await followed.until_true(lambda: followed.index.roots()[0].pending == 0)
        assert await followed.paths() == ["a.py", "b.py"]
        assert await followed.skips() == {}


def state(followed: Followed) -> str:
    """The root's state."""
    return followed.index.roots()[0].state


def test_ended_watches_leave_no_thread_and_no_descriptor(root: Path, store: Path, make_watch: MakeWatch) -> None:
    def descriptors() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())) if inotify.available() else 0

    async def once() -> None:
        async with following(root, store, watch=make_watch()):
            pass

    asyncio.run(once())  # what the process opens once and for all
    before = descriptors()
    for _ in range(3):
        asyncio.run(once())
    assert descriptors() <= before + 1  # other tests' leftovers come and go
