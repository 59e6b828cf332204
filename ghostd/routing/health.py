"""How one deployment fares: a circuit breaker, its load, and how fast it answers.

The breaker opens after failures in a row or at a share of failures, rests for a time that doubles while it goes on
failing, then lets one request through as a trial (half-open). A time-out opens it at once, since it costs its caller
the most. What the caller did wrong is no failure.
"""

from __future__ import annotations

import random
from collections import deque

from ghostd.config_routing import RoutingConfig
from ghostd.errors import (
    GhostdError,
    KeyRefused,
    ModelUnavailable,
    NoUsableKey,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
)

_RESTS_S: dict[type[GhostdError], float] = {
    RateLimited: 5.0,
    KeyRefused: 60.0,
    NoUsableKey: 60.0,
    QuotaExhausted: 300.0,
    UpstreamModelMissing: 60.0,
    Overloaded: 1.0,
    ModelUnavailable: 5.0,
}
"""What asks for a rest at once, and how long where it does not say so itself."""

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


class Health:
    """The state of one deployment. Times are seconds of a monotonic clock."""

    __slots__ = (
        "_check_at",
        "_failures",
        "_outcomes",
        "_rests",
        "_settings",
        "_trial",
        "_waiting",
        "checked",
        "first_byte",
        "in_flight",
        "last_error",
        "plain",
        "proven",
        "rests_until",
        "token_ms",
    )

    def __init__(self, settings: RoutingConfig) -> None:
        self._settings = settings
        self._failures = 0
        self._outcomes: deque[bool] = deque(maxlen=settings.breaker_window)
        self._rests = 0
        self._trial = False
        self._waiting: dict[int, float] = {}
        self._check_at = float("-inf")
        self.rests_until: float | None = None
        """None: closed. Else when a trial may be made."""
        self.checked = False
        """Whether a health check has found it well since the breaker opened."""
        self.in_flight = 0
        self.first_byte = Latency()
        """Of streams, to the first byte."""
        self.plain = Latency()
        """Of replies that are not streamed, whole."""
        self.token_ms = Latency()
        """Between the first byte and the end of a stream, for each token."""
        self.proven = False
        """Whether it has answered a request since it was last in doubt."""
        self.last_error = ""

    # --- may it be asked? ---

    def state(self, now: float) -> str:
        """ "closed", "open" or "half-open"."""
        if self.rests_until is None:
            return "closed"
        return "open" if now < self.rests_until else "half-open"

    def admits(self, now: float) -> bool:
        """Whether a request may go there: not while it rests, and only one while it is on trial."""
        if self.rests_until is None:
            return True
        return now >= self.rests_until and not self._trial

    def waiting_since(self) -> float | None:
        """When the oldest request that has had no answer yet was sent."""
        return next(iter(self._waiting.values()), None)

    @property
    def success_rate(self) -> float:
        """Share of the last requests that succeeded; 1 before the first."""
        return (sum(self._outcomes) + 1) / (len(self._outcomes) + 1) if self._outcomes else 1.0

    # --- what happened ---

    def begin(self, key: int, now: float) -> None:
        """A request goes there; `key` tells it from others."""
        self.in_flight += 1
        self._waiting[key] = now
        if self.rests_until is not None:
            self._trial = True

    def answered(self, key: int) -> None:
        """The first byte of a request's good reply has come."""
        self._waiting.pop(key, None)
        self.proven = True

    def end(self, key: int) -> None:
        """A request is over, however it went."""
        self.in_flight -= 1
        self._waiting.pop(key, None)
        self._trial = False

    def succeeded(self, began: float) -> None:
        """A request that began then was answered to its end; one from before the rest does not end the rest."""
        self._failures = 0
        self._outcomes.append(True)
        if self.rests_until is not None and began >= self.rests_until:
            self.rests_until = None
            self._rests = 0
            self._outcomes.clear()
        self.last_error = ""

    def failed(self, error: GhostdError, now: float) -> None:
        """A request failed; the caller's own mistakes do not count."""
        if not isinstance(error, ProviderError) or isinstance(error, UpstreamRejected):
            return
        self.last_error = str(error)[:300]
        asked: float | None = getattr(error, "retry_after_s", None)
        for kind, rest_s in _RESTS_S.items():
            if isinstance(error, kind):
                self.rest(now, min(asked if asked is not None else rest_s, self._settings.max_rest_s))
                return
        self._outcomes.append(False)
        self._failures += self._settings.breaker_failures if isinstance(error, UpstreamTimeout) else 1
        window = len(self._outcomes) == self._settings.breaker_window
        rate = 1 - sum(self._outcomes) / len(self._outcomes)
        broken = self._failures >= self._settings.breaker_failures or (window and rate >= self._settings.breaker_rate)
        if broken or self.rests_until is not None:
            self._rest_longer(now)

    def rest(self, now: float, seconds: float) -> None:
        """Ask nothing of it for so long."""
        self.rests_until = max(self.rests_until or 0.0, now + seconds)
        self.checked = self.proven = False

    def ejected(self, error: GhostdError, now: float) -> None:
        """A health check failed."""
        self.last_error = str(error)[:300]
        self._rest_longer(now)

    def check_due(self, now: float, period_s: float) -> bool:
        """Whether it is time for a health check; counts as one."""
        if now - self._check_at < min(period_s, self._settings.rest_s):
            return False
        self._check_at = now
        return True

    def found_well(self, now: float) -> None:
        """A health check succeeded: the next request is its trial."""
        self.checked = True
        if self.rests_until is not None:
            self.rests_until = min(self.rests_until, now)

    def _rest_longer(self, now: float) -> None:
        if self.rests_until is not None and now < self.rests_until:
            return  # requests that were under way when it opened
        longest = self._settings.max_rest_s
        seconds = min(longest, self._settings.rest_s * 2 ** min(self._rests, 16))
        self._rests += 1
        self.rests_until = now + seconds * random.uniform(0.9, 1.1)  # noqa: S311 - so that many do not wake together
        self.checked = self.proven = False
