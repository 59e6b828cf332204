"""How soon editors' users get to see completions, as `ghostctl completions` prints it."""

from __future__ import annotations

import msgspec


class SourceReport(msgspec.Struct, frozen=True):
    """The completions of one model that came about in one way."""

    model: str
    origin: str
    """"kept": from before; "prepared": made before it was asked for; "running": written since an earlier key; "fresh":
    asked of the model for this request."""
    shown: int
    within_100_ms: int
    p50_ms: float
    """The upper bound of the histogram's bucket that holds it; p95 likewise."""
    p95_ms: float
    mean_ms: float
    counts: list[int]
    """By bucket; the last one holds what is above all bounds."""
    stages_ms: dict[str, float]
    """Means of queue, retrieval, prompt, prefill, decode and post, where a model was asked."""
    sum_ms: float
    """Of all that were shown; only grows."""
    stages_sum_ms: dict[str, float]
    """Of the stages, likewise."""


class CompletionsReport(msgspec.Struct, frozen=True):
    """Since the daemon's start, on this machine only."""

    requests: int
    empty: int
    """Requests that nothing was shown for."""
    unanswered: int
    """Requests that were cancelled, or failed."""
    accepted: int
    bounds_ms: list[int]
    """Upper bounds of the buckets."""
    sources: list[SourceReport]
    off: dict[str, str]
    """Models that are not asked while the user types, and why."""

    @property
    def shown(self) -> int:
        """All that were shown."""
        return sum(source.shown for source in self.sources)

    @property
    def soon(self) -> int:
        """Those within 100 ms."""
        return sum(source.within_100_ms for source in self.sources)
