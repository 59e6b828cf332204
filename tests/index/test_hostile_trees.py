"""Trees made to do harm by their size or their movement: time and memory are bounded, and the rest is indexed."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from index_harness import following, write

from ghostd.config.projects import IndexConfig
from ghostd.errors import RootError
from ghostd.index.examine import Gone, examine
from ghostd.index.inside import RootFiles, open_folder
from ghostd.index.scan import Limits, Walk
from ghostd.index.service import index_once
from ghostd.index.store import Record
from ghostd.indexed import IndexReport

pytestmark = pytest.mark.e2e

GOOD = {"good.py": "def good(): pass\n"}
ENDED = ("parsing took longer than index.parse_timeout_ms", "the parser crashed (SIG", "parsing it needs more memory")

BRACKETS = ("(", "[", "{", "((a)", "a(b,", "{}{")
OPERATORS = ("-!", "a.b+", "a?b:", "*&", "a<b>", "<<")
SHAPES: dict[str, tuple[str, ...]] = {
    "py": ("def f():return (lambda: ", "not ", 'f"{', "if a: ", '"""', "(yield ", "@a\n"),
    "ts": ("function f(){", "`${", "a as b<", "type A<T>=T extends ", "/*", "class A{x(){", "async ()=>("),
    "tsx": ("<a>", "<a b={<c>", "`${", "function f(){return <a>{", "</"),
    "js": ("function f(){", "`${", "x=>", "/a[", "class A{x(){", "new ", "async function*f(){yield "),
    "rs": ("fn f(){", "/*", "match a{_=>", 'r#"', "impl A for ", "Vec<", "#[a(", "a!{"),
    "zig": ("fn f() void {", "if (a) ", "struct {", "switch (a) {", "comptime ", ".{", "a orelse ", "@a("),
    "go": ("func(){", "map[a]", "struct{", "select{case a:", "[]", "if a {", "func f() {"),
    "c": ("int f(){", "#if a\n", "struct{", "/*", "sizeof(", "else if(a)", "*(int(", "switch(a){case 1:"),
    "cpp": ("namespace a{", "template<", "decltype(", "[](){", 'R"x(', "class A:B<", "operator", "#if a\n"),
    "java": ("class A{", "()->{", "List<", "switch(a){case 1->", "new A(){", "@A(", "int f(){"),
    "lua": ("function f() ", "[==[", "repeat ", "if a then ", "local a=function() ", "{a=", "--[["),
    "rb": ("def f\n", '"#{', "%w(", "<<~A\n", "begin ", "->{", "class A\n", "unless a\n", "|a|"),
    "cs": ("namespace A{", '$"{', '@"', "x=>{", "List<", "#if a\n", "switch(a){case 1:", "from a in "),
    "sh": ("f(){", "$(", "<<A\n", "if a;then ", "${a:-", "$((", "case a in a) ", "`", "[[ ", "a=("),
}
"""What is repeated without an end, by file extension: one for each of the grammars."""


def bomb(unit: str, size: int) -> str:
    """The unit over and over, in lines of some 60 characters."""
    line = unit * max(1, 60 // len(unit)) + "\n"
    return line * (size // len(line))


async def once(root: Path, store: Path, config: IndexConfig | None = None) -> tuple[IndexReport, dict[str, str]]:
    report = await index_once(store, root, config or IndexConfig())
    return report, {str(skip.path): skip.reason for skip in report.skips}


async def test_a_sparse_file_of_200_mb_is_not_read(root: Path, store: Path) -> None:
    write(root, GOOD)
    with (root / "sparse.py").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    report, skips = await once(root, store)
    assert report.files == 1
    assert skips == {"sparse.py": "larger than index.max_file_bytes (209715200 > 1048576 bytes)"}


async def test_a_file_larger_than_the_memory_that_is_allowed_is_skipped(root: Path, store: Path) -> None:
    write(root, {**GOOD, "large.py": "\n" * 10_000})
    for name in ("large.py", "binary.py"):
        with (root / name).open("ab") as file:
            file.truncate(200 * 1024 * 1024)
    large = 2**30
    report, skips = await once(root, store, IndexConfig(max_file_bytes=large, max_line_bytes=large, parse_memory_mb=64))
    assert report.files == 1
    assert skips == {
        "binary.py": "binary (a NUL byte in its first 8 KiB)",  # of which no more than the beginning is read
        "large.py": "reading it needs more memory than index.parse_memory_mb allows",
    }


@pytest.mark.parametrize("name", ["one.js", "one.json", "one.py", "one.txt"])
async def test_a_line_of_5_mb_ends_in_rows_or_in_a_reason_where_limits_let_it_in(
    root: Path, store: Path, name: str
) -> None:
    write(root, {**GOOD, name: "a=[1,'x'];" * 500_000})
    large = 8 * 1024 * 1024
    report, skips = await once(root, store, IndexConfig(max_file_bytes=large, max_line_bytes=large))
    assert report.files == 2 - len(skips)
    assert all(reason.startswith(ENDED) for reason in skips.values())


async def check_bombs(root: Path, store: Path, units: dict[str, tuple[str, ...]], size: int, timeout_ms: int) -> None:
    """Each bomb is indexed or skipped for what the parser did, some are skipped, and the good files are found."""
    names = [f"{number:02}.{extension}" for extension, each in units.items() for number in range(len(each))]
    texts = [bomb(unit, size) for each in units.values() for unit in each]
    write(root, {**GOOD, "zz.py": "def last(): pass\n", **dict(zip(names, texts, strict=True))})
    async with following(root, store, IndexConfig(parse_timeout_ms=timeout_ms, parse_memory_mb=256)) as followed:
        paths, skips = await followed.paths(), await followed.skips()
        assert sorted([*paths, *skips]) == sorted(["good.py", "zz.py", *names])
        assert all(reason.startswith(ENDED) for reason in skips.values()), skips
        assert {name.rpartition(".")[2] for name in skips} == set(units)
        assert len(await followed.index.definitions(root, "good")) == 1
        assert len(await followed.index.definitions(root, "last")) == 1
        write(root, {"next.py": "def next_one(): pass\n"})
        await followed.until_defined("next_one")


@pytest.mark.timeout(300)
async def test_nested_brackets_cost_each_of_the_parsers_its_time_limit_and_no_more(root: Path, store: Path) -> None:
    await check_bombs(root, store, dict.fromkeys(SHAPES, ("(", "{")), 900_000, 60)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("extension", SHAPES)
async def test_what_no_parser_should_be_given_costs_its_limit_and_no_more(
    root: Path, store: Path, extension: str
) -> None:
    await check_bombs(root, store, {extension: (*BRACKETS, *OPERATORS, *SHAPES[extension])}, 1_000_000, 300)


async def test_devices_are_never_opened(root: Path, store: Path) -> None:
    write(root, GOOD)
    try:
        os.mknod(root / "zero.py", 0o600 | stat.S_IFCHR, os.makedev(1, 5))
        os.mknod(root / "disk.py", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    except PermissionError:
        pytest.skip("only root makes devices")
    report, skips = await once(root, store)
    assert report.files == 1
    assert skips == {"disk.py": "not a regular file (a device)", "zero.py": "not a regular file (a device)"}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has these file systems")
async def test_file_systems_of_the_kernel_are_no_source(root: Path, store: Path) -> None:
    for folder in ("/proc", "/proc/self", "/sys"):
        with pytest.raises(RootError, match="a file system of the kernel's"):
            await index_once(store, Path(folder), IndexConfig())
    write(root, {"a.py": "x = 1\n"})
    (root / "proc").mkdir()
    if subprocess.run(["mount", "-t", "proc", "none", root / "proc"], check=False, capture_output=True).returncode:
        pytest.skip("this user may not mount anything")
    try:
        report, skips = await once(root, store)
    finally:
        subprocess.run(["umount", root / "proc"], check=True)
    assert (report.files, skips) == (1, {"proc": "a file system of the kernel's (proc)"})


def test_nothing_is_read_through_a_folder_that_became_a_link(root: Path, tmp_path: Path) -> None:
    """As between the listing of a folder and the reading of what was in it."""
    write(tmp_path / "outside", {"sub/f.py": "def stolen(): pass\n", "exclude": "good.py\n"})
    write(root, {**GOOD, "d/sub/f.py": "def own(): pass\n", ".git/config": ""})
    limits = Limits((), 2**20, 20_000, 64, 100, 2_000, 1024)

    files = RootFiles(str(root))

    def read() -> str:
        found = examine(files, "d/sub/f.py", limits, None, lambda *_: False, lambda _path, step, _timed: step())
        assert isinstance(found, Record)
        assert found.content is not None
        return ",".join(found.content.defined)

    def names() -> list[str]:
        descriptor = open_folder(str(root), "d/sub")
        try:
            return os.listdir(descriptor)  # noqa: PTH208 - a descriptor
        finally:
            os.close(descriptor)

    assert (read(), names()) == ("own", ["f.py"])
    (root / "d").rename(root / "aside")
    (root / "d").symlink_to(tmp_path / "outside")
    assert read() == "own"  # from the folder that is still open
    files.close()
    with pytest.raises(Gone):
        read()
    with pytest.raises(FileNotFoundError):
        names()
    (root / ".git" / "info").symlink_to(tmp_path / "outside")
    assert [found.path for found in Walk(str(root), limits).run()] == ["good.py", "aside/sub/f.py"]


def test_a_root_that_is_reached_through_a_link_is_read(root: Path, tmp_path: Path) -> None:
    write(root, GOOD)
    (tmp_path / "link").symlink_to(root)
    limits = Limits((), 2**20, 20_000, 64, 100, 2_000, 1024)
    files = RootFiles(str(tmp_path / "link"))
    found = examine(files, "good.py", limits, None, lambda *_: False, lambda _p, step, _t: step())
    assert isinstance(found, Record)
    assert found.content is not None
    assert found.content.defined == {"good": ""}


async def tiny_files(root: Path, store: Path, count: int) -> None:
    folders = max(1, count // 500)
    for number in range(folders):
        (root / f"d{number}").mkdir(parents=True)
    for number in range(count):
        (root / f"d{number % folders}" / f"f{number}.py").write_text(f"x{number} = {number}\n")
    report, skips = await once(root, store)
    assert (report.files, report.symbols, skips) == (count, count, {})
    again, _ = await once(root, store)
    assert (again.files, again.parsed) == (count, 0)


@pytest.mark.timeout(120)
async def test_many_tiny_files_are_all_indexed_and_not_read_again(root: Path, store: Path) -> None:
    await tiny_files(root, store, 3_000)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_tiny_files_are_all_indexed_and_not_read_again(root: Path, store: Path) -> None:
    await tiny_files(root, store, 100_000)
