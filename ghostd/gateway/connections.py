"""Connections under aiohttp's server: how many, for how long without a request, by whom, and what junk gets."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import Any, cast

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from ghostd.config import HttpConfig
from ghostd.errors import GhostdError
from ghostd.gateway.errors import INTERNAL, HttpError, problem
from ghostd.gateway.headers import choose_request_id, reply_headers
from ghostd.local.peers import peer_uid

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 75.0
"""An idle connection is closed after this long; longer than clients' pools keep theirs (httpx 5 s, aiohttp 15 s)."""

_LINGER_S = 5.0
"""After an early refusal the rest of the body is read for so long, so that the client gets to see the reply."""

_MAX_HEADERS_BYTES = 16 * 1024


class LogThrottle:
    """At most one record in ten seconds about something that any client can cause as often as it likes."""

    def __init__(self, period_s: float = 10.0) -> None:
        self._period_s = period_s
        self._last = float("-inf")
        self._unsaid = 0

    def warning(self, message: str, *args: object) -> None:
        """Log it, or count it for the next one."""
        now = time.monotonic()
        if now - self._last < self._period_s:
            self._unsaid += 1
            return
        more = f" ({self._unsaid} more of the kind before it)" if self._unsaid else ""
        log.warning(message + more, *args)
        self._last, self._unsaid = now, 0


class GatewayServer(web.Server):
    """aiohttp's server for one listening address, with ghostd's connections."""

    def __init__(self, handler: Any, config: HttpConfig, *, check_peer: bool) -> None:
        super().__init__(handler, request_factory=self._web_request, handler_cancellation=True)
        self.config = config
        self.open = 0
        """Connections, each door for itself: a crowd on TCP must not lock out the user's own commands."""
        self.check_peer = check_peer
        self.leaving = False
        self.junk = LogThrottle()
        self._options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": KEEP_ALIVE_S,
            "lingering_time": _LINGER_S,
            "logger": log,
            "max_field_size": _MAX_HEADERS_BYTES,
        }

    def __call__(self) -> RequestHandler:
        """The protocol of a new connection."""
        return GatewayProtocol(self, loop=asyncio.get_running_loop(), **self._options)

    def close_idle(self) -> None:
        """Admit no new connection and close those that serve no request now."""
        self.leaving = True
        for connection in self.connections:
            if isinstance(connection, GatewayProtocol) and connection.idle:
                connection.force_close()

    async def close(self, patience_s: float) -> None:
        """End every connection, within about `patience_s`, also those whose client does not read."""
        transports = [connection.transport for connection in self.connections]
        await self.shutdown(patience_s)
        for transport in transports:
            if transport is not None:
                transport.abort()

    def _web_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.Request:
        loop = asyncio.get_running_loop()
        return web.Request(message, payload, protocol, writer, task, loop, client_max_size=self.config.max_body_bytes)


class GatewayProtocol(RequestHandler):
    """One connection.

    aiohttp bounds the size of a request's head but not its time: a client that sends a byte a minute would keep
    its connection. Here a head must be complete `header_timeout_s` after the connection opened, or after its
    first byte on a connection that has served a request.
    """

    __slots__ = ("_body", "_counted", "_gateway", "_head_timer")

    def __init__(self, server: GatewayServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._gateway = server
        self._head_timer: asyncio.TimerHandle | None = None
        self._body: StreamReader | None = None  # of the last request whose head has come
        self._counted = False

    @property
    def idle(self) -> bool:
        """Whether it neither serves a request nor has one waiting."""
        return self._waiter is not None and not self._messages

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or refuse it at once."""
        transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of asyncio's
        if self._gateway.leaving or (self._gateway.check_peer and not _is_own_user(transport)):
            self._force_close = True
            transport.abort()
            return
        limit = self._gateway.config.max_connections
        if self._gateway.open >= limit:
            self._force_close = True
            self._gateway.junk.warning("refused a connection: %d are open (http.max_connections)", limit)
            transport.write(_raw_error(_TOO_MANY))
            transport.close()
            return
        self._gateway.open += 1
        self._counted = True
        super().connection_made(transport)
        self._watch_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection; aiohttp cancels the request that it serves."""
        self._head_is_complete()
        if self._counted:
            self._counted = False
            self._gateway.open -= 1
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, and watch the time of a head that has begun."""
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._head_is_complete()
            if self._messages:
                self._body = self._messages[-1][1]
        elif data and self._head_timer is None and (self._body is None or self._body.is_eof()):
            self._watch_head()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The reply to what is not HTTP, and to a handler that failed."""
        if request.writer.output_size > 0:
            raise ConnectionError("part of a reply has been sent already")
        error: GhostdError = INTERNAL
        if isinstance(exc, LineTooLong):
            error = HttpError(
                431, "headers_too_large", f"The request line or a header is larger than {_MAX_HEADERS_BYTES} bytes."
            )
        elif status == 400:
            error = HttpError(400, "malformed_http", "The request is not valid HTTP/1.1.")
        if status == 400:
            self._gateway.junk.warning("received a malformed request: %s", type(exc).__name__)
        else:
            log.error("a request failed outside its handler", exc_info=exc)
        found = problem(error)
        headers = reply_headers(choose_request_id(None), 0)
        headers[hdrs.CONTENT_TYPE] = "application/json"
        response = web.Response(status=found.status, body=found.body, headers=headers)
        response.force_close()
        return response

    def _watch_head(self) -> None:
        self._head_timer = self._loop.call_later(self._gateway.config.header_timeout_s, self._on_head_timeout)

    def _head_is_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _on_head_timeout(self) -> None:
        self._head_timer = None
        if not self.idle or self.transport is None:
            return  # pipelined behind a request that is being served
        self.transport.write(_raw_error(_HEAD_TOO_SLOW))
        self.force_close()


_TOO_MANY = HttpError(503, "too_many_connections", "ghostd has too many open connections (http.max_connections).")
_HEAD_TOO_SLOW = HttpError(408, "header_timeout", "The request's head did not arrive in time (http.header_timeout_s).")


def _raw_error(error: HttpError) -> bytes:
    """A whole reply for a connection that has no request."""
    found = problem(error)
    headers = reply_headers(choose_request_id(None), 0)
    headers.update({"Content-Type": "application/json", "Content-Length": str(len(found.body)), "Connection": "close"})
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {found.status} {error.code}\r\n{lines}\r\n".encode() + found.body


def _is_own_user(transport: asyncio.Transport) -> bool:
    try:
        return peer_uid(transport.get_extra_info("socket")) == os.getuid()
    except OSError:
        return False
