"""Whether a request of a batch that failed is tried again, and when."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ghostd.batch import BackgroundReply

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_PASSING = frozenset((408, 409, 425, 429, 500, 502, 503, 504, 529))
"""Statuses of failures that may pass."""
_NO_FAULT_OF_ITS = frozenset(("overloaded", "shutting_down", "too_many_connections"))
"""Codes that only say that others came first; those of a 429 do so, too, but for the last of one's money."""
_OUT_OF_MONEY = "insufficient_quota"
SETTLING_S = 30.0
"""After a restart, models that other servers have may not have been found again yet."""


@dataclass(slots=True)
class Tries:
    """Of one request."""

    failed: int = 0
    """Tries that count."""
    pauses: int = 0


class Patience:
    """What one batch has learned of whom it may ask, by the model's name."""

    def __init__(self, max_attempts: int, settled_at: float) -> None:
        """`settled_at` on the loop's clock: until then an unknown model may turn up yet."""
        self._max_attempts = max_attempts
        self._settled_at = settled_at
        self._resting: dict[str, float] = {}

    async def wait(self, model: str) -> None:
        """Wait while this model's limits are reached."""
        loop = asyncio.get_running_loop()
        while (left_s := self._resting.get(model, 0.0) - loop.time()) > 0:  # noqa: ASYNC110 - it may grow meanwhile
            await asyncio.sleep(left_s)
        self._resting.pop(model, None)

    def pause_s(self, tries: Tries, reply: BackgroundReply, model: str) -> float | None:
        """Seconds until the request is tried again; None if this reply is the last one."""
        if reply.status < 400:
            return None
        now = asyncio.get_running_loop().time()
        limited = reply.code in _NO_FAULT_OF_ITS or (reply.status == 429 and reply.code != _OUT_OF_MONEY)
        early = reply.code == "model_not_found" and now < self._settled_at
        if not (limited or early):
            if reply.hopeless or reply.status not in _PASSING:
                return None
            tries.failed += 1
            if tries.failed >= self._max_attempts:
                return None
        pause_s = min(_FIRST_PAUSE_S * (1 << tries.pauses), _LONGEST_PAUSE_S)
        if reply.retry_after_s is not None:
            pause_s = min(max(reply.retry_after_s, 0.05), _LONGEST_PAUSE_S)
        tries.pauses = min(tries.pauses + 1, 10)
        if limited:
            self._resting[model] = max(self._resting.get(model, 0.0), now + pause_s)
        return pause_s
