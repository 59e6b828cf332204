"""What a segment finds, against a plain look at its whole stream."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from ghostd.project_model.build import build
from ghostd.project_model.segment import CONTEXT, Segment
from ghostd.project_model.tokens import BREAKS, EDGE, END_OF_LINE

WORDS = ("order", "item", "price", "self", "(", ")", ", ", " = ", ".", "return ", "7")


@pytest.fixture
def segment(tmp_path: Path) -> Segment:
    """Forty files of few words, so that contexts recur often."""
    chance = random.Random(5)
    lines = ["".join(chance.choices(WORDS, k=chance.randint(1, 9))).strip() for _ in range(60)]
    texts = ["\n".join("    " * chance.randint(0, 2) + chance.choice(lines) for _ in range(50)) for _ in range(40)]
    target = tmp_path / "a.segment"
    build(((f"{number}.py", "", text.encode()) for number, text in enumerate(texts)), target, 1_000_000)
    return Segment(target)


@pytest.mark.parametrize("shapes", [False, True])
def test_the_intervals_of_a_context_hold_its_occurrences_and_no_others(segment: Segment, shapes: bool) -> None:
    order = segment.shape_order if shapes else segment.order
    text = [segment.shape[token] for token in segment.stream] if shapes else segment.stream.tolist()
    chance = random.Random(6)
    for _ in range(60):
        at = chance.choice([place for place in range(2 * CONTEXT, len(text)) if text[place] != EDGE])
        context = [text[at - back] for back in range(CONTEXT)]
        context[chance.randrange(1, CONTEXT)] = chance.choice(text)
        find = segment.shape_intervals if shapes else segment.intervals
        for _again in range(2):  # what is remembered is the same
            found = [sorted(order[low:high].tolist()) for low, high in find(context)]
            expected = []
            places = list(range(CONTEXT, len(text)))
            for back, token in enumerate(context):
                places = [place for place in places if text[place - back] == token]
                expected.append(places)
            assert found == [places for places in expected if places]
    segment.close()


@pytest.mark.parametrize("outdated", [[], [900, 1700], [0, 50, 1000, 1001, 4000, 5000]])
def test_followers_are_those_of_places_that_are_not_outdated(segment: Segment, outdated: list[int]) -> None:
    stream = segment.stream.tolist()
    gone = {place for start, stop in zip(outdated[::2], outdated[1::2], strict=True) for place in range(start, stop)}
    chance = random.Random(7)
    for _ in range(60):
        at = chance.choice([place for place in range(2 * CONTEXT, len(stream)) if stream[place] != EDGE])
        intervals = segment.intervals([stream[at - back] for back in range(CONTEXT)])[::-1]
        for most in (3, 40, 10_000):
            for (low, high), counts in zip(intervals, segment.followers(intervals, most, outdated), strict=True):
                step = 1 + (high - low - 1) // most
                following = [stream[place + 1] for place in segment.order[low:high:step].tolist() if place not in gone]
                known = [END_OF_LINE if token < BREAKS else token for token in following if token != EDGE]
                assert counts == Counter(known)
    segment.close()
