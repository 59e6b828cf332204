"""Places in a document."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostd.context.cursor import cursor_at, cursor_between
from ghostd.errors import InvalidRequest

TEXT = "one\ntwo 😀 x\r\nthree"


@pytest.mark.parametrize(
    ("line", "column", "prefix", "told"),
    [
        (1, 1, "", 1),
        (1, 3, "on", 3),
        (1, None, "one", 4),
        (1, 99, "one", 4),
        (2, 6, "one\ntwo 😀", 6),
        (2, None, "one\ntwo 😀 x", 8),
        (3, 99, "one\ntwo 😀 x\r\nthree", 6),
    ],
)
def test_columns_count_characters_and_end_with_the_line(line: int, column: int | None, prefix: str, told: int) -> None:
    found = cursor_at(TEXT, line, column)
    assert (found.prefix, found.prefix + found.suffix, found.line, found.column) == (prefix, TEXT, line, told)


@pytest.mark.parametrize(
    ("line", "prefix", "suffix"),
    [(1, "", "\ntwo 😀 x\r\nthree"), (2, "one\n", "\nthree"), (3, "one\ntwo 😀 x\r\n", "")],
)
def test_a_hidden_line_stands_on_neither_side(line: int, prefix: str, suffix: str) -> None:
    found = cursor_at(TEXT, line, hide_line=True)
    assert (found.prefix, found.suffix, found.column) == (prefix, suffix, 0)


@pytest.mark.parametrize("line", [0, 4, -1, 10**9])
def test_a_line_that_is_not_there_is_refused_with_their_number(line: int) -> None:
    with pytest.raises(InvalidRequest, match="the document has 3") as refused:
        cursor_at(TEXT, line)
    assert refused.value.param == "line"


@given(st.text(alphabet="ab \n\r😀"), st.text(alphabet="ab \n😀"))
def test_a_cursor_between_two_texts_is_found_again_by_its_line_and_column(prefix: str, suffix: str) -> None:
    found = cursor_between(prefix, suffix)
    again = cursor_at(prefix + suffix, found.line, found.column)
    assert again.line == found.line
    if not (prefix.endswith("\r") and suffix[:1] in ("", "\n")):  # the cursor is within a line's end there
        assert (again.prefix, again.suffix) == (prefix, suffix)
