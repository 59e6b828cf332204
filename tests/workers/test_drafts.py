"""Drafts are what followed the longest earlier occurrence of the last tokens."""

from __future__ import annotations

import random

from ghostd.workers.drafts import EXPECTED, Drafts, Policy


def drafts(*references: list[int], said: list[int]) -> Drafts:
    found = Drafts()
    for reference in references:
        found.refer(reference)
    found.say(said)
    return found


def test_a_reference_says_what_follows() -> None:
    assert drafts([1, 2, 3, 4, 5, 6], said=[9, 1, 2, 3]).draft(2)[0] == [4, 5]


def test_the_text_itself_says_what_follows() -> None:
    assert drafts(said=[7, 1, 2, 3, 4, 5, 8, 1, 2, 3]).draft(8)[0] == [4, 5, 8, 1, 2, 3]


def test_the_longest_match_wins_and_of_equals_the_latest() -> None:
    assert drafts([0, 1, 2, 3, 40], [5, 1, 2, 3, 50], said=[0, 1, 2, 3]).draft(1)[0] == [40]
    assert drafts([8, 1, 2, 3, 40], [9, 1, 2, 3, 50], said=[0, 1, 2, 3]).draft(1)[0] == [50]


def test_a_draft_ends_with_its_reference() -> None:
    assert drafts([1, 2, 3, 4], [5, 6], said=[1, 2, 3]).draft(5)[0] == [4]
    assert drafts([1, 2, 3], [5, 6], said=[1, 2, 3]).draft(5)[0] == []


def test_nothing_is_drafted_where_nothing_is_known() -> None:
    assert drafts(said=[]).draft(4)[0] == []
    assert drafts(said=[1, 2]).draft(4)[0] == []
    assert drafts(said=[1, 2, 3, 4]).draft(4)[0] == []
    assert drafts([1, 2, 3, 4], said=[1, 2, 3]).draft(0)[0] == []


def test_what_is_expected_goes_first_as_long_as_it_comes_true() -> None:
    found = drafts([1, 2, 3, 4], said=[1, 2, 3])
    found.expect([7, 8, 9])
    assert found.draft(2)[0] == [7, 8]
    found.say([7, 8])
    assert found.draft(4)[0] == [9]
    found.say([1, 2, 3])  # the expectation has not come true: what followed here last is drafted
    assert found.draft(1)[0] == [7]


def test_a_draft_always_stands_somewhere_behind_the_last_tokens() -> None:
    rng = random.Random(3)
    for _ in range(200):
        text = [rng.randrange(4) for _ in range(80)]
        found = drafts(said=text[:40])
        for token in text[40:]:
            draft, _ = found.draft(6)
            whole = list(found._tokens)
            if draft:
                needle = whole[-3:] + draft
                assert any(whole[at : at + len(needle)] == needle for at in range(len(whole)))
            found.say([token])


COSTS = (1.0, 1.8, 2.0, 2.3, 2.5, 2.8, 3.1, 3.4, 3.6)


def test_longer_matches_are_trusted_with_longer_drafts() -> None:
    policy = Policy(COSTS)
    assert policy.length(3) <= policy.length(8) <= policy.length(24) <= 8
    assert policy.length(24) > 0


def test_the_length_follows_what_the_model_accepts() -> None:
    policy = Policy(COSTS)
    for _ in range(60):
        policy.seen(10, 8, 0)
    assert policy.length(10) == 0
    assert policy.length(24) > 0
    for _ in range(60):
        policy.seen(10, 8, 8)
    assert policy.length(10) == 8


def test_nothing_is_drafted_where_verifying_costs_as_much_as_writing() -> None:
    assert Policy((1.0, 2.0, 3.0, 4.0)).length(EXPECTED) == 0
