"""How soon users see suggestions, by where they came from. Numbers only, and only in this process."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

from ghostd.completion.stages import STAGES, Stages
from ghostd.suggestions.suggestion import Suggestion

BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Upper bounds of the histogram's buckets; one more holds the rest."""
SOON_MS = 100


@dataclass(slots=True)
class Histogram:
    """Of the suggestions of one source: a model and how it came by it."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_MS) + 1))
    sum_ms: float = 0.0
    soon: int = 0
    """How many came within SOON_MS."""
    stages: Stages = field(default_factory=Stages)
    """Sums, in milliseconds."""

    @property
    def count(self) -> int:
        """All of them."""
        return sum(self.counts)


class Measured:
    """Counts since the daemon's start."""

    def __init__(self) -> None:
        self.by_source: dict[tuple[str, str], Histogram] = {}
        """By (model, origin)."""
        self.requests = 0
        self.empty = 0
        """Requests that nothing was shown for."""

    def shown(self, suggestion: Suggestion, after_ms: float) -> None:
        """A suggestion was given, so long after it was asked for."""
        histogram = self.by_source.setdefault((suggestion.model, suggestion.origin), Histogram())
        histogram.counts[bisect_left(BOUNDS_MS, after_ms)] += 1
        histogram.sum_ms += after_ms
        histogram.soon += after_ms <= SOON_MS
        if suggestion.origin in ("fresh", "running"):
            for stage in STAGES:
                histogram.stages.add(stage, getattr(suggestion.stages, stage))
