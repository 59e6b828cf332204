"""Requests to upstream servers over pooled HTTP/1.1 connections."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from ghostd.asked import asked
from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from ghostd.providers.http.connect import Connector
from ghostd.providers.http.connection import Connection, StaleConnection
from ghostd.providers.http.decoding import Decoder
from ghostd.providers.http.exchange import Exchange
from ghostd.providers.http.failures import headed, not_connected
from ghostd.providers.http.pool import Pool
from ghostd.providers.http.request import Head, request_head
from ghostd.providers.http.response import HttpResponse
from ghostd.providers.http.target import Origin, locate
from ghostd.types import Timeouts

__all__ = ["HttpClient", "HttpResponse", "http_client"]

log = logging.getLogger(__name__)

_WARM_TIMEOUTS = Timeouts(connect_s=10.0)


class HttpClient:
    """Pools of connections, one for each origin."""

    def __init__(self, config: UpstreamConfig) -> None:
        self._config = config
        self._connector = Connector(config)
        self._pools: dict[Origin, Pool] = {}
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        """The one that its connections live in; to ask for it is a system call (Python 3.11)."""

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Timeouts,
        *,
        upstream: str = "",
    ) -> HttpResponse:
        """As `send_with`, of a head that is made for this request."""
        return await self.send_with(self.head(method, url, headers, upstream), body, timeouts, upstream)

    def head(self, method: str, url: str, headers: Mapping[str, str], upstream: str = "") -> Head:
        """See `request_head`; raises UpstreamUnreachable, its message headed by `upstream`."""
        try:
            return request_head(method, url, headers)
        except ValueError as error:
            raise UpstreamUnreachable(f"cannot send the request: {error}", upstream) from None

    async def send_with(self, head: Head, body: bytes, timeouts: Timeouts, upstream: str) -> HttpResponse:
        """Send a request and wait for the reply's head. Cancelling it closes the connection.

        Never follows a redirect. `upstream` heads the messages of errors, of the response's later ones, too. A
        connection that had been idle and turns out to be closed is replaced by a new one, once; nothing else is retried
        (RFC 9112 9.3.1). Raises UpstreamUnreachable, UpstreamTimeout or UpstreamMalformed.
        """
        loop = self._loop
        if loop is None:
            loop = self._loop = asyncio.get_running_loop()
        if timeouts.deadline_s is not None and timeouts.deadline_s <= loop.time():
            raise UpstreamTimeout("no time left", "total", upstream)
        self._check_open(upstream)
        asked.set(True)
        pool = self._pool(head.target.origin)
        connection = pool.idle() or await pool.acquire(timeouts, upstream)
        exchange = Exchange(loop, timeouts, upstream, head_only=head.method == "HEAD")
        connection.send(exchange, head.before(body), body)
        try:
            await connection.reply_head(exchange)
        except StaleConnection:
            connection = await pool.acquire(timeouts, upstream, fresh=True)
            exchange = Exchange(loop, timeouts, upstream, head_only=head.method == "HEAD")
            connection.send(exchange, head.before(body), body)
            await connection.reply_head(exchange)
        return self._response(exchange, head.target.origin)

    async def warm(self, url: str) -> None:
        """See to it that an idle connection to the URL's origin is open; never raises."""
        try:
            pool = self._pool(locate(url).origin)
            if not self._closed and not pool.has_idle and not pool.full:
                pool.release(await pool.acquire(_WARM_TIMEOUTS, "", fresh=True))
        except (UpstreamError, ValueError) as error:
            log.debug("no connection kept ready: %s", error)

    async def close(self) -> None:
        """Close every connection; requests that still run fail."""
        self._closed = True
        for pool in self._pools.values():
            for connection in list(pool.connections):
                connection.abort()
        await self._connector.close()
        await asyncio.sleep(0)  # transports close in the loop's next turn

    def _pool(self, origin: Origin) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:

            async def open_connection(pool: Pool, upstream: str) -> Connection:
                return await self._open(origin, pool, upstream)

            config = self._config
            pool = Pool(origin.authority, open_connection, config.max_connections, config.keep_alive_s)
            self._pools[origin] = pool
        return pool

    async def _open(self, origin: Origin, pool: Pool, upstream: str) -> Connection:
        def protocol() -> Connection:
            return Connection(origin.authority, self._config, pool.release, pool.closed)

        self._check_open(upstream)
        try:
            connection = await self._connector.open(origin, protocol)
        except UpstreamError as error:
            raise headed(error, upstream) from None
        except (OSError, ssl.SSLError, RuntimeError) as error:
            raise not_connected(error, origin.authority, upstream) from None
        try:
            self._check_open(upstream)
        except UpstreamError:
            connection.abort()
            raise
        return connection

    def _check_open(self, upstream: str) -> None:
        if self._closed:
            raise UpstreamUnreachable("ghostd is shutting down", upstream)

    def _response(self, exchange: Exchange, origin: Origin) -> HttpResponse:
        coding = exchange.headers.get("content-encoding", "").strip().lower()
        if not coding or coding == "identity":
            return HttpResponse(exchange, None)
        try:
            decoder = Decoder(coding, self._config.max_reply_bytes, origin.authority, exchange.upstream)
        except UpstreamError:
            exchange.hang_up()
            raise
        return HttpResponse(exchange, decoder)


@asynccontextmanager
async def http_client(config: UpstreamConfig) -> AsyncIterator[HttpClient]:
    """A client while the block runs; leaving closes every connection."""
    client = HttpClient(config)
    try:
        yield client
    finally:
        await client.close()
