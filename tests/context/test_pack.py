"""Which pieces fit into a budget."""

from __future__ import annotations

from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from ghostd.context.candidate import Candidate, Kind
from ghostd.context.pack import Scored, key_of, pack


def piece(
    name: str, tokens: int, probability: float, first: int = 1, last: int = 5, names: str = "", kind: Kind = "chunk"
) -> Scored:
    found = Candidate(kind, PurePosixPath(name), first, last, "search", f"{name}{first}", tokens=tokens)
    found.names = frozenset(names.split() or [f"{name}{first}"])
    return Scored(found, probability)


def packed(
    scored: list[Scored], budget: int, novelty: float = 0.0, kept: frozenset[tuple[object, ...]] = frozenset()
) -> list[str]:
    taken, _ = pack(scored, budget, length_exponent=1.0, novelty=novelty, kept=kept)
    return [str(scored[place].candidate.path) for place in taken]


def test_what_is_worth_most_for_its_tokens_comes_first() -> None:
    assert packed([piece("long", 100, 0.5), piece("short", 10, 0.4), piece("poor", 10, 0.1)], 120) == [
        "short",
        "poor",
        "long",
    ]


def test_what_does_not_fit_is_left_out_with_its_reason_and_smaller_ones_follow() -> None:
    scored = [piece("a", 60, 0.9), piece("large", 90, 0.9), piece("b", 30, 0.1)]
    taken, why = pack(scored, 100, length_exponent=0.1, novelty=0.0)
    assert (sorted(taken), why) == ([0, 2], {1: "no room"})


def test_a_piece_that_overlaps_a_quoted_one_is_left_out() -> None:
    scored = [piece("a", 10, 0.9, 1, 10), piece("a", 10, 0.8, 4, 13), piece("a", 10, 0.7, 10, 20)]
    taken, why = pack(scored, 1000, length_exponent=1.0, novelty=0.0)
    assert (taken, why) == ([0, 2], {1: "overlaps a quoted piece"})


def test_what_a_copy_of_a_file_says_again_is_left_out() -> None:
    scored = [piece("a", 10, 0.9), piece("copy", 10, 0.8), piece("b", 10, 0.7)]
    scored[1].candidate.text = scored[0].candidate.text
    taken, why = pack(scored, 1000, length_exponent=1.0, novelty=0.0)
    assert (taken, why) == ([0, 2], {1: "its text is quoted already"})


def test_an_outline_and_a_chunk_of_the_same_lines_do_not_overlap() -> None:
    assert packed([piece("a", 10, 0.9), piece("a", 10, 0.8, kind="outline")], 100) == ["a", "a"]


def test_names_that_are_quoted_already_make_a_piece_worth_less() -> None:
    same = [piece("a", 10, 0.9, names="x y"), piece("copy", 10, 0.8, names="x y"), piece("new", 10, 0.5, names="z")]
    assert packed(same, 20) == ["a", "copy"]
    assert packed(same, 20, novelty=0.9) == ["a", "new"]


def test_what_was_quoted_before_stays_unless_something_is_much_better() -> None:
    old, new, best = piece("old", 10, 0.5), piece("new", 10, 0.6), piece("best", 10, 0.9)
    kept = frozenset([key_of(old.candidate)])
    assert packed([old, new], 10) == ["new"]
    assert packed([old, new], 10, kept=kept) == ["old"]
    assert packed([old, best], 10, kept=kept) == ["best"]


pieces = st.builds(
    piece,
    st.sampled_from(["a.py", "b.py", "c.py"]),
    st.integers(1, 400),
    st.floats(0.0, 1.0),
    st.integers(1, 30),
    st.integers(31, 60),
    st.text(alphabet="xyz ", max_size=8),
    st.sampled_from(["chunk", "outline"]),
)


@given(st.lists(pieces, max_size=80), st.integers(1, 1500), st.floats(0.0, 1.0), st.floats(0.1, 1.2))
def test_the_budget_is_never_exceeded_and_every_piece_is_taken_or_has_a_reason(
    scored: list[Scored], budget: int, novelty: float, exponent: float
) -> None:
    taken, why = pack(scored, budget, length_exponent=exponent, novelty=novelty)
    assert sum(scored[place].candidate.tokens for place in taken) <= budget
    assert len(set(taken)) == len(taken)
    assert {*taken, *why} == set(range(len(scored)))
    assert not set(taken) & set(why)
