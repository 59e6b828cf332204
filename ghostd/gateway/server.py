"""One listening address: who is connected, and how it ends."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from ghostd.config.http import HttpConfig
from ghostd.gateway.connection import Connection
from ghostd.gateway.request import Request

log = logging.getLogger(__name__)


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


class Server:
    """Makes the protocols of new connections. `handler` answers a request; cancelled when its client hangs up.

    `roomy` are the paths whose bodies may be larger than http.max_body_bytes.
    """

    def __init__(
        self,
        handler: Callable[[Request], Awaitable[None]],
        config: HttpConfig,
        *,
        check_peer: bool,
        roomy: Mapping[str, int] | None = None,
    ) -> None:
        self.handler = handler
        self.config = config
        self.check_peer = check_peer
        self.roomy = roomy or {}
        self.connections: set[Connection] = set()
        """Each door for itself: a crowd on TCP must not lock out the user's own commands."""
        self.leaving = False
        self.junk = LogThrottle()
        self._none = asyncio.Event()

    def __call__(self) -> Connection:
        """The protocol of a new connection."""
        return Connection(self)

    def forget(self, connection: Connection) -> None:
        """A connection has ended."""
        self.connections.discard(connection)
        if self.leaving and not self.connections:
            self._none.set()

    def close_idle(self) -> None:
        """Admit no new connection and close those that serve no request now."""
        self.leaving = True
        for connection in list(self.connections):
            if connection.idle:
                connection.leave()

    async def close(self, patience_s: float) -> None:
        """End every connection, within about `patience_s`, also those whose client does not read."""
        self.leaving = True
        if not self.connections:
            return
        for connection in list(self.connections):
            connection.leave()
        try:
            async with asyncio.timeout(patience_s):
                await self._none.wait()
        except TimeoutError:
            for connection in list(self.connections):
                connection.abort()
