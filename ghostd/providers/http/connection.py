"""One HTTP/1.1 connection to an upstream server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from ghostd.alarms import NEVER, MovingAlarm
from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable
from ghostd.providers.http.exchange import Exchange
from ghostd.providers.http.failures import not_connected
from ghostd.providers.http.reply import ReplyParser

_ONE_WRITE_BYTES = 64 * 1024
"""A body up to this size is joined to its head; a larger one is not copied."""

_TICK_S = 0.001
"""uvloop's timers count milliseconds and may ring a fraction early."""


class StaleConnection(Exception):
    """A connection that had been idle was closed before any byte of the reply; the request may be sent again."""


class Connection(asyncio.Protocol):
    """Sends one request at a time and reads its reply. Owned by a pool, which hears when it is free and when closed.

    One timer serves all time limits.
    """

    def __init__(
        self,
        where: str,
        limits: UpstreamConfig,
        on_free: Callable[[Connection], None],
        on_closed: Callable[[Connection], None],
    ) -> None:
        self.where = where
        """host:port, for messages."""
        self.rested = False
        """Whether it has been idle: then the server may have closed it meanwhile."""
        self._loop = asyncio.get_running_loop()
        self._on_free = on_free
        self._on_closed = on_closed
        self._parser = ReplyParser(limits)
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._closed = False
        self._stale = False
        self._sending = False
        self._unsent_bytes = 0
        self._limit = MovingAlarm(self._loop, self._expire)

    @property
    def usable(self) -> bool:
        """Whether a request can be sent now."""
        transport = self._transport
        return not self._closed and self._exchange is None and transport is not None and not transport.is_closing()

    def send(self, exchange: Exchange, head: bytes, body: bytes) -> None:
        """Send a request; its reply goes to `exchange`."""
        transport = self._transport
        assert transport is not None
        self._exchange = exchange
        exchange.resume = self._resume
        exchange.hang_up = self.abort
        self._parser.begin(head_only=exchange.head_only)
        self._watch(exchange.timeouts.first_byte_s)
        if len(body) <= _ONE_WRITE_BYTES:
            transport.write(head + body)
        else:
            transport.writelines([head, body])

    async def reply_head(self, exchange: Exchange) -> None:
        """Wait for the reply's head; raises UpstreamError or StaleConnection. Cancelling it closes the connection."""
        try:
            await exchange.head()
        except UpstreamError:
            if self._stale:
                raise StaleConnection from None
            raise
        except BaseException:
            exchange.hang_up()  # unless the reply is complete: the connection may serve another request by now
            raise

    def rest(self, seconds: float) -> None:
        """Be idle, and close after so long."""
        self.rested = True
        self._watch(seconds)

    def abort(self) -> None:
        """Close at once, without a goodbye that somebody would have to wait for."""
        if self._transport is not None:
            self._transport.abort()
        self._forget(f"ghostd has closed the connection to {self.where}")

    # --- transport callbacks ------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection, TLS included, is open."""
        self._transport = tcp = cast("asyncio.Transport", transport)  # uvloop's do not subclass it
        # resume_writing tells when the last byte has gone; with a high mark of 0, TLS would pause an empty buffer
        tcp.set_write_buffer_limits(high=1, low=0)

    def pause_writing(self) -> None:
        """The socket does not take all of the request at once."""
        assert self._transport is not None
        self._sending = True
        self._unsent_bytes = self._transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        """All of the request has gone."""
        self._sending = False
        if self._exchange is not None and not self._parser.head_done:
            self._watch(self._exchange.timeouts.first_byte_s)

    def data_received(self, data: bytes) -> None:
        """Take a read of the socket."""
        exchange, parser = self._exchange, self._parser
        if exchange is None:
            if not self._closed:
                self.abort()  # a goodbye, or bytes that nobody has asked for
            return
        block = parser.feed(data)
        if parser.head_done and not exchange.status and not parser.problem:
            exchange.begin(parser.status, parser.headers)
        reading = exchange.add(block) if block else True
        if parser.problem:
            self._fail(UpstreamMalformed(f"{self.where}: {parser.problem}", exchange.upstream))
        elif parser.done:
            self._finish(exchange)
        elif not reading:
            self._pause()
        elif parser.head_done:
            self._watch(exchange.timeouts.idle_s)

    def eof_received(self) -> bool:
        """The server sends no more; the transport closes itself."""
        self._lost(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is closed, by whomever."""
        self._lost(exc)

    # ------------------------------------------------------------------------------

    def _finish(self, exchange: Exchange) -> None:
        """The reply is complete."""
        self._exchange = None
        exchange.resume = exchange.hang_up = _nothing
        exchange.end()
        if self._parser.reusable and not self._sending and self.usable:
            self._on_free(self)
        else:
            self.abort()

    def _fail(self, error: UpstreamError) -> None:
        if self._exchange is not None:
            self._exchange.fail(error)
        self.abort()

    def _lost(self, exc: Exception | None) -> None:
        exchange, parser = self._exchange, self._parser
        if exchange is not None:
            if parser.until_close and exc is None:
                self._finish(exchange)
                return
            exchange.fail(self._broken(exc, exchange))
            self._stale = self.rested and not parser.begun
        self._forget("")

    def _broken(self, exc: Exception | None, exchange: Exchange) -> UpstreamError:
        if not exchange.status:
            error = exc or ConnectionAbortedError()
            return not_connected(error, self.where, exchange.upstream)
        return UpstreamMalformed(f"the reply was cut off: {self.where} closed the connection early", exchange.upstream)

    def _forget(self, reason: str) -> None:
        if self._closed:
            return
        self._closed = True
        self._parser.release()
        self._limit.close()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.fail(UpstreamUnreachable(reason, exchange.upstream))
            exchange.resume = exchange.hang_up = _nothing
        self._on_closed(self)

    def _pause(self) -> None:
        """Read no more until the consumer has caught up; meanwhile silence is not the server's."""
        if self._transport is not None:
            self._transport.pause_reading()
        self._watch(NEVER)

    def _resume(self) -> None:
        exchange = self._exchange
        if self._transport is not None and exchange is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._watch(exchange.timeouts.idle_s)

    # --- time limits --------------------------------------------------------------

    def _watch(self, seconds: float) -> None:
        """What is awaited must come within so many seconds, and before the request's deadline."""
        due = self._loop.time() + seconds
        exchange = self._exchange
        if exchange is not None:
            deadline = exchange.timeouts.deadline_s
            if deadline is not None and deadline < due:
                due = deadline
        self._limit.move(due)

    def _expire(self) -> None:
        now = self._loop.time()
        exchange, transport = self._exchange, self._transport
        if exchange is None or transport is None:
            self.abort()  # idle for long enough
            return
        timeouts, upstream = exchange.timeouts, exchange.upstream
        if timeouts.deadline_s is not None and now + _TICK_S >= timeouts.deadline_s:
            self._fail(UpstreamTimeout(f"{self.where} has not answered in full in time", "total", upstream))
        elif self._sending and not exchange.status and (left := transport.get_write_buffer_size()) < self._unsent_bytes:
            self._unsent_bytes = left
            self._watch(timeouts.first_byte_s)  # a long request over a slow line
        elif not exchange.status:
            waited = f"no reply from {self.where} within {timeouts.first_byte_s:g} s"
            self._fail(UpstreamTimeout(waited, "first byte", upstream))
        else:
            silent = f"{self.where} was silent for {timeouts.idle_s:g} s inside its reply"
            self._fail(UpstreamTimeout(silent, "idle", upstream))


def _nothing() -> None:
    return None
