"""The heads of a file's definitions, in pieces."""

from __future__ import annotations

from pathlib import PurePosixPath

from ghostd.context.outlines import MAX_LINES, pieces_of
from ghostd.indexed import Span, Symbol, SymbolKind

PATH = PurePosixPath("a.py")


def symbol(name: str, kind: SymbolKind, line: int, container: str = "", signature: str = "") -> Symbol:
    return Symbol(name, kind, PATH, Span(line, line + 1), Span(line, line + 1), line, container, signature)


def test_members_stand_below_the_head_of_what_encloses_them_and_bodies_are_left_out() -> None:
    outline = [
        symbol("Storage", "class", 1, signature="class Storage(Base)"),
        symbol("rows", "field", 2, "Storage", "rows: dict"),
        symbol("fetch", "method", 3, "Storage", "def fetch(self)"),
        symbol("local", "variable", 4, "Storage.fetch", "local = 1"),
        symbol("helper", "function", 6, signature="def helper()"),
    ]
    module, members = sorted(pieces_of(outline), key=lambda piece: piece.container)
    assert module.text == "class Storage(Base)\ndef helper()"
    assert members.text == "class Storage(Base):\n    rows: dict\n    def fetch(self)"
    assert members.names == {"Storage", "rows", "fetch"}
    assert (members.container, members.first_line, members.last_line) == ("Storage", 2, 3)


def test_a_long_type_comes_in_pieces_that_all_name_it() -> None:
    members = [symbol(f"m{n}", "method", n + 2, "Big", f"def m{n}(self)") for n in range(2 * MAX_LINES + 1)]
    pieces = [
        piece for piece in pieces_of([symbol("Big", "class", 1, signature="class Big"), *members]) if piece.container
    ]
    assert [len(piece.text.split("\n")) for piece in pieces] == [MAX_LINES + 1, MAX_LINES + 1, 2]
    assert all(piece.text.startswith("class Big:\n    def m") and "Big" in piece.names for piece in pieces)


def test_what_encloses_may_stand_elsewhere_and_names_without_a_head_are_told_as_they_are() -> None:
    """Rust's methods stand outside of their type."""
    (piece,) = pieces_of([symbol("size", "method", 9, "Stack")])
    assert (piece.text, set(piece.names)) == ("Stack:\n    size", {"Stack", "size"})


def test_an_empty_outline_has_no_pieces() -> None:
    assert pieces_of([]) == []
