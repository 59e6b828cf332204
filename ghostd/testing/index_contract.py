"""What every Index must do. Subclass IndexContract, say how to open yours, and pytest runs the tests."""

# ruff: noqa: D102 (the names of the tests say it)

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath

import pytest

from ghostd.code_ports import Index
from ghostd.errors import RootError
from ghostd.indexed import Chunk, Import, Reference, Span, Symbol

APP = PurePosixPath("app.py")
SHAPES = PurePosixPath("lib/shapes.py")
NOTES = PurePosixPath("notes.md")

SAMPLE = {
    APP: "from lib.shapes import area\nimport os\n\n\ndef main():\n    return area(2) + area(3)\n",
    SHAPES: "def area(side):\n    return side\n\n\nclass Areas:\n    pass\n",
    NOTES: "# Notes\n",
}
"""Files of the sample project. An index of it holds exactly the symbols, imports and references below."""

SYMBOLS = (
    Symbol("main", "function", APP, Span(40, 80), Span(44, 48), 5, "", "def main()"),
    Symbol("area", "function", SHAPES, Span(0, 31), Span(4, 8), 1, "", "def area(side)"),
    Symbol("Areas", "class", SHAPES, Span(34, 55), Span(40, 45), 5, "", "class Areas"),
)
IMPORTS = (
    Import(APP, "lib.shapes", ("area",), 1),
    Import(APP, "os", (), 2),
)
REFERENCES = (
    Reference("lib", APP, Span(5, 8), 1),
    Reference("shapes", APP, Span(9, 15), 1),
    Reference("area", APP, Span(23, 27), 1),
    Reference("os", APP, Span(35, 37), 2),
    Reference("area", APP, Span(63, 67), 6),
    Reference("area", APP, Span(73, 77), 6),
    Reference("side", SHAPES, Span(9, 13), 1),
    Reference("side", SHAPES, Span(27, 31), 2),
)

WAIT_S = 30.0


def write_sample(project: Path) -> Path:
    """The sample project's folder, written below `project`."""
    for path, text in SAMPLE.items():
        (project / path).parent.mkdir(parents=True, exist_ok=True)
        (project / path).write_text(text, encoding="utf-8")
    return project


class IndexContract(ABC):
    """The tests. Each opens an index of its own and adds the sample project to it."""

    @abstractmethod
    def opened(self, folder: Path) -> AbstractAsyncContextManager[Index]:
        """An index without roots, which may keep files in `folder`; it gives SAMPLE's contents for its project."""

    @pytest.fixture
    def project(self, tmp_path: Path) -> Path:
        """The sample project's folder."""
        return write_sample(tmp_path / "project")

    async def _ready(self, index: Index, root: Path) -> None:
        await index.add_root(root)
        async with asyncio.timeout(WAIT_S):
            await index.wait_ready(root)

    async def test_the_report_counts_what_the_first_pass_found(self, project: Path, tmp_path: Path) -> None:
        """Port: wait_ready returns once the first complete pass has been committed."""
        async with self.opened(tmp_path / "store") as index:
            await index.add_root(project)
            async with asyncio.timeout(WAIT_S):
                report = await index.wait_ready(project)
            assert (report.root, report.files, report.symbols) == (project, 3, 3)
            assert (report.imports, report.references, report.skips) == (2, 8, ())
            assert report.size_bytes == sum(len(text) for text in SAMPLE.values())
            (status,) = index.roots()
            assert (status.root, status.state, status.files, status.symbols) == (project, "ready", 3, 3)
            assert status.generation > 0

    async def test_files_are_listed_by_path_with_their_language(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            files = await index.files(project)
            assert [(file.path, file.language) for file in files] == [
                (APP, "python"),
                (SHAPES, "python"),
                (NOTES, "markdown"),
            ]
            assert [file.size_bytes for file in files] == [len(SAMPLE[file.path]) for file in files]
            assert all(len(file.content_hash) == 16 for file in files)
            assert await index.skips(project) == []

    async def test_an_outline_holds_the_definitions_in_source_order(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            assert list(await index.outline(project, SHAPES)) == [s for s in SYMBOLS if s.path == SHAPES]
            assert list(await index.outline(project, NOTES)) == []
            assert list(await index.outline(project, PurePosixPath("no/such.py"))) == []

    async def test_imports_are_in_source_order(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            assert list(await index.imports(project, APP)) == list(IMPORTS)
            assert list(await index.imports(project, SHAPES)) == []

    async def test_all_imports_are_read_by_and_by(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            everything = [(APP, list(IMPORTS)), (SHAPES, [])]
            assert [(path, list(found)) for path, found in await index.imports_after(project)] == everything
            assert [(path, list(found)) for path, found in await index.imports_after(project, "", 1)] == everything[:1]
            assert [(p, list(found)) for p, found in await index.imports_after(project, "app.py", 1)] == everything[1:]
            assert list(await index.imports_after(project, "lib/shapes.py")) == []
            assert list(await index.imports_after(project, "", 0)) == []
            assert list(await index.imports_after(tmp_path / "elsewhere")) == []

    async def test_all_names_are_read_by_and_by(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            everything = []
            for path in (APP, SHAPES):
                uses = frozenset(use.name for use in await index.uses(project, path))
                everything.append((path, [symbol for symbol in SYMBOLS if symbol.path == path], uses))

            async def read(
                after: str = "", limit: int = 500
            ) -> list[tuple[PurePosixPath, list[Symbol], frozenset[str]]]:
                files = await index.names_after(project, after, limit)
                assert all(len(set(file.uses)) == len(file.uses) for file in files)
                return [(file.path, list(file.symbols), frozenset(file.uses)) for file in files]

            assert any(uses for _, _, uses in everything)
            assert await read() == everything
            assert await read("", 1) == everything[:1]
            assert await read("app.py", 1) == everything[1:]
            assert await read("lib/shapes.py") == await read("", 0) == []
            assert list(await index.names_after(tmp_path / "elsewhere")) == []

    async def test_definitions_match_the_whole_name(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            assert list(await index.definitions(project, "area")) == [s for s in SYMBOLS if s.name == "area"]
            assert list(await index.definitions(project, "are")) == []
            assert list(await index.definitions(project, "Area")) == []
            assert list(await index.definitions(project, "area", limit=0)) == []

    async def test_symbols_match_the_start_of_the_name_and_its_case(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            assert [s.name for s in await index.symbols(project, "are")] == ["area"]
            assert [s.name for s in await index.symbols(project, "")] == ["Areas", "area", "main"]
            assert [s.name for s in await index.symbols(project, "", limit=2)] == ["Areas", "area"]
            assert list(await index.symbols(project, "%")) == []

    async def test_references_are_the_uses_and_not_the_definitions(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            uses = [r for r in REFERENCES if r.name == "area"]
            assert list(await index.references(project, "area")) == uses
            assert list(await index.references(project, "area", limit=2)) == uses[:2]
            assert list(await index.references(project, "unused")) == []

    async def test_names_lead_to_their_files_and_from_there_to_their_definitions(
        self, project: Path, tmp_path: Path
    ) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            places = await index.files_defining(project, ["area", "Areas", "os", "main", "\udc80", 'a"b'])
            assert sorted(places) == [("Areas", SHAPES), ("area", SHAPES), ("main", APP)]
            assert list(await index.definitions_in(project, sorted(places, reverse=True))) == list(SYMBOLS)
            within = [(symbol.name, symbol.path, (symbol.container,)) for symbol in SYMBOLS]
            assert sorted(await index.defined_within(project, [name for name, _ in places])) == sorted(within)
            wrong = [("area", APP), ("main", NOTES), ("main", PurePosixPath("gone.py")), ("\udc80", APP)]
            assert list(await index.definitions_in(project, wrong)) == []
            assert list(await index.files_defining(project, [])) == []

    async def test_the_uses_of_one_file_come_in_source_order(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            assert list(await index.uses(project, APP)) == [r for r in REFERENCES if r.path == APP]
            assert list(await index.uses(project, NOTES)) == []
            assert list(await index.uses(project, PurePosixPath("gone.py"))) == []

    async def test_a_search_finds_the_chunks_that_hold_a_word(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            assert [found.chunk for found in await index.search(project, {"side": 1.0})] == [Chunk(SHAPES, 1, 6)]
            assert [found.chunk for found in await index.search(project, {"notes": 1.0})] == [Chunk(NOTES, 1, 1)]
            assert {found.chunk.path for found in await index.search(project, {"area": 1.0})} == {APP, SHAPES}
            assert all(found.score > 0 for found in await index.search(project, {"area": 1.0}))
            assert list(await index.search(project, {"sid": 1.0, "unused": 1.0})) == []

    async def test_the_chunks_of_a_file_are_those_that_a_search_finds(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            for path in (APP, SHAPES, NOTES):
                chunks = await index.chunks(project, path)
                assert [chunk.first_line for chunk in chunks] == sorted(chunk.first_line for chunk in chunks)
                words = {"area": 1.0, "main": 1.0, "notes": 1.0, "side": 1.0}
                found = {one.chunk for one in await index.search(project, words) if one.chunk.path == path}
                assert found == set(chunks)
                assert found
            for nothing in (PurePosixPath("no/such.py"), PurePosixPath("\udc80")):
                assert list(await index.chunks(project, nothing)) == []
            assert list(await index.chunks(tmp_path / "elsewhere", APP)) == []

    async def test_a_search_takes_identifiers_apart_and_minds_no_case(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            for word in ("SIDE", "side_by", "OneSide", "HTTPSide2", "left side"):
                assert [f.chunk.path for f in await index.search(project, {word: 1.0})] == [SHAPES], word
            assert [f.chunk.path for f in await index.search(project, {"mainArea": 1.0})] == [APP, SHAPES]

    async def test_a_heavier_word_counts_more_in_a_search(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            for weights, best in (({"side": 9.0, "main": 1.0}, SHAPES), ({"side": 1.0, "main": 9.0}, APP)):
                found = await index.search(project, weights)
                assert found[0].chunk.path == best
                assert found[0].score > found[1].score
            assert [f.chunk.path for f in await index.search(project, {"side": 0.0, "main": 1.0})] == [APP]
            assert list(await index.search(project, {"side": -1.0, "main": float("nan")})) == []

    async def test_a_search_leaves_out_one_file_and_ends_at_its_limit(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            words = {"area": 1.0, "main": 1.0}
            assert [f.chunk.path for f in await index.search(project, words, leave_out=APP)] == [SHAPES]
            assert [f.chunk.path for f in await index.search(project, words, 1)] == [APP]
            assert [f.chunk.path for f in await index.search(project, words, 1, leave_out=APP)] == [SHAPES]
            assert list(await index.search(project, words, 0)) == []
            assert list(await index.search(project, words, -1)) == []

    async def test_a_search_for_what_no_file_can_hold_finds_nothing(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            for word in ("", " ", "\udc80", "\0", "x" * 100_000, "+-*/", "' OR 1=1", "_", "__"):
                assert list(await index.search(project, {word: 1.0})) == [], word
            assert list(await index.search(project, {})) == []
            assert list(await index.search(project, {"side": 1.0}, leave_out=PurePosixPath("\udc80"))) != []
            assert list(await index.search(tmp_path / "elsewhere", {"side": 1.0})) == []

    async def test_every_defined_name_is_listed_once_in_order(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            assert list(await index.names(project)) == ["Areas", "area", "main"]
            assert list(await index.names(project, limit=2)) == ["Areas", "area"]
            assert list(await index.names(tmp_path)) == []

    async def test_names_that_no_file_can_hold_find_nothing(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            for name in ("\udc80", "\0", "a\nb", "x" * 100_000, "' OR 1=1"):
                assert list(await index.definitions(project, name)) == []
                assert list(await index.symbols(project, name)) == []
                assert list(await index.references(project, name)) == []
                assert list(await index.outline(project, PurePosixPath(name))) == []

    async def test_a_path_belongs_to_the_innermost_root(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            await self._ready(index, project / "lib")
            assert [status.root for status in index.roots()] == [project, project / "lib"]
            assert index.root_of(project / APP) == project
            assert index.root_of(project / SHAPES) == project / "lib"
            assert index.root_of(project) == project
            assert index.root_of(tmp_path / "project-2" / "app.py") is None

    async def test_adding_a_root_again_changes_nothing(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            await self._ready(index, project)
            assert len(index.roots()) == 1

    async def test_a_removed_root_answers_nothing_and_can_come_back(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            await index.remove_root(project)
            await index.remove_root(project)
            assert list(index.roots()) == []
            assert index.root_of(project / APP) is None
            assert list(await index.files(project)) == []
            assert list(await index.definitions(project, "area")) == []
            with pytest.raises(RootError):
                await index.wait_ready(project)
            await self._ready(index, project)
            assert len(await index.definitions(project, "area")) == 1

    async def test_what_is_no_readable_folder_is_refused_with_its_name(self, project: Path, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            for bad in (tmp_path / "missing", project / APP):
                with pytest.raises(RootError, match=str(bad)):
                    await index.add_root(bad)
            assert list(index.roots()) == []

    async def test_a_subscription_can_be_ended_twice(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path / "store") as index:
            end = index.subscribe(lambda _: None)
            end()
            end()

    async def test_an_open_document_stands_in_for_its_file_in_its_session_alone(
        self, project: Path, tmp_path: Path
    ) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            new = PurePosixPath("lib/new.md")
            index.overlay("one", project / NOTES, "# Remarks\n")
            index.overlay("one", project / new, "novelty\n")
            async with asyncio.timeout(WAIT_S):
                await index.wait_seen("one")
            seen = index.seen_by("one")
            assert await seen.text(project, NOTES) == b"# Remarks\n"
            assert await seen.read_texts(project, [NOTES, new]) == {NOTES: b"# Remarks\n", new: b"novelty\n"}
            assert [file.path for file in await seen.files(project)] == [APP, new, SHAPES, NOTES]
            assert [found.chunk for found in await seen.search(project, {"remarks": 1.0})] == [Chunk(NOTES, 1, 1)]
            assert [found.chunk for found in await seen.search(project, {"novelty": 1.0})] == [Chunk(new, 1, 1)]
            assert list(await seen.search(project, {"notes": 1.0})) == []
            assert list(await seen.search(project, {"novelty": 1.0}, leave_out=new)) == []
            assert list(await seen.chunks(project, new)) == [Chunk(new, 1, 1)]
            assert list(await seen.outline(project, SHAPES)) == [s for s in SYMBOLS if s.path == SHAPES]
            for other in (index, index.seen_by("two")):
                assert await other.text(project, NOTES) == SAMPLE[NOTES].encode()
                assert await other.text(project, new) is None
                assert list(await other.search(project, {"remarks": 1.0})) == []
                assert len(await other.search(project, {"notes": 1.0})) == 1

    async def test_files_that_it_does_not_have_are_left_out_even_while_they_are_open(
        self, project: Path, tmp_path: Path
    ) -> None:
        other = tmp_path / "other.py"
        await asyncio.to_thread((project / "picture.bin").write_bytes, b"\0")
        await asyncio.to_thread(other.write_text, "1\n")
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            asked = [project / APP, project / "picture.bin", project / "new.py", other]
            assert await index.left_out(asked) == {project / "picture.bin"}

    async def test_a_closed_document_and_a_forgotten_session_give_way_to_the_files(
        self, project: Path, tmp_path: Path
    ) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            for session in ("one", "two"):
                index.overlay(session, project / NOTES, "# Remarks\n")
                index.overlay(session, project / APP, SAMPLE[APP])
                async with asyncio.timeout(WAIT_S):
                    await index.wait_seen(session)
            index.overlay("one", project / NOTES, None)
            index.overlay("one", project / NOTES, None)  # closed already
            assert await index.seen_by("one").text(project, NOTES) == SAMPLE[NOTES].encode()
            assert await index.seen_by("two").text(project, NOTES) == b"# Remarks\n"
            index.forget_session("two")
            index.forget_session("three")
            assert await index.seen_by("two").text(project, NOTES) == SAMPLE[NOTES].encode()
            assert len(await index.seen_by("two").search(project, {"notes": 1.0})) == 1

    async def test_an_open_document_that_says_what_its_file_says_changes_no_answer(
        self, project: Path, tmp_path: Path
    ) -> None:
        async with self.opened(tmp_path / "store") as index:
            await self._ready(index, project)
            for path, text in SAMPLE.items():
                index.overlay("one", project / path, text)
            index.overlay("one", tmp_path / "elsewhere.py", "def outside(): ...\n")
            async with asyncio.timeout(WAIT_S):
                await index.wait_seen("one")
            seen = index.seen_by("one")
            for path in SAMPLE:
                assert list(await seen.outline(project, path)) == list(await index.outline(project, path))
                assert list(await seen.imports(project, path)) == list(await index.imports(project, path))
                assert list(await seen.uses(project, path)) == list(await index.uses(project, path))
                assert list(await seen.chunks(project, path)) == list(await index.chunks(project, path))
            for name in ("area", "side", "outside"):
                assert list(await seen.definitions(project, name)) == list(await index.definitions(project, name))
                assert list(await seen.references(project, name)) == list(await index.references(project, name))
            assert list(await seen.names(project)) == list(await index.names(project))
            assert [(path, list(rows)) for path, rows in await seen.imports_after(project)] == [
                (path, list(rows)) for path, rows in await index.imports_after(project)
            ]
            places = [("Areas", SHAPES), ("main", APP), ("main", SHAPES)]
            assert list(await seen.definitions_in(project, places)) == list(await index.definitions_in(project, places))
            found = {item.chunk for item in await index.search(project, {"area": 1.0, "notes": 2.0})}
            assert {item.chunk for item in await seen.search(project, {"area": 1.0, "notes": 2.0})} == found
