"""Time limits that are seldom reached, at less than the cost of a timer of the loop for each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

NEVER = float("inf")
_TICK_S = 0.001
"""uvloop's timers count milliseconds and may ring a fraction early."""


class Alarm:
    """One limit."""

    __slots__ = ("due", "ring")

    def __init__(self, due: float, ring: Callable[[], None]) -> None:
        self.due = due
        self.ring = ring


class Alarms:
    """Calls whoever has not taken back an alarm in time; one timer serves them all."""

    __slots__ = ("_set", "_timer", "_timer_at")

    def __init__(self) -> None:
        self._set: dict[Alarm, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

    def set(self, due: float, ring: Callable[[], None]) -> Alarm:
        """An alarm that rings at this point on the running loop's clock. `ring` must not raise."""
        alarm = Alarm(due, ring)
        self._set[alarm] = None
        if due < self._timer_at:
            self._arm(due)
        return alarm

    def take_back(self, alarm: Alarm) -> None:
        """It shall not ring any more, if it has not."""
        self._set.pop(alarm, None)

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
        over = [alarm for alarm in self._set if alarm.due <= now]
        for alarm in over:
            del self._set[alarm]
        if self._set:
            self._arm(min(alarm.due for alarm in self._set))
        for alarm in over:
            alarm.ring()


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
