"""Says in the log what goes wrong again and again, but not again and again."""

from __future__ import annotations

import logging
import time

_log = logging.getLogger("ghostd.ledger")

_PAUSE_S = 60.0


class Complaint:
    """One kind of trouble, told at most once a minute, with how often it came since."""

    def __init__(self) -> None:
        self._told_s: float | None = None
        self._since = 0
        self.count = 0
        """How often it came in all."""

    def say(self, message: str) -> None:
        """It came again."""
        self.count += 1
        self._since += 1
        now = time.monotonic()
        if self._told_s is not None and now - self._told_s < _PAUSE_S:
            return
        _log.error("%s%s", message, f" ({self._since} times since last told)" if self._since > 1 else "")
        self._told_s = now
        self._since = 0
