"""Who may use a model's worker: requests together, an unload or a load by itself, all in the order they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class TurnQueue:
    """Requests come in while nobody is alone; whoever wants to be alone waits for those before, and holds up those
    after."""

    def __init__(self) -> None:
        self._door = asyncio.Lock()
        self._inside = 0
        self._waiting = 0
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def used(self) -> bool:
        """Whether anybody is in, or waits."""
        return self._inside > 0 or self._waiting > 0 or self._door.locked()

    @property
    def waiting(self) -> int:
        """How many wait behind one who is, or wants to be, alone."""
        return self._waiting

    async def enter(self) -> None:
        """Come in; `leave` must follow."""
        self._waiting += 1
        try:
            async with self._door:
                self._inside += 1
                self._empty.clear()
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        """Go."""
        self._inside -= 1
        if not self._inside:
            self._empty.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Nobody else is in while the block runs."""
        async with self._door:
            await self._empty.wait()
            yield
