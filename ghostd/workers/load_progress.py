"""How far a model is on its way into memory, in words."""

from __future__ import annotations

import time


class LoadProgress:
    """First it may have to wait for memory, then the weights come, then the self-test."""

    def __init__(self) -> None:
        self.percent: int | None = None
        """Of the weights, where the engine tells."""
        self._waits_for = ""
        self._began_s = time.monotonic()

    def wait(self, reason: str) -> None:
        """It cannot begin yet."""
        self._waits_for = reason

    def begin(self) -> None:
        """It is loaded now."""
        self._waits_for = ""
        self._began_s = time.monotonic()

    def __str__(self) -> str:
        if self._waits_for:
            return self._waits_for
        seconds = time.monotonic() - self._began_s
        if self.percent is None:
            return f"loading for {seconds:.0f} s"
        if self.percent < 100:
            return f"loading, {self.percent} %"
        return f"loaded, tests itself; {seconds:.0f} s so far"
