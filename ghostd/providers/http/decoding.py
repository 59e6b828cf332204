"""Content-Encoding: compressed replies, decompressed piece by piece under a limit."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator

from ghostd.errors import UpstreamMalformed

_PIECE_BYTES = 256 * 1024
"""Decompressed at a time, about a millisecond's work; other tasks get their turn after each."""

_GZIP = 16 + zlib.MAX_WBITS
_DEFLATE_METHOD = 8


class Decoder:
    """Decompresses one body. `where` (host:port) and `upstream` are for messages."""

    def __init__(self, coding: str, max_bytes: int, where: str, upstream: str) -> None:
        """Raises UpstreamMalformed for a coding other than gzip and deflate."""
        if coding not in {"gzip", "x-gzip", "deflate"}:
            raise UpstreamMalformed(
                f"{where} answers in an encoding that was not asked for (Content-Encoding)", upstream
            )
        self._coding = coding
        self._max_bytes = max_bytes
        self._left_bytes = max_bytes
        self._where = where
        self._upstream = upstream
        self._engine: zlib._Decompress | None = None

    async def pieces(self, block: bytes) -> AsyncIterator[bytes]:
        """The decompressed pieces of the next block of the body."""
        if not block:
            return
        if self._engine is None:
            self._engine = zlib.decompressobj(self._window(block[0]))
        engine, data = self._engine, block
        while True:
            try:
                piece = engine.decompress(data, _PIECE_BYTES)
            except zlib.error:
                raise self._malformed(f"is not valid {self._coding}") from None
            if engine.unused_data:
                raise self._malformed(f"goes on after the end of its {self._coding} data")
            self._left_bytes -= len(piece)
            if self._left_bytes < 0:
                raise self._malformed(f"exceeds upstream.max_reply_bytes ({self._max_bytes}) when decompressed")
            data = engine.unconsumed_tail
            if piece:
                yield piece
            if not data and len(piece) < _PIECE_BYTES:  # a full piece may leave output behind that needs no more input
                return
            await asyncio.sleep(0)

    def finish(self) -> None:
        """The body has ended; raises UpstreamMalformed when its compressed data has not. An empty one is fine."""
        if self._engine is not None and not self._engine.eof:
            raise self._malformed(f"ends inside its {self._coding} data")

    def _window(self, first: int) -> int:
        """What "deflate" means, by its first byte: zlib's format as RFC 9110 8.4.1.2 says, or bare as some send it."""
        if self._coding != "deflate":
            return _GZIP
        return zlib.MAX_WBITS if first & 0x0F == _DEFLATE_METHOD else -zlib.MAX_WBITS

    def _malformed(self, problem: str) -> UpstreamMalformed:
        return UpstreamMalformed(f"the reply of {self._where} {problem}", self._upstream)
