"""A tree made to do harm is indexed in bounded time; each path that is left out is listed with its reason."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from itertools import product
from pathlib import Path, PurePosixPath

import pytest
from index_harness import following, write

from ghostd.config.projects import IndexConfig
from ghostd.errors import RootError
from ghostd.index.service import index_once
from ghostd.indexed import IndexReport

pytestmark = pytest.mark.e2e

GOOD = {"good.py": "def good(): pass\n"}


async def once(root: Path, store: Path, config: IndexConfig | None = None) -> tuple[IndexReport, dict[str, str]]:
    """The report of one pass, and its skips."""
    async with asyncio.timeout(50):
        report = await index_once(store, root, config or IndexConfig())
    return report, {str(skip.path): skip.reason for skip in report.skips}


async def test_what_is_no_regular_file_is_never_opened(root: Path, store: Path) -> None:
    """Opening a FIFO would wait for a writer for ever."""
    write(root, GOOD)
    os.mkfifo(root / "pipe.py")
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(root)
        listener.bind("sock.py")
    report, skips = await once(root, store)
    assert report.files == 1
    assert skips == {
        "pipe.py": "not a regular file (a FIFO)",
        "sock.py": "not a regular file (a socket)",
    }


async def test_no_link_is_followed(root: Path, store: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside", {"secret.py": "def secret(): pass\n"})
    write(root, {**GOOD, "pkg/a.py": "x = 1\n"})
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "pkg" / "loop").symlink_to(root)
    (root / "self").symlink_to("self")
    (root / "dangling.py").symlink_to("nothing.py")
    (root / "alias.py").symlink_to("good.py")
    report, skips = await once(root, store)
    assert report.files == 2
    assert skips == {
        "alias.py": "a symbolic link; its target is indexed where it lies",
        "dangling.py": "a symbolic link to nothing",
        "out": "a symbolic link out of the root",
        "passwd": "a symbolic link out of the root",
        "pkg/loop": "a symbolic link to a folder; links are not followed",
        "self": "a symbolic link in a loop",
    }


async def test_files_over_a_limit_and_files_that_are_no_text_are_skipped(root: Path, store: Path) -> None:
    write(root, {**GOOD, "long.js": "x" * 30_000, "empty.py": ""})
    (root / "one-line.js").write_bytes(b"a=1;" * 1_300_000)
    (root / "large.txt").write_bytes(b"line\n" * 300_000)
    (root / "image.png").write_bytes(b"\x89PNG\r\n\0\0")
    (root / "latin.txt").write_bytes(b"caf\xe9\n")
    (root / "utf16.txt").write_bytes("text".encode("utf-16"))
    (root / "bom.py").write_bytes(b"\xef\xbb\xbfdef bom(): pass\n")
    report, skips = await once(root, store)
    assert report.files == 3
    assert skips == {
        "image.png": "binary (a NUL byte in its first 8 KiB)",
        "large.txt": "larger than index.max_file_bytes (1500000 > 1048576 bytes)",
        "latin.txt": "not UTF-8 text (byte 3)",
        "long.js": "a line longer than index.max_line_bytes (20000 bytes)",
        "one-line.js": "larger than index.max_file_bytes (5200000 > 1048576 bytes)",
        "utf16.txt": "binary (a NUL byte in its first 8 KiB)",
    }


async def test_lines_of_more_words_than_a_chunk_may_have_are_indexed(root: Path, store: Path) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    lengths = (letters,) * 2, (letters, letters, letters + "0123456789"), (letters,) * 4
    words = ["".join(word) for parts in lengths for word in product(*parts)]
    lines = textwrap.wrap(" ".join(words[:69_000]), 19_990)
    assert len(lines) == 16
    write(root, {**GOOD, "words.txt": "\n".join(lines)})
    async with following(root, store) as followed:
        assert await followed.paths() == ["good.py", "words.txt"]
        assert await followed.skips() == {}
        assert len(await followed.index.chunks(root, PurePosixPath("words.txt"))) == 1
        assert len(await followed.index.search(root, {"good": 1.0})) == 1


async def test_a_very_deep_tree_is_walked_to_the_limit(root: Path, store: Path) -> None:
    write(root, GOOD)
    os.chdir(root)
    for _ in range(3_000):  # deeper than a path may be long, and than Python may recurse
        Path("d").mkdir()
        os.chdir("d")
    Path("deep.py").write_text("x = 1\n")
    os.chdir("/")
    report, skips = await once(root, store)
    subprocess.run(["rm", "-rf", str(root)], check=True)  # pytest's own clean-up recurses
    assert report.files == 1
    (reason,) = skips.values()
    assert reason == "nested deeper than index.max_depth (64)"


async def test_files_beyond_the_limit_of_their_number_are_left_out(root: Path, store: Path) -> None:
    write(root, {f"f{n:02}.py": "x = 1\n" for n in range(20)})
    report, skips = await once(root, store, IndexConfig(max_files=10))
    assert report.files == 10
    assert "index.max_files (10)" in skips["f10.py"]


async def test_names_of_any_kind_are_indexed_or_skipped_with_a_reason(root: Path, store: Path) -> None:
    write(root, {"with space.py": "a = 1\n", "new\nline.py": "b = 1\n", "größe 猫.py": "c = 1\n", "-rf.py": "d = 1\n"})
    Path(os.fsdecode(os.fsencode(root) + b"/latin\xe9.py")).write_text("e = 1\n")
    async with following(root, store) as followed:
        assert await followed.paths() == ["-rf.py", "größe 猫.py", "new\nline.py", "with space.py"]
        assert await followed.skips() == {"latin\\xe9.py": "the name is not UTF-8"}
        Path(os.fsdecode(os.fsencode(root) + b"/other\xe9.py")).write_text("f = 1\n")
        write(root, {"new\nline.py": "changed = 1\n"})
        await followed.until_defined("changed")

        async def both() -> bool:
            return len(await followed.skips()) == 2

        await followed.until_true(both)


async def test_a_root_whose_path_is_not_utf8_is_refused(tmp_path: Path, store: Path) -> None:
    root = tmp_path / os.fsdecode(b"\xff")
    root.mkdir()
    with pytest.raises(RootError, match="not UTF-8"):
        await index_once(store, root, IndexConfig())


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
async def test_what_may_not_be_read_is_skipped(root: Path, store: Path) -> None:
    write(root, {**GOOD, "closed.py": "x = 1\n", "locked/a.py": "y = 1\n"})
    (root / "closed.py").chmod(0)
    (root / "locked").chmod(0)
    report, skips = await once(root, store)
    (root / "locked").chmod(0o700)
    assert report.files == 1
    assert skips == {"closed.py": "unreadable: Permission denied", "locked": "unreadable: Permission denied"}


async def test_an_ignore_file_made_to_hang_the_matcher_does_not(root: Path, store: Path) -> None:
    hang = "*a*a*a*a*a*a*a*a*a*a*b\n**/**/a/**/**/a/**/b\n*.log\n"
    write(root, {**GOOD, ".gitignore": hang, "a" * 200: "text\n", "x.log": "log\n"})
    report, skips = await once(root, store)
    assert report.files == 3
    assert skips == {".gitignore": "not applied, as it would take too long: '**/**/a/**/**/a/**/b'"}


async def test_ignore_files_without_end_are_applied_up_to_a_limit(root: Path, store: Path) -> None:
    many = "".join(f"*x*x*x*x{n}\n" for n in range(4_000))
    write(root, {**GOOD, ".gitignore": many, "sub/.gitignore": many + "a.log\n", "sub/a.log": "x\n", "x" * 200: "x\n"})
    write(root, {"huge/.gitignore": "x" * 300_000 + "\n", "giant/.gitignore": "*.log\n" * 300_000})
    os.mkfifo(root / "sub/.ghostdignore")
    (root / "huge/.ghostdignore").symlink_to("/etc/passwd")
    report, skips = await once(root, store)
    assert report.files == 5
    assert skips == {
        "giant/.gitignore": "ignore file larger than 262144 bytes: its rules are not applied",
        "huge/.ghostdignore": "a symbolic link out of the root",
        "huge/.gitignore": "ignore file larger than 262144 bytes: its rules are not applied",
        "sub/.ghostdignore": "not a regular file (a FIFO)",
        "sub/.gitignore": "more than 5000 patterns hold in its folder: its own are not applied",
    }


async def test_a_deeply_nested_file_costs_its_time_limit_and_nothing_else(root: Path, store: Path) -> None:
    """tree-sitter's error recovery is quadratic on unclosed braces: the kernel ends the worker, which comes back."""
    write(root, {"a.py": "def first(): pass\n", "bomb.js": "{\n" * 200_000, "z.py": "def last(): pass\n"})
    config = IndexConfig(parse_timeout_ms=300)
    async with following(root, store, config) as followed:
        assert await followed.paths() == ["a.py", "z.py"]
        assert await followed.skips() == {
            "bomb.js": "parsing took longer than index.parse_timeout_ms (300 ms of CPU time)"
        }
        assert len(await followed.index.definitions(root, "last")) == 1
    report, skips = await once(root, store, config)
    assert report.parsed == 0
    assert list(skips) == ["bomb.js"]
    async with following(root, store, config) as followed:
        write(root, {"bomb.js": "function calm() {}\n"})
        await followed.until_defined("calm")
        assert await followed.skips() == {}


async def test_a_file_that_needs_too_much_memory_is_skipped(root: Path, store: Path) -> None:
    write(root, {**GOOD, "huge.c": "int x = " + "(1+\n" * 100_000 + "1;\n" + "int y;\n" * 60_000})
    report, skips = await once(root, store, IndexConfig(parse_memory_mb=48, parse_timeout_ms=20_000))
    assert report.files == 1
    assert "parse_memory_mb" in skips["huge.c"]


async def test_a_parser_that_crashes_loses_only_its_file(
    root: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing_grammar(tmp_path, monkeypatch, "SIGSEGV")
    write(
        root, {"a.py": "def first(): pass\n", "b.zig": "const x = 1;\n", "c.zig": "const y = 1;\n", "d.py": "z = 1\n"}
    )
    report, skips = await once(root, store)
    assert report.files == 2
    reason = "the parser crashed (SIGSEGV); perhaps it needed more memory than index.parse_memory_mb (1024)"
    assert skips == {"b.zig": reason, "c.zig": reason}


async def test_a_pass_goes_on_where_the_parser_died(
    root: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read stays read, and the root is not walked again: however many files the parser dies of."""
    crashing_grammar(tmp_path, monkeypatch, "SIGSEGV")
    good = {f"{letter}{n}.py": f"def {letter}{n}(): pass\n" for letter in "bdfh" for n in range(20)}
    write(root, good | {f"{letter}.zig": "const x = 1;\n" for letter in "acegi"})
    for path in root.iterdir():
        os.utime(path, (1, 1))  # else what has just been written is looked at once more
    told: list[tuple[int, int]] = []
    async with asyncio.timeout(50):
        report = await index_once(store, root, IndexConfig(), lambda done, total: told.append((done, total)))
    assert report.files == len(good)
    assert sorted(str(skip.path) for skip in report.skips) == ["a.zig", "c.zig", "e.zig", "g.zig", "i.zig"]
    assert {total for _, total in told} == {85}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert [path.suffix for path in store.iterdir() if path.suffix == ".pass"] == []


async def test_a_worker_that_is_killed_from_outside_blames_a_file_only_the_second_time(
    root: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing_grammar(tmp_path, monkeypatch, "SIGKILL", once=tmp_path / "killed")
    write(root, {"a.py": "def first(): pass\n", "b.zig": "const x = 1;\n"})
    report, skips = await once(root, store)
    assert (tmp_path / "killed").exists()
    assert report.files == 2
    assert skips == {}


def crashing_grammar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, once: Path | None = None) -> None:
    """Let the worker find a Zig grammar that kills it: always, or while the file `once` does not exist."""
    folder = tmp_path / "modules"
    folder.mkdir()
    condition = "True" if once is None else f"not os.path.exists({str(once)!r})"
    (folder / "tree_sitter_zig.py").write_text(
        "import os, signal, sys\n"
        f"if {condition}:\n"
        f"    open({str(once or tmp_path / 'unused')!r}, 'w').close()\n"
        f"    os.kill(os.getpid(), signal.{name})\n"
        "here = os.path.dirname(__file__)\n"
        "sys.path.remove(here)\n"
        "del sys.modules['tree_sitter_zig']\n"
        "from tree_sitter_zig import language\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(folder))


async def test_a_worker_that_always_dies_fails_the_root_and_says_so(
    root: Path, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "modules"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    write(root, GOOD)
    with pytest.raises(RootError, match=r"the index worker keeps ending \(SIGKILL\)"):
        await once(root, store)


async def test_a_killed_worker_is_replaced_and_nothing_is_lost(root: Path, store: Path) -> None:
    write(root, GOOD)
    async with following(root, store) as followed:
        for number in range(3):
            pid = followed.index.worker_pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            write(root, {"next.py": f"def after_{number}(): pass\n"})
            await followed.until_defined(f"after_{number}")


async def test_a_hostile_module_in_the_root_or_working_directory_is_not_imported(
    root: Path, store: Path, tmp_path: Path
) -> None:
    evil = f"open({str(tmp_path / 'ran')!r}, 'w').close()\n"
    write(root, {"ghostd/__init__.py": evil, "tree_sitter.py": evil, "json.py": evil, "a.py": "def a(): pass\n"})
    os.chdir(root)
    report, _ = await once(root, store)
    assert report.files == 4
    assert not (tmp_path / "ran").exists()


@pytest.fixture(autouse=True)
def come_back() -> Iterator[None]:
    """Tests here change the working directory."""
    before = Path.cwd()
    yield
    os.chdir(before)
