"""What is looked for around a cursor."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ghostd.context.query import IDENTIFIER, KEYWORDS, MAX_NEARBY, query_of

FAR = "\n".join(f"line_{number}" for number in range(40))


@pytest.mark.parametrize(
    ("prefix", "suffix", "there", "not_there"),
    [
        ("total = invoice.", "", {"total", "invoice"}, set()),
        ("return self.load(", ")\n", {"load"}, {"return", "self"}),
        ("a_name = ", "other()\nafter_it", {"a_name", "other", "after_it"}, set()),
        (
            f"{FAR}\nhere = ",
            f"\n{FAR.replace('line', 'next')}",
            {"here", "line_39", "line_30", "next_2"},
            {"line_29", "next_3"},
        ),
        ("größe = 参数 + ", "", {"größe", "参数"}, set()),
        ("x = 12345", "", {"x"}, {"12345"}),
        ("", "", set(), set()),
    ],
)
def test_the_identifiers_of_some_lines_before_and_after_count(
    prefix: str, suffix: str, there: set[str], not_there: set[str]
) -> None:
    words = query_of(prefix, suffix).words
    assert there <= words.keys()
    assert not not_there & words.keys()


def test_the_cursors_line_counts_most_then_what_is_near() -> None:
    query = query_of(f"{FAR}\nhere = ", "\nnext_one")
    assert query.words["here"] > query.words["line_39"] > query.words["line_31"]
    assert query.nearby["here"] == 1.0
    assert query.nearby["here"] > query.nearby["line_39"] > query.nearby["line_38"]
    assert query.nearby["next_one"] == query.nearby["line_39"]


def test_short_names_are_searched_for_but_their_definitions_are_not() -> None:
    query = query_of("ab = abc + ", "")
    assert ("ab" in query.words, "ab" in query.nearby, "abc" in query.nearby) == (True, False, True)


@pytest.mark.parametrize("typed", ["", "n", "ne", "new_", "new_name"])
def test_the_word_that_is_being_typed_changes_nothing(typed: str) -> None:
    assert query_of(f"value = {typed}", ")") == query_of("value = ", ")")


@given(st.text(), st.text())
def test_it_is_bounded_and_knows_only_words_of_the_text(prefix: str, suffix: str) -> None:
    query = query_of(prefix, suffix)
    assert len(query.nearby) <= MAX_NEARBY
    assert query.nearby.keys() <= query.words.keys()
    assert not KEYWORDS & query.words.keys()
    assert all(word in prefix + suffix or IDENTIFIER.fullmatch(word) for word in query.words)


def test_a_file_of_one_long_line_costs_little() -> None:
    query = query_of("x" * 5_000_000 + "; name = ", "y" * 5_000_000)
    assert len(query.words) <= 2


@pytest.mark.parametrize(
    ("prefix", "called"),
    [
        ("total = price.gross(", "gross"),
        ("gross(net(1), ", "gross"),
        ("gross(\n    net=1,\n    ", "gross"),
        ("gross(net(", "net"),
        ("gross(1)", ""),
        ("x = (1 + ", ""),
        ("if (", ""),
        ("gross(" + "1, " * 500, ""),
        ("", ""),
    ],
)
def test_what_is_called_is_the_name_before_the_innermost_open_bracket(prefix: str, called: str) -> None:
    assert query_of(prefix, ")\n").called == called
