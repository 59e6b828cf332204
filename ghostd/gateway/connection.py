"""One client's connection: its requests one after the other, its time limits, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections import deque
from typing import TYPE_CHECKING, cast

from multidict import CIMultiDict

from ghostd.alarms import NEVER, MovingAlarm
from ghostd.gateway.errors import INTERNAL, HttpError
from ghostd.gateway.guard import covering
from ghostd.gateway.hangup import HangUpWatch
from ghostd.gateway.parser import Malformed, Parser
from ghostd.gateway.request import Request
from ghostd.gateway.response import error_response, raw_error
from ghostd.local.peers import peer_uid

if TYPE_CHECKING:
    from ghostd.gateway.server import Server

log = logging.getLogger(__name__)

KEEP_ALIVE_S = 75.0
"""An idle connection is closed after this long; longer than clients' pools keep theirs (httpx 5 s, aiohttp 15 s)."""

_LINGER_S = 5.0
"""After an early refusal the rest of what the client sends is read for so long, so that it gets to see the reply."""
_FLUSH_S = 30.0
"""A client gets this long to take the rest of a reply after which the connection closes."""
_HELD_BYTES = 64 * 1024
"""What may come ahead while requests wait; the client is not read from beyond it."""
_AHEAD_BYTES = 4 * 1024 * 1024
"""What may come of a body that is read piece by piece before its handler has begun: one turn of the loop's worth."""

_TOO_MANY = HttpError(503, "too_many_connections", "ghostd has too many open connections (http.max_connections).")
_HEAD_TOO_SLOW = HttpError(408, "header_timeout", "The request's head did not arrive in time (http.header_timeout_s).")


class Connection(asyncio.Protocol):
    """Parses requests and has the server's handler answer them, in order, in one task from the first to the last.

    One timer serves all time limits: a head must be complete `http.header_timeout_s` after the connection opened, or
    after its first byte on one that has served a request; else it is idle.
    """

    __slots__ = (
        "_cancelled", "_closing", "_drained", "_hang_up_watch", "_held", "_held_bytes", "_limit", "_loop", "_parser",
        "_queue", "_served", "_server", "_task", "_transport", "_waiter", "writing_paused",
    )  # fmt: skip

    def __init__(self, server: Server) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = Parser(self._begin)
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None  # from the first request on
        self._waiter: asyncio.Future[Request] | None = None  # the task's, while no request is being served
        self._queue: deque[Request | HttpError] = deque()  # behind the request that is being served
        self._held: list[bytes] = []  # not parsed yet, because requests wait
        self._held_bytes = 0
        self._hang_up_watch: HangUpWatch | None = None  # while nothing is read
        self._served = False
        self._closing = False
        self._cancelled = False
        self.writing_paused = False
        """Whether the client reads more slowly than it is sent to."""
        self._drained: asyncio.Future[None] | None = None
        self._limit = MovingAlarm(self._loop, self._on_timer)

    @property
    def idle(self) -> bool:
        """Whether no request is being served."""
        return self._task is None or self._waiter is not None

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._transport is None or self._transport.is_closing()

    # --- asyncio's calls ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or refuse it at once."""
        transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses of asyncio's
        server = self._server
        if server.leaving or (server.check_peer and not _is_own_user(transport)):
            self._closing = True
            transport.abort()
            return
        limit = server.config.max_connections
        if len(server.connections) >= limit:
            self._closing = True
            server.junk.warning("refused a connection: %d are open (http.max_connections)", limit)
            transport.write(raw_error(_TOO_MANY))
            transport.close()
            return
        self._transport = transport
        endpoint = transport.get_extra_info("socket")
        if endpoint.family != socket.AF_UNIX:
            endpoint.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # small events must not wait for more
        server.connections.add(self)
        self._watch(server.config.header_timeout_s)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the connection, and cancel the request that it serves."""
        self._closing = True
        self._transport = None
        self._server.forget(self)
        self._limit.close()
        self._forget_hang_up()
        self._cancel()

    def data_received(self, data: bytes) -> None:
        """Parse, or keep it while requests wait."""
        if self._closing:
            return
        if self._queue or self._held:
            self._held.append(data)
            self._held_bytes += len(data)
            if self._held_bytes > _HELD_BYTES:
                self.pause_reading()
            return
        parser = self._parser
        was_in_head = parser.in_head
        self._parse(data)
        if parser.in_head and not was_in_head and self._served and self.idle:
            self._watch(self._server.config.header_timeout_s)

    def eof_received(self) -> bool:
        """The client has hung up. A reply that is made without waiting for anything still goes out."""
        self._loop.call_soon(self._hang_up)
        return True

    def pause_writing(self) -> None:
        """The client reads more slowly than it is sent to."""
        self.writing_paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self.writing_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # --- for replies ---

    def write(self, data: bytes, more: bytes = b"") -> None:
        """Send; raises ConnectionResetError once the connection is closed."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        if more:
            transport.writelines((data, more))
        else:
            transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has caught up."""
        while self.writing_paused:
            if self._drained is None or self._drained.done():
                self._drained = self._loop.create_future()
            await asyncio.shield(self._drained)  # a stream's comment may wait beside its request

    def pause_reading(self) -> None:
        """Take nothing more from the client for a while."""
        transport = self._transport
        if transport is not None and not transport.is_closing() and self._hang_up_watch is None:
            transport.pause_reading()
            self._hang_up_watch = HangUpWatch(transport.get_extra_info("socket").fileno(), self._hang_up)

    def resume_reading(self) -> None:
        """Go on."""
        self._forget_hang_up()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _forget_hang_up(self) -> None:
        if self._hang_up_watch is not None:
            self._hang_up_watch.close()
            self._hang_up_watch = None

    def abort(self) -> None:
        """End the connection now, whatever has not been sent."""
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    # --- for the server ---

    def leave(self) -> None:
        """End the connection: what it serves is cancelled, what has been written still goes out."""
        self._cancel()
        self._close()

    # --- requests ---

    def _begin(self, method: str, target: str, headers: CIMultiDict[str], old: bool, keep_alive: bool) -> Request:
        limit = self._server.config.max_body_bytes
        if covering(self._server.roomy, target) is not None:
            limit = max(limit, _AHEAD_BYTES)
        request = Request(self, method, target, headers, limit, http_1_0=old, keep_alive=keep_alive)
        self._limit.due = NEVER
        if self._waiter is not None:
            self._waiter.set_result(request)
            self._waiter = None
        elif self._task is None:
            self._task = self._loop.create_task(self._serve(request))
        else:
            self._queue.append(request)
        return request

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed(data)
        except Malformed as malformed:
            self._on_malformed(malformed)

    def _on_malformed(self, malformed: Malformed) -> None:
        self._closing = True  # where the next request begins is not known
        request = self._parser.reading
        if request is not None:
            request.fail()  # whoever reads it says so
            return
        self._server.junk.warning("received a malformed request: %s", malformed)
        if self.idle:
            self._refuse(malformed.refusal)
        else:
            self._queue.append(malformed.refusal)

    async def _serve(self, first: Request) -> None:
        """Answer a request, and those that come behind it until the connection ends."""
        handler = self._server.handler
        request: Request | None = first
        del first  # nothing shall keep a request, which may hold a large body, once it has been answered
        try:
            while request is not None:
                try:
                    await handler(request)
                except ConnectionError:
                    self.abort()
                except Exception:
                    log.exception("a request failed outside its handler")
                    await self._fail(request)
                if not request.complete:
                    await request.skip(_LINGER_S)
                request = self._following(request)
                if request is None and not self._closing:
                    self._waiter = self._loop.create_future()
                    request = await self._waiter
        finally:
            self._task = self._waiter = None

    def _following(self, request: Request) -> Request | None:
        """The next request that has come, if there is any."""
        self._served = True
        if not (request.keep_alive and request.complete) or self._server.leaving:
            self._close()
            return None
        queue = self._queue
        if queue or self._held:
            if not queue:
                self._parse_held()
            following = queue.popleft() if queue else None
            if not queue:
                self._parse_held()
            if isinstance(following, HttpError):
                self._refuse(following)
                return None
            if following is not None:
                return following
        limit_s = self._server.config.header_timeout_s if self._parser.in_head else KEEP_ALIVE_S
        self._watch(limit_s)
        return None

    def _parse_held(self) -> None:
        if self._held and self._transport is not None and not self._closing:
            data = b"".join(self._held)
            self._held.clear()
            self._held_bytes = 0
            self.resume_reading()
            self._parse(data)

    async def _fail(self, request: Request) -> None:
        if request.replied:
            self.abort()
            return
        response = error_response(INTERNAL)
        response.close = True
        try:
            await response.send(request)
        except ConnectionError:
            self.abort()

    # --- the end ---

    def _refuse(self, error: HttpError) -> None:
        """Say it to a client of whom no request is being served, and be done with it."""
        transport = self._transport
        self._closing = True
        if transport is None or transport.is_closing():
            return
        transport.write(raw_error(error))
        transport.write_eof()  # closing with something unread would reset the connection, and with it the reply
        self._watch(_LINGER_S)

    def _close(self) -> None:
        """Close; what has been written still goes out, if the client takes it."""
        self._closing = True
        transport = self._transport
        if transport is None:
            return
        transport.close()
        if transport.get_write_buffer_size() > 0:
            self._watch(_FLUSH_S)

    def _hang_up(self) -> None:
        if self._transport is None:
            return
        if self.idle:
            self._close()
        else:
            self.abort()

    def _cancel(self) -> None:
        if self._task is not None and not self._cancelled:
            self._cancelled = True  # a second time would disturb the cleaning up
            self._task.cancel()

    def _watch(self, seconds: float) -> None:
        self._limit.move(self._loop.time() + seconds)

    def _on_timer(self) -> None:
        if self._closing:
            self.abort()
        elif self._parser.in_head or not self._served:
            self._refuse(_HEAD_TOO_SLOW)
        else:
            self._close()


def _is_own_user(transport: asyncio.Transport) -> bool:
    try:
        return peer_uid(transport.get_extra_info("socket")) == os.getuid()
    except OSError:
        return False
