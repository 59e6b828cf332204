"""How much memory the bodies of all requests may take at once."""

from __future__ import annotations

import asyncio
from collections import deque

from ghostd.errors import Overloaded

SMALL_BYTES = 64 * 1024
"""Smaller bodies, which come in one or two packets, are not counted: http.max_connections bounds them."""
_PATIENCE_S = 5.0
_RETRY_S = 5.0


class Bodies:
    """A budget in bytes. Whoever finds it used up waits for a while, in the order of coming.

    One body always has room, however large it is and small the budget.
    """

    def __init__(self, limit_bytes: int, patience_s: float = _PATIENCE_S) -> None:
        self._limit_bytes = limit_bytes
        self._patience_s = patience_s
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.used_bytes = 0

    def take_now(self, size_bytes: int) -> bool:
        """Whether there is room at once, and nobody waits for it; it is taken then."""
        if self._waiting or not self._fits(size_bytes):
            return False
        self.used_bytes += size_bytes
        return True

    async def take(self, size_bytes: int) -> None:
        """Wait for room and take it; raises Overloaded where there is none in time."""
        if self.take_now(size_bytes):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (size_bytes, turn)
        self._waiting.append(entry)
        try:
            await asyncio.wait_for(asyncio.shield(turn), self._patience_s)
        except BaseException as error:
            if turn.done():
                self.give_back(size_bytes)
            else:
                self._waiting.remove(entry)
                turn.cancel()
                self._next()
            if isinstance(error, TimeoutError):
                told = f"The bodies of other requests take all of {self._limit_bytes} bytes (http.max_bodies_bytes)."
                raise Overloaded(told, _RETRY_S) from None
            raise

    def give_back(self, size_bytes: int) -> None:
        """So much is free again."""
        self.used_bytes -= size_bytes
        self._next()

    def _fits(self, size_bytes: int) -> bool:
        return self.used_bytes == 0 or self.used_bytes + size_bytes <= self._limit_bytes

    def _next(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, turn = self._waiting.popleft()
            self.used_bytes += size_bytes
            turn.set_result(None)
