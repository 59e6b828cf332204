"""An event loop with a clock of its own: a wait costs no time, every moment is known, and a slow machine changes none.

For tests without threads, processes and peers outside of the loop: those get no time. A folder's conftest.py imports
`pytest_asyncio_loop_factories`.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from typing import Any


class _Clock(selectors.DefaultSelector):
    """A selector that never waits: the loop's clock jumps to the next timer instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
            return []
        return ready if ready or timeout is not None else super().select(None)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Clock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    return {"own clock": _Loop}
