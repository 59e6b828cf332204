"""Opening connections: names, addresses, proxies, TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

import aiohappyeyeballs

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamUnreachable
from ghostd.providers.http.connection import Connection
from ghostd.providers.http.proxy import Proxies, Proxy, tunnel
from ghostd.providers.http.target import Origin

_HAPPY_EYEBALLS_S = 0.25  # RFC 8305 5: "Connection Attempt Delay"
_HANDSHAKE_S = 60.0  # the caller's own limit is lower


class Connector:
    """Makes connections, directly or through the configured proxy."""

    def __init__(self, config: UpstreamConfig) -> None:
        self._ca_file = config.ca_file
        self._proxies = Proxies(config.proxy)
        self._context: asyncio.Task[ssl.SSLContext] | None = None

    async def open(self, origin: Origin, protocol: Callable[[], Connection]) -> Connection:
        """Connect; raises OSError, ssl.SSLError or UpstreamUnreachable."""
        proxy = self._proxies.proxy_for(origin) if origin.tls else None
        context = await self._tls() if origin.tls else None
        if proxy is None:
            sock = await _connect(origin.host, origin.port)
        else:
            sock = await self._through(proxy, origin)
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                protocol,
                sock=sock,
                ssl=context,
                server_hostname=origin.host if origin.tls else None,
                ssl_handshake_timeout=_HANDSHAKE_S if origin.tls else None,
            )
        except BaseException:
            sock.close()
            raise
        return connection

    async def _through(self, proxy: Proxy, origin: Origin) -> socket.socket:
        try:
            sock = await _connect(proxy.host, proxy.port)
        except OSError as error:
            raise UpstreamUnreachable(f"the proxy {proxy.where} cannot be reached: {error.strerror or error}") from None
        try:
            await tunnel(sock, proxy, origin.authority)
        except BaseException:
            sock.close()
            raise
        return sock

    async def _tls(self) -> ssl.SSLContext:
        """The TLS settings; loading the authorities takes some 10 ms, so a thread does it, once."""
        if self._context is None:
            self._context = asyncio.create_task(asyncio.to_thread(_make_context, self._ca_file), name="TLS settings")
        try:
            return await asyncio.shield(self._context)
        except (OSError, ssl.SSLError) as error:
            self._context = None  # the file may be mended meanwhile
            raise UpstreamUnreachable(
                f"the file of the setting upstream.ca_file cannot be used: {self._ca_file}: "
                f"{error.strerror or type(error).__name__}"
            ) from None

    async def close(self) -> None:
        """Wait for the thread, if one still loads authorities."""
        if self._context is not None:
            await asyncio.gather(self._context, return_exceptions=True)


def _make_context(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _connect(host: str, port: int) -> socket.socket:
    """A connected socket; an address family that does not answer is not waited for."""
    loop = asyncio.get_running_loop()
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    sock = await aiohappyeyeballs.start_connection(addresses, happy_eyeballs_delay=_HAPPY_EYEBALLS_S, loop=loop)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
