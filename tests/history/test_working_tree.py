"""What is not committed: sparse checkouts, split indexes, links, filters, names that differ by case."""

import hashlib
import os
import struct
from pathlib import Path, PurePosixPath

import pytest
from history_harness import commit, git

from ghostd.code_ports import GitHistory, Index

P = PurePosixPath


async def changed(history: GitHistory, root: Path) -> dict[str, str]:
    return {str(change.path): change.kind for change in await history.uncommitted(root)}


@pytest.mark.parametrize("sparse_index", ["--no-sparse-index", "--sparse-index"])
async def test_a_sparse_checkout_lacks_nothing(repository: Path, history: GitHistory, sparse_index: str) -> None:
    commit(repository, "one", {"in/a.py": "1\n", "out/b.py": "1\n", "out/deep/c.py": "1\n", "top.py": "1\n"})
    git(repository, "sparse-checkout", "set", "--cone", sparse_index, "in")
    assert not (repository / "out").exists()
    assert await changed(history, repository) == {}
    (repository / "in/a.py").write_text("two\n")
    (repository / "top.py").unlink()
    assert await changed(history, repository) == {"in/a.py": "modified", "top.py": "deleted"}


async def test_a_split_index_is_joined(repository: Path, history: GitHistory) -> None:
    files = {f"{number:03}.py": f"{number}\n" for number in range(200)}
    commit(repository, "one", dict(files))
    git(repository, "update-index", "--split-index")
    (repository / "100.py").write_text("changed\n")
    (repository / "new.py").write_text("new\n")
    git(repository, "add", "100.py", "new.py")
    git(repository, "rm", "-q", "--cached", "007.py")
    (repository / "007.py").unlink()
    assert list((repository / ".git").glob("sharedindex.*"))
    assert await changed(history, repository) == {"007.py": "deleted", "100.py": "modified", "new.py": "added"}
    for shared in (repository / ".git").glob("sharedindex.*"):
        shared.unlink()
    assert await changed(history, repository) == {}
    assert "split index" in history.state(repository).detail


async def test_a_folder_in_the_place_of_a_file_means_that_the_file_is_gone(
    repository: Path, history: GitHistory, index: Index
) -> None:
    commit(repository, "one", {"a.py": "1\n", "b.py": "1\n"})
    (repository / "a.py").unlink()
    (repository / "a.py").mkdir()
    (repository / "a.py/inner.py").write_text("2\n")
    await index.add_root(repository)
    await index.wait_ready(repository)
    assert await changed(history, repository) == {"a.py": "deleted", "a.py/inner.py": "added"}


async def test_the_files_of_a_submodule_are_no_changes_of_the_repository_around_it(
    repository: Path, history: GitHistory, index: Index, tmp_path: Path
) -> None:
    commit(repository, "one", {"a.py": "1\n"})
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", str(repository), "sub")
    git(outer, "commit", "-q", "-m", "with a submodule")
    (outer / "sub/a.py").write_text("2\n")
    (outer / "subway.py").write_text("1\n")
    await index.add_root(outer)
    await index.wait_ready(outer)
    assert await changed(history, outer) == {"subway.py": "added"}
    assert await changed(history, outer / "sub") == {"a.py": "modified"}


async def test_a_number_without_end_in_an_index_file_is_a_damage(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"a.py": "1\n"})
    header, entry = struct.pack(">4sII", b"DIRC", 4, 1), bytes(62)
    (repository / ".git/index").write_bytes(header + entry + b"\xff" * 3_000_000)
    assert await changed(history, repository) == {}
    assert history.state(repository).detail == "its index file is damaged"


async def test_a_folder_of_which_the_repository_around_it_has_nothing_has_no_changes(
    repository: Path, history: GitHistory, index: Index
) -> None:
    """Such as a package below an ignored `node_modules`, opened on its own."""
    commit(repository, "one", {"a.py": "1\n", ".gitignore": "packages/\n", "tool/b.py": "1\n"})
    for name in ("packages/one", "tool"):
        (repository / name).mkdir(parents=True, exist_ok=True)
        (repository / name / "new.py").write_text("1\n")
        await index.add_root(repository / name)
        await index.wait_ready(repository / name)
    assert await changed(history, repository / "packages/one") == {}
    assert await changed(history, repository / "tool") == {"new.py": "added"}


async def test_the_target_of_a_link_is_its_content(repository: Path, history: GitHistory) -> None:
    (repository / "link").symlink_to("one")
    commit(repository, "one", {"a.py": "1\n"})
    assert await changed(history, repository) == {}
    (repository / "link").unlink()
    (repository / "link").symlink_to("/etc/passwd")
    (change,) = await history.uncommitted(repository)
    assert (change.path, change.kind) == (P("link"), "modified")
    assert [hunk.added for hunk in change.hunks] == ["/etc/passwd"]


async def test_a_file_that_lfs_keeps_elsewhere_differs_when_its_content_does(
    repository: Path, history: GitHistory
) -> None:
    content = b"large\0content" * 100
    digest = hashlib.sha256(content).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize {len(content)}\n"
    commit(repository, "one", {"big.bin": pointer})
    (repository / "big.bin").write_bytes(content)
    assert await changed(history, repository) == {}
    (repository / "big.bin").write_bytes(content + b"more")
    assert await changed(history, repository) == {"big.bin": "modified"}


async def test_a_file_whose_time_alone_changed_does_not_differ(repository: Path, history: GitHistory) -> None:
    commit(repository, "one", {"a.py": "1\n", "crlf.py": "1\n2\n"})
    os.utime(repository / "a.py", (1, 1))
    (repository / "crlf.py").write_bytes(b"1\r\n2\r\n")
    assert await changed(history, repository) == {}


async def test_names_that_differ_by_case_are_two_files(repository: Path, history: GitHistory, index: Index) -> None:
    commit(repository, "one", {"Name.py": "text\n" * 9, "friend.py": "1"}, 1_700_000_000)
    git(repository, "mv", "Name.py", "name.py")
    await index.add_root(repository)
    await index.wait_ready(repository)
    assert await changed(history, repository) == {"name.py": "renamed"}
    commit(repository, "two", {}, 1_700_000_100)
    await history.wait_read(repository)
    assert [str(one.path) for one in await history.co_changed(repository, P("friend.py"))] == ["name.py"]
    assert [one.subject for one in await history.commits(repository, P("name.py"))] == ["two", "one"]
