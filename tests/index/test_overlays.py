"""What a session's open documents say stands in for their files, for this session alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path, PurePosixPath

import pytest

from ghostd.config.projects import IndexConfig
from ghostd.index.service import SqliteIndex, open_index

pytestmark = pytest.mark.e2e

APP = PurePosixPath("app.py")
NEW = PurePosixPath("new.py")


async def ready(index: SqliteIndex, root: Path) -> None:
    (root / APP).write_text("import os\n\n\ndef old():\n    return helper()\n")
    (root / "other.py").write_text("def kept():\n    return 1\n")
    await index.add_root(root)
    await index.wait_ready(root)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await true():
            await asyncio.sleep(0)


async def outline(index: SqliteIndex, root: Path, path: PurePosixPath, session: str = "one") -> Sequence[str]:
    return [symbol.name for symbol in await index.seen_by(session).outline(root, path)]


async def test_an_open_document_stands_in_for_its_file_until_it_is_closed(root: Path, store: Path) -> None:
    async with open_index(store, IndexConfig()) as index:
        await ready(index, root)
        assert index.seen_by("one") is index
        text = "import sys\n\n\ndef fresh():\n    return other_helper()\n"
        index.overlay("one", root / APP, text)

        async def is_seen() -> bool:
            return await outline(index, root, APP) == ["fresh"]

        await until(is_seen)
        seen = index.seen_by("one")
        assert [found.module for found in await seen.imports(root, APP)] == ["sys"]
        assert [s.path for s in await seen.definitions(root, "fresh")] == [APP]
        assert list(await seen.definitions(root, "old")) == []
        assert [s.name for s in await seen.symbols(root, "")] == ["fresh", "kept"]
        assert list(await seen.names(root)) == ["fresh", "kept"]
        assert [use.line for use in await seen.references(root, "other_helper")] == [5]
        assert list(await seen.references(root, "helper")) == []
        assert list(await seen.files_defining(root, ["fresh", "old"])) == [("fresh", APP)]
        assert [s.name for s in await seen.definitions_in(root, [("fresh", APP), ("old", APP)])] == ["fresh"]
        assert await seen.text(root, APP) == text.encode()
        assert await outline(index, root, APP, "two") == ["old"]
        index.overlay("one", root / APP, None)
        assert index.seen_by("one") is index
        assert await outline(index, root, APP) == ["old"]


async def test_a_document_without_a_file_is_seen_and_the_last_text_wins(root: Path, store: Path) -> None:
    async with open_index(store, IndexConfig()) as index:
        await ready(index, root)
        for number in range(50):
            index.overlay("one", root / NEW, f"def version_{number}(): ...\n")

        async def is_seen() -> bool:
            return await outline(index, root, NEW) == ["version_49"]

        await until(is_seen)
        assert [file.path for file in await index.seen_by("one").files(root)] == [APP, NEW, PurePosixPath("other.py")]
        index.forget_session("one")
        assert await outline(index, root, NEW) == []


async def test_what_the_index_leaves_out_stays_left_out_when_it_is_open(root: Path, store: Path) -> None:
    (root / ".gitignore").write_text("private.py\n")
    (root / "private.py").write_text("def secret(): ...\n")
    async with open_index(store, IndexConfig()) as index:
        await ready(index, root)
        index.overlay("one", root / "private.py", "def secret(): ...\n")
        index.overlay("one", root / NEW, "def later(): ...\n")

        async def is_seen() -> bool:
            return await outline(index, root, NEW) == ["later"]

        await until(is_seen)
        assert list(await index.seen_by("one").definitions(root, "secret")) == []
        assert await index.seen_by("one").text(root, PurePosixPath("private.py")) is None


async def test_of_too_many_documents_those_told_longest_ago_count_as_their_files(root: Path, store: Path) -> None:
    async with open_index(store, IndexConfig(max_open_documents=1)) as index:
        await ready(index, root)
        index.overlay("one", root / APP, "def fresh(): ...\n")
        index.overlay("one", root / NEW, "def later(): ...\n")

        async def is_seen() -> bool:
            return await outline(index, root, NEW) == ["later"]

        await until(is_seen)
        assert await outline(index, root, APP) == ["old"]


async def test_a_text_that_takes_the_parser_too_long_is_seen_without_symbols(root: Path, store: Path) -> None:
    async with open_index(store, IndexConfig(parse_timeout_ms=1)) as index:
        await ready(index, root)
        index.overlay("one", root / NEW, "def found(): ...\n" * 20_000)

        async def is_seen() -> bool:
            return await index.seen_by("one").text(root, NEW) is not None

        await until(is_seen)
        assert await outline(index, root, NEW) == []


async def test_one_can_wait_until_a_session_is_seen_and_needs_not_for_another(root: Path, store: Path) -> None:
    async with open_index(store, IndexConfig()) as index:
        await ready(index, root)
        await index.wait_seen("one")  # which has told nothing
        index.overlay("one", root / APP, "def first(): ...\n")
        index.overlay("one", root / APP, "def last(): ...\n")
        index.overlay("one", root / NEW, "def another(): ...\n")
        await index.wait_seen("two")
        await index.wait_seen("one")
        assert await outline(index, root, APP) == ["last"]
        assert await outline(index, root, NEW) == ["another"]
        index.overlay("one", root / APP, "def gone(): ...\n")
        waiting = asyncio.ensure_future(index.wait_seen("one"))
        await asyncio.sleep(0)
        index.forget_session("one")
        async with asyncio.timeout(30):
            await waiting


async def test_a_search_finds_what_an_open_document_says_and_not_its_file(root: Path, store: Path) -> None:
    async with open_index(store, IndexConfig()) as index:
        await ready(index, root)
        (root / "twin.py").write_text((root / "other.py").read_text())
        index.overlay("one", root / APP, "def fresh():\n    return kept_elsewhere\n")
        index.overlay("one", root / "other.py", "")
        index.overlay("one", root / NEW, "lone \ud83d surrogate, ünïcode\n")
        await index.wait_seen("one")
        seen = index.seen_by("one")

        async def found(word: str, leave_out: PurePosixPath | None = None) -> list[tuple[str, int, int]]:
            chunks = [one.chunk for one in await seen.search(root, {word: 1.0}, leave_out=leave_out)]
            return [(str(chunk.path), chunk.first_line, chunk.last_line) for chunk in chunks]

        async def twin_is_seen() -> bool:
            return len(await index.definitions(root, "kept")) == 2

        await until(twin_is_seen)
        assert await found("fresh") == [("app.py", 1, 2)]
        assert await found("fresh", APP) == []
        assert await found("helper") == []
        assert await found("surrogate") == await found("ünïcode") == [("new.py", 1, 1)]
        # Two files are equal: the one that is not open still has the chunk.
        assert await found("kept") == [("twin.py", 1, 2), ("app.py", 1, 2)]
        assert [chunk.last_line for chunk in await seen.chunks(root, APP)] == [2]
        assert [one.chunk.path for one in await index.search(root, {"fresh": 1.0})] == []


async def test_a_text_larger_than_a_pipe_reaches_the_worker_whole(root: Path, store: Path) -> None:
    async with open_index(store, IndexConfig()) as index:
        await ready(index, root)
        text = "# é\n" * 100_000 + "def at_the_end(): ...\n"
        for _ in range(3):
            index.overlay("one", root / APP, text)
            index.overlay("two", root / NEW, text)
        await index.wait_seen("one")
        await index.wait_seen("two")
        assert await outline(index, root, APP) == await outline(index, root, NEW, "two") == ["at_the_end"]


TOO_SLOW = ("bomb.js", "{\n" * 200_000, "function calm() {}\n")
"""Error recovery is quadratic in braces that nobody closes."""
TOO_LARGE = ("huge.c", "int x = " + "(1+\n" * 100_000 + "1;\n" + "int y;\n" * 60_000, "int calm;\n")


@pytest.mark.parametrize("bomb", [TOO_SLOW, TOO_LARGE], ids=["time", "memory"])
async def test_a_text_that_kills_the_parser_loses_its_own_symbols_and_interrupts_nothing(
    root: Path, store: Path, bomb: tuple[str, str, str]
) -> None:
    name, text, calm = bomb
    body = "".join(f"def f{n}(a): return g{n}(a)\n" for n in range(20))
    for number in range(1500):
        (root / f"m{number}.py").write_text(body)
    progress: list[int] = []
    async with open_index(store, IndexConfig(parse_timeout_ms=300, parse_memory_mb=96)) as index:
        index.overlay("one", root / name, text)
        index.overlay("one", root / NEW, "def later(): ...\n")
        await index.add_root(root, lambda done, total: progress.append(done))
        await index.wait_seen("one")
        worker = index.worker_pid
        assert await index.seen_by("one").text(root, PurePosixPath(name)) == text.encode()
        assert await outline(index, root, PurePosixPath(name)) == []
        assert await outline(index, root, NEW) == ["later"]
        index.overlay("one", root / name, calm)
        await index.wait_seen("one")
        assert await outline(index, root, PurePosixPath(name)) == ["calm"]
        report = await index.wait_ready(root)
        assert (report.files, report.parsed) == (1500, 1500)
        assert (index.worker_pid, report.skips) == (worker, ())
    assert progress == sorted(progress)  # a pass that begins again would count from 0


async def test_a_document_whose_texts_keep_killing_the_parser_is_no_longer_tried(
    root: Path, store: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_index(store, IndexConfig(parse_timeout_ms=50)) as index:
        await ready(index, root)
        for number in range(5):
            index.overlay("one", root / "bomb.js", "{\n" * 200_000 + f"// {number}\n")
            await index.wait_seen("one")
        assert caplog.text.count("index.parse_timeout_ms") == 3
        index.overlay("one", root / "bomb.js", None)
        index.overlay("one", root / "bomb.js", "function again() {}\n")
        await index.wait_seen("one")
        assert await outline(index, root, PurePosixPath("bomb.js")) == ["again"]
