"""Parts of open buffers."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ghostd.context.buffers import LINES, MAX_CHARS, MAX_PIECES, pieces_of_buffer, plain
from ghostd.context.query import query_of

QUERY = query_of("gross_price(net_price, ", "")


def test_the_parts_that_share_words_with_the_place_are_found_the_best_first() -> None:
    text = (
        "def one():\n    pass\n" * 10
        + "\n\ndef gross_price(net_price):\n    return net_price\n"
        + "x = gross_price\n" * 3
    )
    found = pieces_of_buffer(text, QUERY)
    assert "def gross_price(net_price):" in found[0][2].text
    assert "gross_price" in found[0][2].defines
    for first, last, piece in found:
        assert plain(piece.text) == plain("\n".join(text.split("\n")[first - 1 : last]))
        assert last - first < LINES


def test_a_part_ends_where_a_blank_line_precedes_something_at_the_margin() -> None:
    block = "".join(f"    a{n} = gross_price\n" for n in range(10))
    found = pieces_of_buffer(f"def one():\n{block}\ndef two():\n{block}", QUERY)
    assert sorted(first for first, _, _ in found) == [1, 13]


def test_a_buffer_without_any_of_the_words_says_nothing() -> None:
    assert pieces_of_buffer("def other():\n    pass\n", QUERY) == []
    assert pieces_of_buffer("", QUERY) == []


def test_a_huge_buffer_is_looked_at_from_its_beginning_and_few_parts_are_taken() -> None:
    text = "gross_price = 1\n" * 100 + "y" * MAX_CHARS + "\nnet_price\n"
    found = pieces_of_buffer(text, QUERY)
    assert 0 < len(found) <= MAX_PIECES
    assert not any("net_price" in piece.text for _, _, piece in found)


@given(st.text(alphabet="gross_price net\n\r\t ", max_size=400))
def test_parts_do_not_overlap_and_lie_in_the_buffer(text: str) -> None:
    found = sorted((first, last) for first, last, _ in pieces_of_buffer(text, QUERY))
    assert all(1 <= first <= last <= len(text.split("\n")) for first, last in found)
    assert all(before[1] < after[0] for before, after in pairwise(found))
