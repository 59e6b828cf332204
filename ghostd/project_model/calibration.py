"""From the search's own probability to the share of such answers that are right."""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec

from ghostd.project_model.search import MAX_LINE_TOKENS, Line


class Calibration(msgspec.Struct, frozen=True):
    """A logistic regression, fitted on held-out files of the tuning packages (see docs/project-model.md)."""

    bias: float
    log_probability: float
    log_weakest: float
    log_tokens: float
    unfinished: float
    default_threshold: float
    """Confidence from which a suggestion is shown when nobody asks for another."""


def confidence(calibration: Calibration, line: Line) -> float:
    """Estimated probability (0..1) that the line is exactly what will be written."""
    z = (
        calibration.bias
        + calibration.log_probability * math.log(max(line.probability, 1e-9))
        + calibration.log_weakest * math.log(max(line.weakest, 1e-9))
        + calibration.log_tokens * math.log(len(line.tokens) + 1)
        + (0.0 if line.finished else calibration.unfinished)
    )
    return 1 / (1 + math.exp(-max(min(z, 30.0), -30.0)))


@lru_cache(maxsize=256)
def probability_floors(calibration: Calibration, min_confidence: float) -> tuple[float, ...]:
    """For each number of tokens, a probability below which no line of so many or more reaches the confidence.

    It holds whatever else the line is: its weakest token is at least as probable as all of it, and finished or not.
    """
    if min_confidence <= 0:
        return (0.0,) * (MAX_LINE_TOKENS + 1)
    if min_confidence >= 1:
        return (math.inf,) * (MAX_LINE_TOKENS + 1)
    slope = min(calibration.log_probability, calibration.log_probability + calibration.log_weakest)
    needed = math.log(min_confidence / (1 - min_confidence)) - calibration.bias - max(calibration.unfinished, 0.0)
    if slope <= 0:
        return (0.0,) * (MAX_LINE_TOKENS + 1)
    most = max(calibration.log_tokens, 0.0) * math.log(MAX_LINE_TOKENS + 1)
    floors = []
    for count in range(MAX_LINE_TOKENS + 1):
        tokens = most or calibration.log_tokens * math.log(count + 1)
        floor = math.exp(min((needed - tokens) / slope, 1.0))
        # Below 1e-9 `confidence` makes no difference any more; and a little is left for rounding.
        floors.append(floor * (1 - 1e-9) if floor > 1e-9 else 0.0)
    return tuple(floors)
