"""The most probable rest of the line: best first over partial lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from operator import itemgetter

from ghostd.project_model.evidence import ESCAPE, Evidence
from ghostd.project_model.tokens import END_OF_LINE

CONTEXT = 16
MAX_LINE_TOKENS = 48


@dataclass(frozen=True, slots=True)
class Line:
    """A finished guess."""

    tokens: tuple[int, ...]
    """Without the end of the line."""
    probability: float
    """The model's own, not calibrated."""
    weakest: float
    """The least probability of its tokens."""
    finished: bool
    """False where the search gave up before the line's end."""


def distribution(scores: dict[int, float], most: int) -> list[tuple[int, float]]:
    """The `most` likeliest tokens with their probabilities, ESCAPE left out."""
    top = max(scores.values())
    exp = math.exp
    total = 0.0
    for score in scores.values():
        total += exp(score - top)
    best = sorted(scores.items(), key=itemgetter(1), reverse=True)[: most + 1]
    return [(token, exp(score - top) / total) for token, score in best if token != ESCAPE][:most]


def best_line(
    evidence: Evidence,
    floors: Sequence[float],
    budget: int,
    cancelled: Callable[[], bool],
) -> Line | None:
    """The likeliest rest of the line; None where none of at least n tokens has the probability `floors[n]`.

    `floors` goes to MAX_LINE_TOKENS, ascending. At most `budget` partial lines are expanded, then the best of them is
    finished greedily. The search ends as soon as no partial line can come above its floor any more.
    """
    hole = evidence.hole
    text = hole.text
    before = [ord(char) for char in reversed(text.tokens[max(text.origin - CONTEXT, 0) : text.origin])]
    heap: list[tuple[float, int, tuple[int, ...], float]] = [(0.0, 0, (), 1.0)]
    counter = 0
    dearest = [-math.log(floor) if floor > 0 else math.inf for floor in floors]
    while heap and budget > 0:
        cost, _, tokens, weakest = heappop(heap)
        if tokens and tokens[-1] == END_OF_LINE:
            return Line(tokens[:-1], math.exp(-cost), weakest, True)
        if cancelled():
            return None
        budget -= 1
        for rank, (token, probability) in enumerate(next_tokens(evidence, before, tokens, 6)):
            total = cost - math.log(max(probability, 1e-12))
            if total <= dearest[0] and (probability > 0.01 or rank == 0):
                counter += 1
                heappush(heap, (total, counter, (*tokens, token), min(weakest, probability)))
        # Those that are too long for their probability stay in the heap: a shorter rival must still be likelier.
        if not any(cost <= dearest[_count(tokens)] for cost, _, tokens, _ in heap):
            return None
    if not heap:
        return None
    cost, _, tokens, weakest = heap[0]
    return _finished(evidence, before, Line(tokens, math.exp(-cost), weakest, False), floors, cancelled)


def _finished(
    evidence: Evidence, before: Sequence[int], line: Line, floors: Sequence[float], cancelled: Callable[[], bool]
) -> Line | None:
    """Out of budget: the likeliest partial line, the likeliest token after the other added."""
    tokens, probability, weakest = line.tokens, line.probability, line.weakest
    while len(tokens) < MAX_LINE_TOKENS and not (tokens and tokens[-1] == END_OF_LINE):
        if cancelled():
            return None
        floor = floors[len(tokens)]
        following = next_tokens(evidence, before, tokens, 1) if probability >= floor else ()
        if not following or probability * following[0][1] < floor:
            return Line(tokens, probability, weakest, False) if floor == 0 else None
        token, step = following[0]
        probability *= step
        weakest = min(weakest, step)
        tokens = (*tokens, token)
    finished = tokens[-1] == END_OF_LINE
    return Line(tokens[:-1] if finished else tokens, probability, weakest, finished)


def _count(tokens: Sequence[int]) -> int:
    """Tokens without the end of the line."""
    return len(tokens) - (tokens[-1] == END_OF_LINE)


def still_typed(evidence: Evidence, tokens: Sequence[int]) -> str:
    """What of the typed text the tokens leave over."""
    typed = evidence.hole.typed
    return typed[len(evidence.lexicon.text(tokens)) :] if typed and len(tokens) < 3 else ""


def next_tokens(
    evidence: Evidence, before: Sequence[int], tokens: tuple[int, ...], most: int
) -> list[tuple[int, float]]:
    """The likeliest tokens after these."""
    hole = evidence.hole
    context = [*reversed(tokens[-CONTEXT:]), *before][:CONTEXT]
    typed = still_typed(evidence, tokens)
    scores = evidence.scores(context, (*hole.line, *tokens), typed)
    if typed:
        scores.pop(END_OF_LINE, None)
    return distribution(scores, most)
