"""One HTTP request as it was received, and its body as it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from multidict import CIMultiDict

if TYPE_CHECKING:
    from ghostd.gateway.connection import Connection


_NO_LIMIT = 1 << 62


class MalformedBody(Exception):
    """The body is not valid HTTP: nothing more of it can be read."""


class Request:
    """A request whose head is complete. Its body is kept up to a limit, and only counted beyond it."""

    __slots__ = (
        "_body",
        "_kept_bytes",
        "_malformed",
        "_waiter",
        "complete",
        "connection",
        "headers",
        "http_1_0",
        "keep_alive",
        "method",
        "raw_path",
        "received_bytes",
        "replied",
    )

    def __init__(
        self,
        connection: Connection,
        method: str,
        raw_path: str,
        headers: CIMultiDict[str],
        kept_bytes: int,
        *,
        http_1_0: bool,
        keep_alive: bool,
    ) -> None:
        self.connection = connection
        self.method = method
        self.raw_path = raw_path
        """The request target, as sent."""
        self.headers = headers
        self.http_1_0 = http_1_0
        self.keep_alive = keep_alive
        """Whether another request may follow on the connection."""
        self.complete = False
        """Whether the whole body has been received."""
        self.received_bytes = 0
        """Of the body, so far."""
        self.replied = False
        """Whether a byte of the reply has been sent."""
        self._kept_bytes = kept_bytes
        self._malformed = False
        self._body: bytes | bytearray = b""  # not a list of pieces: a chunk of two bytes would take fifty
        self._waiter: asyncio.Future[None] | None = None

    def feed(self, piece: bytes) -> None:
        """A piece of the body has come."""
        self.received_bytes += len(piece)
        if self.received_bytes > self._kept_bytes:
            self._body = b""
        elif not self._body:
            self._body = piece  # the usual case: it comes at once, and is not copied
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece
        self._wake()

    def end(self) -> None:
        """The body has come."""
        self.complete = True
        self._wake()

    def fail(self) -> None:
        """The rest of the body cannot be read."""
        self._malformed = True
        self.keep_alive = False
        self._wake()

    def taken(self) -> bytes:
        """What of the body has come and was not taken before; nothing of a body over the limit."""
        body, self._body = bytes(self._body), b""
        return body

    async def more(self) -> None:
        """Wait for a piece of the body or for its end; raises MalformedBody."""
        if self._malformed:
            raise MalformedBody
        if self.complete:
            return
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._malformed:
            raise MalformedBody

    async def pieces(self, patience_s: float) -> AsyncGenerator[bytes, None]:
        """The body piece by piece as it comes; the client is not read from while a piece is being used.

        Raises MalformedBody, or TimeoutError when nothing has come for so long.
        """
        if self.received_bytes > self._kept_bytes:
            raise MalformedBody  # its beginning has not been kept
        self._kept_bytes = _NO_LIMIT
        while True:
            if not self._body and not self.complete:
                async with asyncio.timeout(patience_s):
                    await self.more()
                continue
            piece = self.taken()
            if not piece:
                return
            self.connection.pause_reading()
            try:
                yield piece
            finally:
                self.connection.resume_reading()

    async def skip(self, patience_s: float) -> None:
        """Wait for the end of a body that nobody reads, at most so long. Whether it came says `complete`."""
        self._kept_bytes = -1
        self._body = b""
        try:
            async with asyncio.timeout(patience_s):
                while not self.complete:
                    await self.more()
        except (TimeoutError, MalformedBody):
            return

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
