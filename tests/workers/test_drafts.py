"""Drafts are what followed the longest earlier occurrence of the last tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence

from hypothesis import given
from hypothesis.strategies import integers, lists

from ghostd.workers.drafts import EXPECTED, Costs, Drafts, Policy, joined, packed


def drafts(*references: list[int], said: list[int], expected: tuple[int, ...] = ()) -> Drafts:
    found = Drafts(joined(map(packed, references)), expected)
    found.start(said)
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
    found = drafts([1, 2, 3, 4], said=[1, 2, 3], expected=(7, 8, 9))
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
        for end, token in enumerate(text[40:], 40):
            whole = text[:end]
            draft, _ = found.draft(6)
            if draft:
                needle = whole[-3:] + draft
                assert any(whole[at : at + len(needle)] == needle for at in range(len(whole)))
            found.say([token])


def policy_of(costs: Sequence[float]) -> Policy:
    return Policy(lambda tokens: costs[tokens - 1], len(costs) - 1)


COSTS = (1.0, 1.8, 2.0, 2.3, 2.5, 2.8, 3.1, 3.4, 3.6)


def test_longer_matches_are_trusted_with_longer_drafts() -> None:
    policy = policy_of(COSTS)
    assert policy.length(3) <= policy.length(8) <= policy.length(24) <= 8
    assert policy.length(24) > 0


def test_the_length_follows_what_the_model_accepts() -> None:
    policy = policy_of(COSTS)
    for _ in range(60):
        policy.seen(10, 8, 0)
    assert policy.length(10) == 0
    assert policy.length(24) > 0
    for _ in range(60):
        policy.seen(10, 8, 8)
    assert policy.length(10) == 8


def test_nothing_is_drafted_where_verifying_costs_as_much_as_writing() -> None:
    assert policy_of((1.0, 2.0, 3.0, 4.0)).length(EXPECTED) == 0


def test_tokens_whose_bytes_meet_across_their_borders_do_not_match() -> None:
    low, high = 0x01010101, 0x01010102
    assert drafts([low, low, low, low, 7], said=[high, low, low, low]).draft(1)[0] == [7]
    assert drafts([high, high, high, 5], said=[low, low, low]).draft(1)[0] == []


@given(lists(lists(integers(0, 3), max_size=30), max_size=4), lists(integers(0, 3), max_size=24))
def test_a_draft_is_what_followed_a_match(references: list[list[int]], said: list[int]) -> None:
    found, length = drafts(*references, said=said).draft(5)
    ends = [(text, end) for text in (*references, said) for end in range(3, len(text))]
    longest = max((_match(text, end, said) for text, end in ends), default=0)
    assert bool(found) == (longest >= 3)
    assert length <= longest
    assert not found or any(_match(text, end, said) == length and text[end : end + 5] == found for text, end in ends)


def _match(text: list[int], end: int, said: list[int]) -> int:
    count = 0
    while count < min(24, end, len(said)) and text[end - 1 - count] == said[len(said) - 1 - count]:
        count += 1
    return count


def test_costs_are_learned_from_steps_and_guessed_between_them() -> None:
    costs = Costs()
    assert costs(1) == 1.0 < costs(2) < costs(8)
    for _ in range(50):
        costs.took(1, 0.010)
        costs.took(4, 0.030)
    assert costs(1) == 1.0
    assert abs(costs(4) - 3.0) < 0.01
    assert costs(2) < costs(4) < costs(8)
    for _ in range(50):
        costs.took(4, 0.010)
    assert costs(4) < 1.01


def test_one_step_that_was_held_up_changes_little() -> None:
    costs = Costs()
    for _ in range(20):
        costs.took(1, 0.010)
        costs.took(2, 0.015)
    costs.took(2, 30.0)
    assert costs(2) < 2.5
