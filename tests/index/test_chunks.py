"""Chunk search: what a chunk is, what is found after changes, and what damage does."""

from __future__ import annotations

import re
import sqlite3
import stat
from array import array
from contextlib import closing
from pathlib import Path, PurePosixPath
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from index_harness import Followed, following, write

from ghostd.config.projects import IndexConfig
from ghostd.index.service import index_once
from ghostd.index.store import store_path
from ghostd.index.terms import WORDS, TermKeys, only_words, terms_of

FUNCTION = "def {0}():\n" + "".join(f"    step_{n} = {n}\n" for n in range(9)) + "    return step_1\n\n\n"


async def chunks(followed: Followed, word: str) -> list[tuple[str, int, int]]:
    """Path, first and last line of what is found for a word."""
    found = await followed.index.search(followed.root, {word: 1.0})
    return [(str(item.chunk.path), item.chunk.first_line, item.chunk.last_line) for item in found]


async def until_found(followed: Followed, word: str, expected: list[str]) -> None:
    """Wait until a search for `word` finds chunks of exactly these files."""

    async def found() -> bool:
        return sorted({path for path, _, _ in await chunks(followed, word)}) == expected

    await followed.until_true(found)


@pytest.mark.e2e
async def test_a_chunk_is_a_definition_with_what_is_written_above_it(root: Path, store: Path) -> None:
    body = "".join(f"    let step_{n} = {n};\n" for n in range(9)) + "}\n\n"
    text = "".join(f"/// Doc of {name}.\n#[inline]\nfn {name}() {{\n{body}" for name in ("first_thing", "second_thing"))
    write(root, {"a.py": FUNCTION.format("one") + FUNCTION.format("two") + FUNCTION.format("three"), "b.rs": text})
    async with following(root, store) as followed:
        assert await chunks(followed, "two") == [("a.py", 14, 24)]
        assert await chunks(followed, "second_thing") == [("b.rs", 15, 27), ("b.rs", 1, 13)]
        assert await chunks(followed, "first") == [("b.rs", 1, 13)]


@pytest.mark.e2e
async def test_small_neighbours_are_one_chunk_and_long_ones_are_several(root: Path, store: Path) -> None:
    small = "".join(f"def small_{n}():\n    return {n}\n\n\n" for n in range(4))
    long = "def long_one():\n" + "".join(f"    value_{n} = {n}\n" for n in range(40))
    write(root, {"a.py": small + long})
    async with following(root, store) as followed:
        assert await chunks(followed, "small_0") == [("a.py", 1, 14)]
        found = sorted(await chunks(followed, "value"))
        assert found == [("a.py", 17, 32), ("a.py", 33, 48), ("a.py", 49, 57)]


@pytest.mark.e2e
async def test_text_without_a_grammar_is_cut_at_headings_tables_statements_and_paragraphs(
    root: Path, store: Path
) -> None:
    lines = "".join(f"line {n}\n" for n in range(10))
    write(
        root,
        {
            "doc.md": f"# Alpha\n{lines}## Beta\n{lines}",
            "conf.toml": "[alpha]\n" + "a = 1\n" * 12 + "[beta]\n" + "b = 2\n" * 12,
            "schema.sql": "CREATE TABLE alpha (\n"
            + "  x INT,\n" * 10
            + ");\n\nCREATE TABLE beta (\n"
            + "  y INT,\n" * 9,
            "notes.txt": "alpha\n" + lines + "\n\nbeta\n" + lines,
        },
    )
    async with following(root, store) as followed:
        assert sorted(await chunks(followed, "beta")) == [
            *(("conf.toml", 14, 26), ("doc.md", 12, 22), ("notes.txt", 14, 24), ("schema.sql", 14, 23)),
        ]


@pytest.mark.e2e
async def test_words_in_comments_and_strings_and_of_any_script_are_found(root: Path, store: Path) -> None:
    write(root, {"a.py": "# See HTTPServer.\nx = 'größte Datei'\nÜberfallKommando = sha256sum(1)\n"})
    async with following(root, store) as followed:
        for word in ("server", "GRÖSSTE".replace("SS", "ß"), "überfall", "kommando", "sha256sum", "sha"):
            assert await chunks(followed, word) == [("a.py", 1, 3)], word
        for word in ("gr", "serve", "rver"):
            assert await chunks(followed, word) == [], word


@pytest.mark.e2e
async def test_a_saved_a_renamed_and_a_removed_file_are_followed(root: Path, store: Path) -> None:
    write(root, {"a.py": FUNCTION.format("early"), "b.py": FUNCTION.format("other")})
    async with following(root, store) as followed:
        write(root, {"a.py": FUNCTION.format("late")})
        await until_found(followed, "late", ["a.py"])
        assert await chunks(followed, "early") == []
        (root / "a.py").rename(root / "c.py")
        await until_found(followed, "late", ["c.py"])
        (root / "b.py").unlink()
        await until_found(followed, "other", [])
        write(root, {"b.py": FUNCTION.format("other")})
        await until_found(followed, "other", ["b.py"])
        write(root, {"c.py": FUNCTION.format("early")})
        await until_found(followed, "early", ["c.py"])


@pytest.mark.e2e
async def test_of_equal_files_one_is_named_and_another_when_that_is_left_out(root: Path, store: Path) -> None:
    write(root, {name: FUNCTION.format("same") for name in ("a.py", "b.py", "c.py")})
    async with following(root, store) as followed:
        assert await chunks(followed, "same") == [("a.py", 1, 11)]
        found = await followed.index.search(root, {"same": 1.0}, leave_out=PurePosixPath("a.py"))
        assert [str(item.chunk.path) for item in found] == ["b.py"]
        (root / "a.py").unlink()
        await until_found(followed, "same", ["b.py"])
        assert len(await followed.index.definitions(root, "same")) == 2


@pytest.mark.e2e
async def test_what_was_known_before_a_branch_switch_is_not_parsed_again(root: Path, store: Path) -> None:
    branches = [{f"m{n}.py": f"def {name}_{n}(): pass\n" for n in range(20)} for name in ("main", "topic")]
    ids = "SELECT id FROM content ORDER BY id"
    known = []
    for branch in (0, 1, 0, 1):
        write(root, branches[branch])
        report = await index_once(store, root, IndexConfig())
        assert report.parsed == 20
        with closing(sqlite3.connect(store_path(store, root))) as db:
            known.append(db.execute(ids).fetchall())
    assert known[1] == known[2] == known[3]
    assert len(known[1]) == 40
    async with following(root, store) as followed:
        assert len(await followed.index.names(root)) == 20
        assert await followed.index.symbols(root, "main") == []
        assert len(await followed.index.symbols(root, "topic")) == 20
        assert await chunks(followed, "main_3") == []
        assert (await chunks(followed, "topic_3"))[0][0] == "m3.py"


@pytest.mark.e2e
async def test_what_no_file_has_is_kept_up_to_a_limit(root: Path, store: Path) -> None:
    for name in ("one", "two", "three"):
        write(root, {"a.py": f"def {name}(): pass\n"})
        await index_once(store, root, IndexConfig(keep_bytes=250))
    with closing(sqlite3.connect(store_path(store, root))) as db:
        assert db.execute("SELECT sum(size) FROM content WHERE released IS NOT NULL").fetchone()[0] <= 250
        names = [name for (name,) in db.execute("SELECT name FROM definition ORDER BY name")]
        assert "three" in names
        assert "one" not in names


@pytest.mark.e2e
@pytest.mark.parametrize("damage", ["missing", "cut", "changed", "nothing"])
async def test_a_damaged_segment_is_built_again(root: Path, store: Path, damage: str) -> None:
    write(root, {f"m{n}.py": FUNCTION.format(f"name_{n}") for n in range(30)})
    await index_once(store, root, IndexConfig())
    (segment,) = store.glob("*.chunks-*")
    if damage == "missing":
        segment.unlink()
    elif damage == "cut":
        segment.write_bytes(segment.read_bytes()[:-7])
    elif damage == "changed":
        content = bytearray(segment.read_bytes())
        content[len(content) // 2] ^= 0xFF
        segment.write_bytes(content)
    async with following(root, store) as followed:
        assert (await chunks(followed, "name_7"))[0][0] == "m7.py"
        assert len(await chunks(followed, "step")) == 30
    assert len(list(store.glob("*.chunks-*"))) == 1


@pytest.mark.e2e
async def test_a_segment_that_vanishes_while_it_is_in_use_comes_back(root: Path, store: Path) -> None:
    write(root, {f"m{n}.py": FUNCTION.format(f"name_{n}") for n in range(30)})
    async with following(root, store) as followed:
        for segment in store.glob("*.chunks-*"):
            segment.unlink()
        # Nothing has been searched yet, so nothing is mapped; the first search notices.
        assert await chunks(followed, "name_7") == []
        await until_found(followed, "name_7", sorted(f"m{n}.py" for n in range(30)))


@pytest.mark.e2e
async def test_more_than_the_limit_is_left_out_and_said(root: Path, store: Path) -> None:
    words = [" ".join(f"w{n}x{m}" for m in range(700)) for n in range(90)]
    write(root, {f"f{n}.txt": text for n, text in enumerate(words)})
    async with following(root, store, IndexConfig(max_postings=20_000)) as followed:
        (status,) = followed.index.roots()
        assert re.search(r"chunk search leaves out \d+ files: index.max_postings \(20000\)", status.detail)
        assert status.state == "ready"


async def test_a_term_of_several_words_counts_once_in_a_chunk(root: Path, store: Path) -> None:
    write(root, {"several.txt": "sail_boat sail_cloth sail", "one.txt": "sail boat hull_keel"})  # five terms each
    async with following(root, store) as followed:
        first, second = await followed.index.search(root, {"sail": 1.0})
        assert first.score == second.score > 0


@pytest.mark.e2e
async def test_segments_can_be_read_by_their_owner_only(root: Path, store: Path) -> None:
    write(root, {"a.py": FUNCTION.format("one")})
    await index_once(store, root, IndexConfig())
    (segment,) = store.glob("*.chunks-*")
    assert stat.S_IMODE(segment.stat().st_mode) == 0o600


@given(st.binary(max_size=300) | st.text("aB_7 .\n\té", max_size=60).map(str.encode))
def test_a_source_split_has_the_terms_of_its_words(source: bytes) -> None:
    keys = TermKeys()
    found = {key for part in only_words(source).split() for key in array("I", keys[part])}
    assert found == {crc32(term) for word in WORDS.findall(source) if len(word) <= 100 for term in terms_of(word)}
