"""Proxies for https upstreams: which one, and the CONNECT that opens a tunnel (RFC 9110 9.3.6)."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import os
import socket
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from ghostd.errors import UpstreamMalformed, UpstreamUnreachable
from ghostd.providers.http.target import Origin

_MAX_HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    credentials: str | None = field(default=None, repr=False)
    """user:password."""

    @property
    def where(self) -> str:
        """host:port, for messages."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Proxies:
    """The proxy of the setting, or else the environment's as it was at the start."""

    def __init__(self, setting: str | None) -> None:
        self._from_environment = setting is None
        if setting is None:
            setting = os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") or ""
        self._url = setting
        self._exceptions = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""

    def proxy_for(self, origin: Origin) -> Proxy | None:
        """The proxy to reach a server by; None: directly. Raises UpstreamUnreachable when the proxy's URL is wrong."""
        if not self._url:
            return None
        if self._from_environment and (_is_loopback(origin.host) or excepted(origin, self._exceptions)):
            return None
        return self._parse()

    def _parse(self) -> Proxy:
        source = "HTTPS_PROXY" if self._from_environment else "the setting upstream.proxy"
        url = self._url if "://" in self._url else f"http://{self._url}"
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UpstreamUnreachable(f"{source} is not a URL") from None
        if parts.scheme != "http" or not parts.hostname:
            raise UpstreamUnreachable(f"{source} must be an http:// URL; other kinds of proxies are not supported")
        credentials = None
        if parts.username is not None:
            credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return Proxy(parts.hostname, port or 80, credentials)


def excepted(origin: Origin, exceptions: str) -> bool:
    """Whether NO_PROXY names the server: "*", a name with its subdomains, an address or network, each with a port."""
    for entry in exceptions.replace(",", " ").lower().split():
        name = entry
        host, colon, port = entry.rpartition(":")
        if colon and port.isdecimal() and (":" not in host or host.startswith("[")):
            if int(port) != origin.port:
                continue
            name = host
        name = name.strip("[]").lstrip("*").lstrip(".")
        if not name or origin.host == name or origin.host.endswith(f".{name}") or _in_network(origin.host, name):
            return True
    return False


async def tunnel(sock: socket.socket, proxy: Proxy, authority: str) -> None:
    """Have the proxy connect the socket to a server; raises OSError or UpstreamError."""
    loop = asyncio.get_running_loop()
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if proxy.credentials is not None:
        lines.append(f"Proxy-Authorization: Basic {base64.b64encode(proxy.credentials.encode()).decode()}")
    await loop.sock_sendall(sock, ("\r\n".join(lines) + "\r\n\r\n").encode())
    head = b""
    while b"\r\n\r\n" not in head:
        if len(head) > _MAX_HEAD_BYTES:
            raise UpstreamMalformed(f"the proxy {proxy.where} does not end its reply's head")
        try:
            data = await loop.sock_recv(sock, 4096)
        except OSError as error:
            raise UpstreamUnreachable(f"the proxy {proxy.where} broke off: {error.strerror or error}") from None
        if not data:
            raise UpstreamUnreachable(f"the proxy {proxy.where} closed the connection")
        head += data
    version, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    status = rest[:3]
    if not version.startswith(b"HTTP/1.") or not status.isdigit():
        raise UpstreamMalformed(f"the proxy {proxy.where} does not speak HTTP/1.1")
    if not status.startswith(b"2"):
        hint = "; its user name and password belong into the proxy's URL" if status == b"407" else ""
        raise UpstreamUnreachable(f"the proxy {proxy.where} refuses to connect to {authority}: {status.decode()}{hint}")
    if not head.endswith(b"\r\n\r\n"):
        raise UpstreamMalformed(f"the proxy {proxy.where} sends data before the server can have answered")


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_network(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
