"""Connections to services are opened before a key waits for them: a stream that is ended early takes its own along."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_CLOSED_S = 0.005
"""After a suggestion's end, when its stream has been closed: it may have given its connection back."""


class Connections:
    """Opened in the background."""

    def __init__(self, connect: Callable[[str], Awaitable[None]]) -> None:
        """`connect` sees to it that a connection to a model is open, and raises nothing."""
        self._connect = connect
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def ready(self, model: str) -> None:
        """The next request to a model shall find a connection."""
        if model not in self._timers:
            self._timers[model] = asyncio.get_running_loop().call_later(_CLOSED_S, self._open, model)

    def close(self) -> None:
        """Open no more."""
        for timer in self._timers.values():
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    def _open(self, model: str) -> None:
        del self._timers[model]
        task = asyncio.get_running_loop().create_task(self._opened(model), name=f"connection to {model}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _opened(self, model: str) -> None:
        await self._connect(model)
