"""The most probable rest of the line: best first over partial lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

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
    best = sorted(scores.items(), key=lambda item: -item[1])[: most + 1]
    return [(token, exp(score - top) / total) for token, score in best if token != ESCAPE][:most]


def best_line(
    evidence: Evidence,
    floor: float,
    budget: int,
    cancelled: Callable[[], bool],
) -> Line | None:
    """The likeliest rest of the line with at least probability `floor`; None where there is none.

    At most `budget` partial lines are expanded, then the best of them is finished greedily.
    """
    hole = evidence.hole
    text = hole.text
    before = [ord(char) for char in reversed(text.tokens[max(text.origin - CONTEXT, 0) : text.origin])]
    heap: list[tuple[float, int, tuple[int, ...], float]] = [(0.0, 0, (), 1.0)]
    counter = 0
    log_floor = -math.log(floor) if floor > 0 else math.inf
    while heap and budget > 0:
        cost, _, tokens, weakest = heappop(heap)
        if tokens and tokens[-1] == END_OF_LINE:
            return Line(tokens[:-1], math.exp(-cost), weakest, True)
        if cancelled():
            return None
        budget -= 1
        for rank, (token, probability) in enumerate(next_tokens(evidence, before, tokens, 6)):
            total = cost - math.log(max(probability, 1e-12))
            if total <= log_floor and (probability > 0.01 or rank == 0):
                counter += 1
                heappush(heap, (total, counter, (*tokens, token), min(weakest, probability)))
    if not heap:
        return None
    # Out of budget: the longest among the likely ones, finished greedily.
    cost, _, tokens, weakest = heap[0]
    probability = math.exp(-cost)
    while len(tokens) < MAX_LINE_TOKENS and not (tokens and tokens[-1] == END_OF_LINE):
        if cancelled():
            return None
        following = next_tokens(evidence, before, tokens, 1)
        if not following or probability * following[0][1] < floor:
            return Line(tokens, probability, weakest, False) if floor == 0 else None
        token, step = following[0]
        probability *= step
        weakest = min(weakest, step)
        tokens = (*tokens, token)
    finished = tokens[-1] == END_OF_LINE
    return Line(tokens[:-1] if finished else tokens, probability, weakest, finished)


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
