"""Requests a minute, tokens a minute, and requests at once, of one deployment or one endpoint."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

_MINUTE_S = 60.0
_ROUNDING = 1e-6
"""What has been waited for may fall short by this."""
SPARED = 0.2
"""Share of a rate that background work leaves to those who wait for their replies."""


class Left(msgspec.Struct, frozen=True, gc=False):
    """One of the limits of a minute."""

    kind: str
    """"requests" or "tokens"."""
    limit: int
    remaining: int
    reset_s: float
    """Until all of it is there again, if nothing more is used."""


class Limits:
    """Token buckets (rates) and a counter (concurrency); None is no limit.

    A bucket holds a minute's worth, so that a burst after a pause is not refused, and refills continuously.
    """

    __slots__ = ("_at", "_requests", "_tokens", "in_flight", "max_concurrency", "rpm", "tpm")

    def __init__(self, rpm: int | None = None, tpm: int | None = None, max_concurrency: int | None = None) -> None:
        self.rpm = rpm
        self.tpm = tpm
        self.max_concurrency = max_concurrency
        self.in_flight = 0
        self._requests = float(rpm or 0)
        self._tokens = float(tpm or 0)
        self._at = 0.0

    def configure(self, rpm: int | None, tpm: int | None, max_concurrency: int | None) -> Limits:
        """Go on under other limits; what has been used of the last minute's stays used."""
        if (rpm, tpm) != (self.rpm, self.tpm):
            self._requests = _moved(self._requests, self.rpm, rpm)
            self._tokens = _moved(self._tokens, self.tpm, tpm)
        self.rpm, self.tpm, self.max_concurrency = rpm, tpm, max_concurrency
        return self

    @property
    def bounded(self) -> bool:
        """Whether there is any limit."""
        return not (self.rpm is None and self.tpm is None and self.max_concurrency is None)

    def wait_s(self, tokens: int, now: float, spared: float = 0.0) -> float:
        """Seconds until a request of so many tokens fits; 0 if it does now; at least 1 where requests must end first.

        A request of more than a minute's tokens fits when the bucket is full. With `spared` that share of the rates
        must be left behind it, and one place of several.
        """
        if self.max_concurrency is not None:
            places = self.max_concurrency - 1 if spared and self.max_concurrency > 1 else self.max_concurrency
            if self.in_flight >= places:
                return 1.0
        self._refill(now)
        wait = 0.0
        if self.rpm is not None and self._requests < (wanted := min(1 + spared * self.rpm, self.rpm)) - _ROUNDING:
            wait = (wanted - self._requests) * _MINUTE_S / self.rpm
        if self.tpm is not None:
            needed = min(tokens + spared * self.tpm, self.tpm)
            if self._tokens < needed - _ROUNDING:
                wait = max(wait, (needed - self._tokens) * _MINUTE_S / self.tpm)
        return wait

    def take(self, tokens: int, now: float) -> None:
        """A request begins."""
        self.in_flight += 1
        self._refill(now)
        self._requests -= 1
        self._tokens -= tokens

    def give_back(self, estimated: int, used: int) -> None:
        """A request has ended; it was charged `estimated` tokens and took `used`."""
        self.in_flight -= 1
        self._tokens += estimated - used

    def left(self, now: float) -> Sequence[Left]:
        """What is left of this minute's requests and tokens, as far as they are limited.

        `now` is the loop's time, or the monotonic clock's, which is what loops go by.
        """
        self._refill(now)
        found = []
        if self.rpm is not None:
            found.append(_left("requests", self.rpm, self._requests))
        if self.tpm is not None:
            found.append(_left("tokens", self.tpm, self._tokens))
        return found

    def _refill(self, now: float) -> None:
        if now <= self._at:  # the loop's clock stands still during a turn, others go on
            return
        elapsed = (now - self._at) / _MINUTE_S
        self._at = now
        if self.rpm is not None:
            self._requests = min(float(self.rpm), self._requests + elapsed * self.rpm)
        if self.tpm is not None:
            self._tokens = min(float(self.tpm), self._tokens + elapsed * self.tpm)


def _left(kind: str, limit: int, left: float) -> Left:
    remaining = int(left) if left > 0 else 0
    return Left(kind, limit, remaining, (limit - left) * _MINUTE_S / limit if left < limit else 0.0)


def _moved(left: float, before: int | None, now: int | None) -> float:
    """What is left of a bucket whose size has changed."""
    if now is None:
        return 0.0
    return float(now) if before is None else now - (before - left)
