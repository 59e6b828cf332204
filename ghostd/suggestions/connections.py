"""Connections to services are opened before a key waits for them: a stream that is ended early takes its own along."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_CLOSED_S = 0.005
"""After a suggestion's end, when its stream has been closed: it may have given its connection back."""


class Connections:
    """Opened in the background, one for each model at a time."""

    def __init__(self, connect: Callable[[str], Awaitable[None]]) -> None:
        """`connect` sees to it that a connection to a model is open, and raises nothing."""
        self._connect = connect
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ready(self, model: str) -> None:
        """The next request to a model shall find a connection."""
        if model not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._open(model), name=f"connection to {model}")
            self._tasks[model] = task
            task.add_done_callback(lambda _: self._tasks.pop(model, None))

    def close(self) -> None:
        """Open no more."""
        for task in self._tasks.values():
            task.cancel()

    async def _open(self, model: str) -> None:
        await asyncio.sleep(_CLOSED_S)
        await self._connect(model)
