"""Requests to upstream servers over pooled HTTP/1.1 connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from ghostd.config_routing import UpstreamConfig
from ghostd.types import Timeouts


class HttpResponse:
    """A reply whose head has come. Close it, or read it to its end; a complete one gives its connection back."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated headers are joined by ", "."""

    async def read(self) -> bytes:
        """The whole body, decompressed; raises UpstreamError (cut off, too large, too late)."""
        raise NotImplementedError

    def blocks(self) -> AsyncIterator[bytes]:
        """The body as it comes, one block for each read of the socket; raises UpstreamError between two.

        Ends normally only where the framing (Content-Length, last chunk) says that the body is complete.
        """
        raise NotImplementedError

    def close(self) -> None:
        """End it; unless the body is complete, the connection is closed at once, so that the upstream stops."""
        raise NotImplementedError


class HttpClient:
    """Pools of connections, one for each origin."""

    async def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        timeouts: Timeouts,
    ) -> HttpResponse:
        """Send a request and wait for the reply's head. Cancelling it closes the connection.

        `headers` need not hold Host, Content-Length or Accept-Encoding. Never follows a redirect. Raises
        UpstreamUnreachable, UpstreamTimeout or UpstreamMalformed.
        """
        raise NotImplementedError

    async def warm(self, url: str) -> None:
        """See to it that an idle connection to the URL's origin is open; never raises."""
        raise NotImplementedError


@asynccontextmanager
async def http_client(config: UpstreamConfig) -> AsyncIterator[HttpClient]:
    """A client while the block runs; leaving closes every connection."""
    yield HttpClient()
