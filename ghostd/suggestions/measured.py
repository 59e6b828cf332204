"""How soon users see suggestions, by where they came from. Numbers only, and only in this process."""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from ghostd.completion.stages import STAGES, Stages
from ghostd.suggestion_reports import CompletionsReport, SourceReport
from ghostd.suggestions.suggestion import Suggestion

BOUNDS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Upper bounds of the histogram's buckets; one more holds the rest."""
SOON_MS = 100
_LOOKED_AT = 256
"""Suggestions that may still be accepted."""


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

    def quantile_ms(self, share: float) -> float:
        """The upper bound of the bucket that holds this quantile; the largest bound for what is above all."""
        left = share * self.count
        for bound, count in zip(BOUNDS_MS, self.counts, strict=False):
            left -= count
            if left <= 0:
                return bound
        return BOUNDS_MS[-1]

    def stage_sums(self, origin: str) -> dict[str, float]:
        """Milliseconds of each stage; none for what was there before it was asked for."""
        return {} if origin in ("kept", "prepared") else {stage: getattr(self.stages, stage) for stage in STAGES}


class Measured:
    """Counts since the daemon's start."""

    def __init__(self) -> None:
        self.by_source: dict[tuple[str, str], Histogram] = {}
        """By (model, origin)."""
        self.requests = 0
        self.accepted = 0
        self.empty = 0
        """Requests that nothing was shown for."""
        self.unanswered = 0
        """Requests that were cancelled, or failed."""
        self._looked_at: OrderedDict[str, None] = OrderedDict()
        """Ids of the last suggestions that were shown, and not accepted since."""

    def report(self, off: Mapping[str, str]) -> CompletionsReport:
        """All of it; `off` are the models that are not asked while the user types, and why."""
        sources = [
            SourceReport(
                model,
                origin,
                found.count,
                found.soon,
                found.quantile_ms(0.5),
                found.quantile_ms(0.95),
                found.sum_ms / found.count,
                list(found.counts),
                {stage: ms / found.count for stage, ms in found.stage_sums(origin).items()},
                found.sum_ms,
                found.stage_sums(origin),
            )
            for (model, origin), found in sorted(self.by_source.items())
        ]
        return CompletionsReport(
            self.requests, self.empty, self.unanswered, self.accepted, list(BOUNDS_MS), sources, dict(off)
        )

    def shown(self, suggestion: Suggestion, after_ms: float) -> None:
        """A suggestion was given, so long after it was asked for."""
        self._looked_at[suggestion.id] = None
        self._looked_at.move_to_end(suggestion.id)
        if len(self._looked_at) > _LOOKED_AT:
            self._looked_at.popitem(last=False)
        histogram = self.by_source.setdefault((suggestion.model, suggestion.origin), Histogram())
        histogram.counts[bisect_left(BOUNDS_MS, after_ms)] += 1
        histogram.sum_ms += after_ms
        histogram.soon += after_ms <= SOON_MS
        if suggestion.origin in ("fresh", "running"):
            for stage in STAGES:
                histogram.stages.add(stage, getattr(suggestion.stages, stage))

    def taken(self, suggestion_id: str) -> None:
        """A suggestion was accepted; editors may say so several times, and of what was never shown."""
        if suggestion_id in self._looked_at:
            del self._looked_at[suggestion_id]
            self.accepted += 1
