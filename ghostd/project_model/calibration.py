"""From the search's own probability to the share of such answers that are right."""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec

from ghostd.project_model.search import Line


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
def probability_floor(calibration: Calibration, min_confidence: float) -> float:
    """A probability below which no line reaches the confidence, whatever its other features."""
    if min_confidence <= 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(20):
        middle = (low + high) / 2
        best = max(
            confidence(calibration, Line((0,) * count, middle, weakest, True))
            for count in (0, 1, 8, 24)
            for weakest in (middle, 1.0)
        )
        low, high = (middle, high) if best < min_confidence else (low, middle)
    return low
