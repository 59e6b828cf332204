"""How often, and after which pause, a deployment that has just failed may be asked again."""

from __future__ import annotations

import random

from ghostd.config.routing import RoutingConfig
from ghostd.errors import GhostdError

_BURST = 10.0


class RetryBudget:
    """Repeated attempts as a share of all requests, with a small reserve for quiet times.

    Without it an upstream in trouble would get the more requests the more of them fail (Google SRE book, chapter
    21, "Handling overload").
    """

    def __init__(self) -> None:
        self._left = _BURST

    def request(self, share: float) -> None:
        """A new request has come; a share of 0 allows no repeat at all."""
        self._left = min(_BURST, self._left + share) if share else 0.0

    def allows(self) -> bool:
        """Whether one more repeat is within the budget."""
        return self._left >= 1

    def take(self) -> bool:
        """Whether one more repeat is within the budget; counts it."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


def pause_s(settings: RoutingConfig, repeat: int, error: GhostdError) -> float | None:
    """Seconds to wait before the `repeat`-th repeat (from 0); None if the upstream asks for more than we wait.

    Full jitter (AWS Architecture Blog, "Exponential backoff and jitter"); never before Retry-After.
    """
    asked: float | None = getattr(error, "retry_after_s", None)
    if asked is not None and asked > settings.max_backoff_s:
        return None
    longest = min(settings.max_backoff_s, settings.backoff_ms / 1000 * 2 ** min(repeat, 32))
    return max(asked or 0.0, random.uniform(0, longest))  # noqa: S311 - jitter, no secret
