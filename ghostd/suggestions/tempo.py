"""When to ask a model: at once where that pays, else after a pause by the user's rhythm and the model's latency."""

from __future__ import annotations

from collections import deque
from statistics import median

MAX_DELAY_S = 0.15
_KEYS = 8
_PAUSE_S = 1.0
"""A longer time between two keys is no rhythm."""
_USUAL_KEY_S = 0.12
_GOOD_TRIGGERS = frozenset(" \t\n.([{,=:;>\"'/@#")
_BURST_S = 0.05
"""Nobody types faster: a key that is held down, a macro, a paste in pieces."""
_LATE_SPREADS, _LEAST_SPREAD_S = 4.0, 0.0005
"""Of the times between keys: one that takes so many spreads longer than usual is late."""
_MOST_MISTAKES = 8
"""That count; MAX_DELAY_S holds in any case."""
_LATENCY_SHARE = 0.25
_NEW_SHARE = 0.3


class Rhythm:
    """The time between one user's keys."""

    def __init__(self) -> None:
        self._intervals: deque[float] = deque(maxlen=_KEYS)
        self._last_s: float | None = None
        self._mistakes = 0
        """How often a key came in a burst after all, when it had been taken for late."""

    def key(self, now_s: float) -> None:
        """A key was pressed."""
        if self._last_s is not None and 0 < now_s - self._last_s < _PAUSE_S:
            self._intervals.append(now_s - self._last_s)
        self._last_s = now_s
        if not self.bursts:
            self._mistakes = 0

    def mistaken(self) -> None:
        """The key had been taken for late: the next one gets twice as long."""
        self._mistakes += 1

    @property
    def usual_s(self) -> float:
        """Seconds between two keys."""
        return median(self._intervals) if self._intervals else _USUAL_KEY_S

    @property
    def bursts(self) -> bool:
        """Whether keys come faster than anybody types."""
        return self.usual_s < _BURST_S

    @property
    def late_s(self) -> float:
        """Seconds after a key from which on the next one is late: the user has stopped, as far as one can tell.

        At most twice the usual time.
        """
        usual = self.usual_s
        spread = median(abs(interval - usual) for interval in self._intervals) if self._intervals else 0.0
        margin = _LATE_SPREADS * max(spread, _LEAST_SPREAD_S) * (1 << min(self._mistakes, _MOST_MISTAKES))
        return usual + min(margin, usual)


class Latency:
    """How long one model takes, as measured here: a moving average."""

    def __init__(self, expected_s: float | None = None) -> None:
        self.expected_s = expected_s
        """Seconds until a whole suggestion; None: not known."""

    def measured(self, seconds: float) -> None:
        """A suggestion took so long."""
        self.expected_s = (
            seconds if self.expected_s is None else self.expected_s + _NEW_SHARE * (seconds - self.expected_s)
        )


def delay_s(before: str, rhythm: Rhythm, latency: Latency, *, busy: bool) -> float:
    """Seconds after a key until a model is asked while the user types.

    None where the model is idle. While it is busy, the longer the slower it is, but not much longer than a key takes:
    MAX_DELAY_S at most. In a burst of keys, until the next one is late.
    """
    if rhythm.bursts:
        return min(rhythm.late_s, MAX_DELAY_S)
    if not busy:
        return 0.0
    good = not before or before[-1] in _GOOD_TRIGGERS
    by_model = (latency.expected_s or MAX_DELAY_S) * _LATENCY_SHARE
    by_keys = rhythm.usual_s * (0.5 if good else 1.25)
    return min(by_model + 0.02, by_keys, MAX_DELAY_S)
