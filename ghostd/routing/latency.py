"""How fast a deployment answers: the last measured times."""

from __future__ import annotations

from collections import deque

_SAMPLES = 64
_SMOOTHING = 0.2


class Latency:
    """The last measured times, in ms."""

    __slots__ = ("_samples", "_sorted", "mean")

    def __init__(self) -> None:
        self._samples: deque[float] = deque(maxlen=_SAMPLES)
        self._sorted: list[float] | None = None
        self.mean: float | None = None
        """Exponentially weighted; None before the first."""

    def add(self, milliseconds: float) -> None:
        """Take one in."""
        self._samples.append(milliseconds)
        self._sorted = None
        self.mean = milliseconds if self.mean is None else self.mean + _SMOOTHING * (milliseconds - self.mean)

    def percentile(self, share: float, least: int = 1) -> float | None:
        """The percentile (0..1) of the last times; None with fewer than `least` of them."""
        if len(self._samples) < least:
            return None
        if self._sorted is None:
            self._sorted = sorted(self._samples)
        return self._sorted[min(len(self._sorted) - 1, int(share * len(self._sorted)))]
