"""Time limits that are seldom reached, at less than the cost of a timer of the loop for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

NEVER = float("inf")
_TICK_S = 0.001
"""uvloop's timers count milliseconds and may ring a fraction early."""


class Limited(Protocol):
    """What has a limit: of itself, so that nothing is made beside it that it would have to refer to."""

    due: float
    """On the loop's clock."""

    def ring(self) -> None:
        """The limit is reached. Must not raise."""
        ...


def _due(limited: Limited) -> float:
    return limited.due


class Alarms:
    """Calls whatever has not been taken back in time, in the order in which it is due; one timer serves them all."""

    __slots__ = ("_set", "_timer", "_timer_at")

    def __init__(self) -> None:
        self._set: dict[Limited, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

    def set(self, limited: Limited) -> None:
        """Have it ring when it is due."""
        self._set[limited] = None
        if limited.due < self._timer_at:
            self._arm(limited.due)

    def take_back(self, limited: Limited) -> None:
        """It shall not ring any more, if it has not."""
        self._set.pop(limited, None)

    def close(self) -> None:
        """Let the timer go."""
        self._set.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, NEVER

    def _arm(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = due
        self._timer = asyncio.get_running_loop().call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, NEVER
        now = asyncio.get_running_loop().time() + _TICK_S
        over = sorted((limited for limited in self._set if limited.due <= now), key=_due)
        for limited in over:
            del self._set[limited]
        if self._set:
            self._arm(min(limited.due for limited in self._set))
        for limited in over:
            limited.ring()


class MovingAlarm:
    """One limit that moves often. Where it moves to a later time its timer stays, and looks at it when it rings."""

    __slots__ = ("_loop", "_ring", "_timer", "_timer_at", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self.due = NEVER
        """On the loop's clock. May be set to NEVER; every other time is for `move`."""
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

    def move(self, due: float) -> None:
        """Ring then instead."""
        self.due = due
        if due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = due
            self._timer = self._loop.call_at(due, self._on_timer)

    def close(self) -> None:
        """Let the timer go."""
        self.due = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._timer_at = None, NEVER

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, NEVER
        if self.due > self._loop.time() + _TICK_S:
            if self.due != NEVER:
                self.move(self.due)
            return
        self.due = NEVER
        self._ring()
