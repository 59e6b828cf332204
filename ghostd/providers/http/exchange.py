"""One request and its reply, between the connection that reads it and the caller who waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from ghostd.errors import UpstreamError
from ghostd.types import Timeouts

HIGH_WATER_BYTES = 256 * 1024
"""From so many bytes that nobody has taken yet, no more is read from the socket."""
LOW_WATER_BYTES = 64 * 1024
"""Below so many it is read on."""


class Exchange:
    """What has come of the reply and not been taken yet; one caller at a time may wait on it."""

    __slots__ = (
        "_blocks", "_loop", "_waiter", "_whole", "buffered", "ended", "error", "hang_up", "head_only", "headers",
        "pausing", "resume", "status", "timeouts", "upstream",
    )  # fmt: skip

    def __init__(
        self, loop: asyncio.AbstractEventLoop, timeouts: Timeouts, upstream: str, *, head_only: bool = False
    ) -> None:
        self.timeouts = timeouts
        self.upstream = upstream
        """Heads the messages of errors."""
        self.head_only = head_only
        """The request is a HEAD: no body follows, whatever the reply's head says."""
        self.status = 0
        """0 until the head is complete."""
        self.headers: Mapping[str, str] = {}
        self.ended = False
        """The reply is complete, by its framing."""
        self.error: UpstreamError | None = None
        self.buffered = 0
        """Bytes that have not been taken."""
        self.pausing = False
        """The connection does not read, since too much is buffered."""
        self.resume: Callable[[], None] = _nothing
        self.hang_up: Callable[[], None] = _nothing
        """Closes the connection at once, unless the reply is complete. Both are set by the connection."""
        self._loop = loop
        self._blocks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._whole = False

    # --- the connection's side ----------------------------------------------------

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """The head is complete."""
        self.status, self.headers = status, headers
        self._wake()

    def add(self, block: bytes) -> bool:
        """A piece of the body has come; returns whether the connection shall go on reading."""
        self._blocks.append(block)
        self.buffered += len(block)
        if self._whole:
            return True
        self._wake()
        self.pausing = self.buffered > HIGH_WATER_BYTES
        return not self.pausing

    def end(self) -> None:
        """The reply is complete."""
        self.ended = True
        self._wake()

    def fail(self, error: UpstreamError) -> None:
        """No more will come; does nothing when the reply is complete or has failed already."""
        if not self.ended and self.error is None:
            self.error = error
            if self._whole:  # half a body is of no use, and the error's traceback would keep it for long
                self._blocks.clear()
                self.buffered = 0
            self._wake()

    # --- the caller's side --------------------------------------------------------

    async def head(self) -> None:
        """Wait for the head."""
        while not self.status:
            if self.error is not None:
                raise self.error
            await self._wait()

    async def next_block(self) -> bytes | None:
        """The next piece of the body; None at its end."""
        while not self._blocks:
            if self.ended:
                return None
            if self.error is not None:
                raise self.error
            await self._wait()
        block = self._blocks.popleft()
        self.buffered -= len(block)
        if self.pausing and self.buffered < LOW_WATER_BYTES:
            self.pausing = False
            self.resume()
        return block

    async def rest(self) -> bytes:
        """All that has not been taken, once the reply is complete."""
        self._whole = True
        if self.pausing:
            self.pausing = False
            self.resume()
        while not self.ended:
            if self.error is not None:
                raise self.error
            await self._wait()
        blocks = self._blocks
        data = blocks[0] if len(blocks) == 1 else b"".join(blocks)
        blocks.clear()
        self.buffered = 0
        return data

    async def _wait(self) -> None:
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


def _nothing() -> None:
    return None
