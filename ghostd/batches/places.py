"""How many requests run at once, shared evenly by the batches that want some."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Places:
    """So many places for all; while several batches want some, none has more than its share, rounded up.

    So a batch whose requests take long does not get all of them in the end.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._taken: Counter[str] = Counter()
        self._queue: list[tuple[str, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def place(self, batch_id: str) -> AsyncIterator[None]:
        """A place for one request of a batch while the block runs; the longest waiting one comes first."""
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (batch_id, granted)
        self._queue.append(entry)
        self._give()
        try:
            await granted
            yield
        finally:
            if entry in self._queue:
                self._queue.remove(entry)
            else:
                self._taken -= Counter((batch_id,))
            self._give()

    def _give(self) -> None:
        """Give what is free to those who wait."""
        batches = len(self._taken.keys() | {batch_id for batch_id, _ in self._queue})
        share = -(-self._total // max(batches, 1))
        for entry in list(self._queue):
            batch_id, granted = entry
            if self._taken.total() < self._total and self._taken[batch_id] < share:
                self._queue.remove(entry)
                self._taken[batch_id] += 1
                if not granted.done():
                    granted.set_result(None)
