"""A reply as its caller sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from ghostd.providers.http.decoding import Decoder
from ghostd.providers.http.exchange import Exchange


class HttpResponse:
    """A reply whose head has come. Close it, or read it to its end; a complete one gives its connection back."""

    __slots__ = ("_decoder", "_exchange", "headers", "status")

    def __init__(self, exchange: Exchange, decoder: Decoder | None) -> None:
        self.status: int = exchange.status
        self.headers: Mapping[str, str] = exchange.headers
        """Lower-case names; repeated headers are joined by ", "."""
        self._exchange = exchange
        self._decoder = decoder

    @property
    def taken(self) -> bool:
        """Whether all of the body has come and been given out."""
        return self._exchange.ended and not self._exchange.buffered and self._decoder is None

    async def read(self) -> bytes:
        """The whole body (what `blocks` has not given yet), decompressed.

        Raises UpstreamError: cut off, too large, too late.
        """
        if self._decoder is None:
            return await self._exchange.rest()
        decoded = [piece async for piece in self._decoder.pieces(await self._exchange.rest())]
        self._decoder.finish()
        return b"".join(decoded)

    def blocks(self) -> AsyncIterator[bytes]:
        """The body as it comes, one block for each read of the socket; raises UpstreamError between two.

        Ends normally only where the framing (Content-Length, last chunk, or the connection's end where the head
        gives no other) says that the body is complete.
        """
        return _Blocks(self._exchange) if self._decoder is None else _decoded(self._exchange, self._decoder)

    def close(self) -> None:
        """End it; unless the body is complete, the connection is closed at once, so that the upstream stops."""
        self._exchange.hang_up()


class _Blocks:
    """An iterator and no generator: it needs no closing, and costs less."""

    __slots__ = ("_exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> _Blocks:
        return self

    async def __anext__(self) -> bytes:
        block = await self._exchange.next_block()
        if block is None:
            raise StopAsyncIteration
        return block


async def _decoded(exchange: Exchange, decoder: Decoder) -> AsyncIterator[bytes]:
    while (block := await exchange.next_block()) is not None:
        async for piece in decoder.pieces(block):
            yield piece
    decoder.finish()
