"""A place in a document, as people and programs name it, and the texts on both of its sides."""

from __future__ import annotations

from dataclasses import dataclass

from ghostd.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class Cursor:
    """A cursor in a document. Line and column count from 1, columns in characters (code points)."""

    prefix: str
    suffix: str
    line: int
    column: int
    """0 where the whole line is left out."""


def cursor_at(text: str, line: int, column: int | None = None, *, hide_line: bool = False) -> Cursor:
    """The cursor at a place; without `column`, or with one beyond the line's end, it is at that end.

    With `hide_line` the line is left out, as if it were still to be written. Raises InvalidRequest for a line that
    is not there.
    """
    lines = text.split("\n")
    if not 1 <= line <= len(lines):
        raise InvalidRequest(f"There is no line {line}: the document has {len(lines)}.", "line")
    before = "".join(each + "\n" for each in lines[: line - 1])
    after = "".join("\n" + each for each in lines[line:])
    own = lines[line - 1]
    if hide_line:
        return Cursor(before, after, line, 0)
    end = len(own.removesuffix("\r"))
    at = end if column is None else min(column - 1, end)
    return Cursor(before + own[:at], own[at:] + after, line, at + 1)


def cursor_between(prefix: str, suffix: str) -> Cursor:
    """The cursor between two texts."""
    line = prefix.count("\n") + 1
    return Cursor(prefix, suffix, line, len(prefix) - (prefix.rfind("\n") + 1) + 1)
