"""Which pieces fit into a budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ghostd.context.candidate import Candidate, Kind
from ghostd.context.pack import key_of, pack, scores
from ghostd.context.scorer import Expected


@dataclass(frozen=True)
class Told:
    """A piece, and what each name that it tells of is worth."""

    candidate: Candidate
    worth: dict[str, float]


def piece(
    name: str, tokens: int, worth: float | dict[str, float], first: int = 1, last: int = 5, kind: Kind = "chunk"
) -> Told:
    """`worth`: of one name that no other piece has, or of each name."""
    text = f"{name}{first}"
    found = Candidate(kind, PurePosixPath(name), first, last, "search", text, tokens=tokens)
    return Told(found, worth if isinstance(worth, dict) else {f"{text}{kind}": worth})


def expected(pieces: list[Told]) -> Expected:
    worth = {name: value for one in pieces for name, value in one.worth.items()}
    places = {name: place for place, name in enumerate(worth)}
    told = [[places[name] for name in one.worth] for one in pieces]
    return Expected(list(worth), told, np.array(list(worth.values()), np.float64))


def packing(
    pieces: list[Told], budget: int, kept: frozenset[tuple[object, ...]] = frozenset()
) -> tuple[list[int], dict[int, str]]:
    return pack([one.candidate for one in pieces], expected(pieces), budget, kept=kept)


def packed(pieces: list[Told], budget: int, kept: frozenset[tuple[object, ...]] = frozenset()) -> list[str]:
    return [str(pieces[place].candidate.path) for place in packing(pieces, budget, kept)[0]]


def test_what_is_worth_most_for_its_tokens_comes_first() -> None:
    pieces = [piece("long", 100, 0.5), piece("short", 10, 0.4), piece("poor", 10, 0.1)]
    assert packed(pieces, 120) == ["short", "poor", "long"]


def test_what_does_not_fit_is_left_out_with_its_reason_and_smaller_ones_follow() -> None:
    taken, why = packing([piece("a", 60, 0.9), piece("large", 90, 0.9), piece("b", 30, 0.1)], 100)
    assert (sorted(taken), why) == ([0, 2], {1: "no room"})


def test_a_piece_that_overlaps_a_quoted_one_is_left_out() -> None:
    taken, why = packing([piece("a", 10, 0.9, 1, 10), piece("a", 10, 0.8, 4, 13), piece("a", 10, 0.7, 10, 20)], 1000)
    assert (taken, why) == ([0, 2], {1: "overlaps a quoted piece"})


def test_an_outline_and_a_chunk_of_the_same_lines_do_not_overlap() -> None:
    assert packed([piece("a", 10, 0.9), piece("a", 10, 0.8, kind="outline")], 100) == ["a", "a"]


def test_what_is_told_already_counts_no_more() -> None:
    pieces = [
        piece("a", 10, {"x": 0.5, "y": 0.4}),
        piece("copy", 10, {"x": 0.5, "y": 0.4}),
        piece("partly", 10, {"x": 0.5, "z": 0.1}),
        piece("new", 10, {"w": 0.2}),
        piece("empty", 10, {}),
    ]
    taken, why = packing(pieces, 1000)
    assert [str(pieces[place].candidate.path) for place in taken] == ["a", "new", "partly"]
    assert why == {1: "tells nothing new", 4: "tells nothing new"}


def test_what_was_quoted_before_stays_unless_something_is_much_better() -> None:
    old, new, best = piece("old", 10, 0.5), piece("new", 10, 0.6), piece("best", 10, 0.9)
    kept = frozenset([key_of(old.candidate)])
    assert packed([old, new], 10) == ["new"]
    assert packed([old, new], 10, kept=kept) == ["old"]
    assert packed([old, best], 10, kept=kept) == ["best"]


def test_a_piece_with_evidence_of_its_own_counts_more() -> None:
    pieces = [piece("a", 10, 0.5), piece("changed", 10, 0.4)]
    pieces[1].candidate.boost = 0.6
    assert packed(pieces, 10) == ["changed"]


def test_a_score_is_the_probability_that_one_of_the_names_is_wanted() -> None:
    pieces = [piece("both", 10, {"x": 0.5, "y": 0.5}), piece("one", 10, {"y": 0.5}), piece("none", 10, {})]
    assert scores([one.candidate for one in pieces], expected(pieces)).round(6).tolist() == [0.75, 0.5, 0.0]


pieces = st.builds(
    piece,
    st.sampled_from(["a.py", "b.py", "c.py"]),
    st.integers(1, 400),
    st.dictionaries(st.sampled_from("uvwxyz"), st.floats(0.0, 0.99), max_size=4),
    st.integers(1, 30),
    st.integers(31, 60),
    st.sampled_from(["chunk", "outline"]),
)


@given(st.lists(pieces, max_size=80), st.integers(1, 1500))
def test_the_budget_is_never_exceeded_and_every_piece_is_taken_or_has_a_reason(told: list[Told], budget: int) -> None:
    taken, why = packing(told, budget)
    assert sum(told[place].candidate.tokens for place in taken) <= budget
    assert len(set(taken)) == len(taken)
    assert {*taken, *why} == set(range(len(told)))
    assert not set(taken) & set(why)
