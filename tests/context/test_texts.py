"""What is kept of quoted files, and for how long."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from ghostd.context import texts as module
from ghostd.context.texts import FileLines, Texts, piece_of
from ghostd.indexed import ChangeBatch
from ghostd.testing.memory_index import MemoryIndex

A, B = PurePosixPath("a.py"), PurePosixPath("b.py")
ROOT = Path("/")


@dataclass
class Counting(MemoryIndex):
    """Counts reads."""

    reads: list[str] = field(default_factory=list)

    async def text(self, root: Path, path: PurePosixPath) -> bytes | None:
        self.reads.append(str(path))
        return self.texts.get(path)


@pytest.fixture
async def index() -> Counting:
    index = Counting(texts={A: b"def one():\n    return 1\n\n\nx = 2\n", B: b"y = 3\n"})
    await index.add_root(ROOT)
    return index


async def test_a_file_is_read_once_until_it_changes(index: Counting) -> None:
    texts = Texts(index)
    first = await texts.piece(ROOT, A, 1, 2)
    assert first is not None
    assert (first.text, set(first.defines)) == ("def one():\n    return 1", {"one"})
    assert await texts.piece(ROOT, A, 1, 2) == first
    await texts.piece(ROOT, A, 5, 5)
    await texts.lines(ROOT, B)
    assert index.reads == ["a.py", "b.py"]
    index.texts[A] = b"def two():\n    return 1\n"
    texts.hear(ChangeBatch(ROOT, 2, (A,), ()))
    changed = await texts.piece(ROOT, A, 1, 2)
    assert changed is not None
    assert changed.defines == {"two"}
    await texts.lines(ROOT, B)
    assert index.reads == ["a.py", "b.py", "a.py"]


async def test_a_removed_file_is_gone_and_another_roots_stays(index: Counting) -> None:
    texts = Texts(index)
    await texts.lines(ROOT, A)
    texts.hear(ChangeBatch(Path("/other"), 2, (), (A,)))
    await texts.lines(ROOT, A)
    assert index.reads == ["a.py"]
    del index.texts[A]
    texts.hear(ChangeBatch(ROOT, 2, (), (A,)))
    assert await texts.lines(ROOT, A) is None
    assert await texts.piece(ROOT, A, 1, 2) is None


async def test_what_is_kept_is_bounded(index: Counting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 60)
    texts = Texts(index)
    for path in (A, B, B, A):
        await texts.lines(ROOT, path)
    assert index.reads == ["a.py", "b.py", "a.py"]
    monkeypatch.setattr(module, "MAX_BYTES", 6000)
    for path in (B, A, B, A):
        await texts.lines(ROOT, path)
    assert index.reads == ["a.py", "b.py", "a.py", "b.py"]


async def test_lines_that_are_not_there_or_blank_are_no_piece(index: Counting) -> None:
    texts = Texts(index)
    assert await texts.piece(ROOT, A, 3, 4) is None
    assert await texts.piece(ROOT, A, 90, 99) is None


def test_the_lines_of_a_file_are_told_by_their_numbers() -> None:
    lines = FileLines("eins\n\nzwölf\r\n\tdrei".encode() + b"\xff")
    assert len(lines) == 4
    assert lines.between(1, 4) == ["eins", "", "zwölf\r", "\tdrei\N{REPLACEMENT CHARACTER}"]
    assert lines.between(3, 90) == ["zwölf\r", "\tdrei\N{REPLACEMENT CHARACTER}"]
    assert lines.between(0, 1) == ["eins"]
    assert lines.between(5, 9) == lines.between(3, 2) == []
    assert FileLines(b"").between(1, 1) == [""]


@pytest.mark.parametrize(("size", "last"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (9, 3), (10, 3), (99, 3)])
def test_a_definition_ends_in_the_line_of_its_last_byte(size: int, last: int) -> None:
    lines = FileLines(b"ab\ncd\nef")
    assert lines.line_at(1, size) == last
    assert lines.line_at(2, size) == min(3, lines.line_at(1, size + 3))
    assert lines.line_at(4, size) == lines.line_at(-1, size) == 3


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("async def fetch(self):", "fetch"),
        ("export class Storage {", "Storage"),
        ("pub fn place(&self) -> u8 {", "place"),
        ("func (s *Store) Load() {", "Load"),
        ("const std = @import", "std"),
        ("pub(crate) struct Größe;", "Größe"),
    ],
)
def test_a_name_behind_a_keyword_of_a_definition_is_defined(line: str, name: str) -> None:
    piece = piece_of([line])
    assert piece is not None
    assert name in piece.defines


def test_a_very_long_line_is_cut() -> None:
    piece = piece_of(["x" * 100_000, "y = 1\r"])
    assert piece is not None
    assert len(piece.text) < 1000
    assert piece.text.endswith("\ny = 1")
