"""The connections to one server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from ghostd.errors import UpstreamTimeout, UpstreamUnreachable
from ghostd.providers.http.connection import Connection
from ghostd.types import Timeouts

Opener = Callable[["Pool", str], Awaitable[Connection]]
"""Opens a connection for a pool, which it tells of the connection's fate; the text heads messages."""


class Pool:
    """Idle connections, the last used first, and who waits for one, the first come first.

    Every connection takes a slot, from before it is opened until it is closed.
    """

    def __init__(self, where: str, open_connection: Opener, max_connections: int, keep_alive_s: float) -> None:
        self.where = where
        """host:port, for messages."""
        self.connections: set[Connection] = set()
        """All that are open."""
        self._open_connection = open_connection
        self._max_connections = max_connections
        self._keep_alive_s = keep_alive_s
        self._slots = 0
        self._idle: list[Connection] = []
        self._waiters: deque[asyncio.Future[Connection | None]] = deque()

    @property
    def has_idle(self) -> bool:
        """Whether the next request finds a connection ready."""
        return any(connection.usable for connection in self._idle)

    @property
    def full(self) -> bool:
        """Whether no further connection may be opened."""
        return self._slots >= self._max_connections

    def idle(self) -> Connection | None:
        """A connection that is ready, if there is one."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable:
                return connection
            connection.abort()
        return None

    async def acquire(self, timeouts: Timeouts, upstream: str, *, fresh: bool = False) -> Connection:
        """A connection; with `fresh` a new one. Waits for its turn and opens one if need be, within connect_s.

        Raises UpstreamUnreachable or UpstreamTimeout.
        """
        loop = asyncio.get_running_loop()
        due, deadline = loop.time() + timeouts.connect_s, timeouts.deadline_s
        waited_for = "free"
        try:
            async with asyncio.timeout_at(due if deadline is None else min(due, deadline)):
                while True:
                    connection = None if fresh else self.idle()
                    if connection is None:
                        connection = await self._turn()
                    if connection is None:
                        waited_for = "open"
                        return await self._open(upstream)
                    if connection.usable and not fresh:
                        return connection
                    connection.abort()
        except TimeoutError:
            if deadline is not None and deadline <= due:
                raise UpstreamTimeout(f"no time left to connect to {self.where}", "total", upstream) from None
            if waited_for == "open":
                message = f"no connection to {self.where} within {timeouts.connect_s:g} s"
            else:
                message = (
                    f"all {self._max_connections} connections to {self.where} were busy for {timeouts.connect_s:g} s "
                    "(upstream.max_connections)"
                )
            raise UpstreamTimeout(message, "connect", upstream) from None

    def release(self, connection: Connection) -> None:
        """The connection is free for the next request."""
        waiter = self._next_waiter()
        connection.rest(self._keep_alive_s)
        if waiter is not None:
            waiter.set_result(connection)
        else:
            self._idle.append(connection)

    def closed(self, connection: Connection) -> None:
        """The connection is no more."""
        if connection not in self.connections:
            return  # it has not come as far as to be handed out; `_open` sees to its slot
        self.connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()

    async def _turn(self) -> Connection | None:
        """Wait for a connection, or for a slot to open one: None."""
        if self._slots < self._max_connections and not self._waiters:
            self._slots += 1
            return None
        waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled():  # it was given something and cannot use it
                given = waiter.result()
                if given is None:
                    self._free_slot()
                elif given.usable:
                    self.release(given)
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            raise

    async def _open(self, upstream: str) -> Connection:
        """A new connection in a slot that has been taken."""
        try:
            connection = await self._open_connection(self, upstream)
            if not connection.usable:
                raise UpstreamUnreachable(f"{self.where} closed the connection at once", upstream)
        except BaseException:
            self._free_slot()
            raise
        self.connections.add(connection)
        return connection

    def _free_slot(self) -> None:
        waiter = self._next_waiter()
        if waiter is not None:
            waiter.set_result(None)  # the slot goes over to it
        else:
            self._slots -= 1

    def _next_waiter(self) -> asyncio.Future[Connection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None
