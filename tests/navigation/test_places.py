"""Where a name is in a text that has changed since it was indexed."""

from __future__ import annotations

import random

import pytest
from ghostd_lsp.positions import Encoding, Lines, char_index, split_lines

from ghostd.indexed import Span
from ghostd.navigation.lines import FileLines
from ghostd.navigation.places import chain_before, is_called, locate


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        (b"def run(): run()", Span(4, 7), Span(4, 7)),
        (b"# x\ndef run(): run()", Span(4, 7), Span(8, 11)),
        (b"def rerun(): run()", Span(4, 7), Span(13, 16)),
        (b"run() # " + b"x" * 90, Span(50, 53), Span(0, 3)),
        (b"gone", Span(2, 5), Span(2, 4)),
        (b"gone", Span(90, 93), Span(4, 4)),
        (b"", Span(0, 3), Span(0, 0)),
        (b"x" * 200_000 + b" run", Span(0, 3), Span(0, 3)),
    ],
)
def test_a_name_is_looked_for_nearby_and_its_place_lies_inside(text: bytes, span: Span, expected: Span) -> None:
    assert locate(text, "run", span) == expected


@pytest.mark.parametrize(
    ("text", "chain"),
    [
        ("a.b.NAME", "a.b"),
        ("x = self.NAME", "self"),
        ("std::io::NAME", "std.io"),
        ("p->NAME", "p"),
        ("a?.b.NAME", "a.b"),
        ("call().NAME", "?"),
        ("  .NAME", "?"),
        ("f(...NAME", ""),
        ("0..NAME", ""),
        ("f(NAME", ""),
        ("é.NAME", "é"),
        ("a.\nNAME", ""),
        ("from .NAME", "?"),
        ("super().NAME", "super"),
        ("super(A, self).NAME", "super"),
        ("x.super().NAME", "?"),
        ("a." * 5000 + "NAME", ".".join("a" * 150)),
    ],
)
def test_what_a_name_is_a_member_of(text: str, chain: str) -> None:
    assert chain_before(text.encode(), len(text.encode()) - 4) == chain


@pytest.mark.parametrize(
    ("text", "family", "called"),
    [
        ("NAME(1)", "python", True),
        ("NAME (1)", "c", True),
        ("NAME", "python", False),
        ("NAME = 1", "python", False),
        ("NAME!(x)", "rust", True),
        ("NAME::<u8>(x)", "rust", True),
        ("NAME<T>(x)", "typescript", True),
        ("NAME?.(x)", "typescript", True),
        ("NAME`x`", "typescript", True),
        ("NAME != (x)", "python", False),
        ("NAME 'x'", "lua", True),
        ("NAME x", "ruby", True),
        ("NAME<" + "<" * 5000 + "(", "typescript", False),
    ],
)
def test_what_calls_a_name(text: str, family: str, called: bool) -> None:
    assert is_called(text.encode(), Span(0, 4), family) is called
    assert is_called(f"@{text}".encode(), Span(1, 5), "python")


def test_lines_and_columns_are_inside_of_any_text() -> None:
    chance = random.Random(3)
    for _ in range(300):
        text = "".join(chance.choices(["a", "é", "😀", "\n", "\r", "\r\n", "\f", "\u2028", "\ufeff"], k=12)).encode()
        lines = FileLines(text)
        for offset in range(-1, len(text) + 2):
            line, column = lines.place(offset)
            assert 1 <= line <= text.count(b"\n") + text.count(b"\r") + 1
            assert 1 <= column <= len(text) + 1
            assert "\n" not in lines.line(line, 50)
    assert FileLines("\ufeffab".encode()).place(4) == (1, 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_positions_of_bytes_are_those_of_characters(encoding: Encoding) -> None:
    """LSP 3.18, "Text Documents": a position is never behind its line's end, nor inside of a character."""
    chance = random.Random(4)
    for letters in ("ab \n\r", "aé😀\n\r\f\u2028"):
        for _ in range(200):
            text = "".join(chance.choices(letters, k=14))
            lines, split = Lines(text.encode(), encoding), split_lines(text)
            for at in range(len(text) + 1):
                if text[at - 1 : at + 1] == "\r\n":
                    continue  # inside of a line end
                line, character = lines.position(len(text[:at].encode()))
                assert char_index(split[line], character, encoding) == at - len("".join(split[:line]))
            assert lines.position(10**9) == lines.position(len(text.encode()))
