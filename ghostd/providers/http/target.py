"""Where a request goes: the parts of its URL."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

_MAX_NAME, _MAX_LABEL = 253, 63  # RFC 1035 2.3.4
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(msgspec.Struct, frozen=True):
    """A server; connections are pooled by it."""

    tls: bool
    host: str
    """Lower case, in ASCII, an IPv6 address without its brackets."""
    port: int

    @property
    def authority(self) -> str:
        """host:port, as in messages and for CONNECT."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Target(msgspec.Struct, frozen=True):
    """A URL, taken apart."""

    origin: Origin
    path: str
    """With the query."""
    host: str
    """Value of the Host header."""


@lru_cache(maxsize=1024)
def locate(url: str) -> Target:
    """Take a URL apart. Raises ValueError, its message for people."""
    if any(ord(char) <= 0x20 or ord(char) == 0x7F for char in url):
        raise ValueError("the URL holds white space or a control character")
    parts = urlsplit(url)
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    if default_port is None:
        raise ValueError("the URL is neither http:// nor https://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds a user name or password; give keys by reference")
    if not parts.hostname:
        raise ValueError("the URL names no host")
    host = _ascii_host(parts.hostname)
    port = parts.port  # raises ValueError itself when it is none
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise ValueError("the URL's path holds characters that must be percent-encoded")
    shown = f"[{host}]" if ":" in host else host
    return Target(
        Origin(parts.scheme == "https", host, default_port if port is None else port),
        path,
        shown if port in {None, default_port} else f"{shown}:{port}",
    )


def _ascii_host(host: str) -> str:
    if ":" in host:
        return host
    try:
        name = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        name = ""
    labels = name.removesuffix(".").split(".")
    if len(name) > _MAX_NAME or not all(1 <= len(label) <= _MAX_LABEL for label in labels):
        raise ValueError(f"{host[:_MAX_NAME]!r} is not a host name")
    return name
