"""How long a model rests after its worker has crashed."""

from __future__ import annotations

import time

_FIRST_REST_S = 1.0
_LONGEST_REST_S = 60.0
_FORGOTTEN_AFTER_S = 300.0


class Backoff:
    """Counts crashes in a row. The first one costs nothing; from the second on the rest doubles."""

    def __init__(self) -> None:
        self.crashes = 0
        self._last_s = 0.0
        self._rests_until_s = 0.0

    @property
    def left_s(self) -> float:
        """Seconds of rest still to come; 0 when there are none."""
        return max(self._rests_until_s - time.monotonic(), 0.0)

    def crashed(self) -> None:
        """The worker has crashed."""
        now = time.monotonic()
        if now - self._last_s > _FORGOTTEN_AFTER_S:
            self.crashes = 0
        self.crashes += 1
        self._last_s = now
        if self.crashes > 1:
            self._rests_until_s = now + min(_FIRST_REST_S * 2.0 ** (self.crashes - 2), _LONGEST_REST_S)

    def succeeded(self) -> None:
        """A request was served."""
        self.crashes = 0
