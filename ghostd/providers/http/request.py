"""The head of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from ghostd.providers.http.target import Target, locate

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
_UNSENDABLE = re.compile("[\r\n\0]|[^\0-\xff]")
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"})
"""Headers that frame the message or belong to one connection; a caller's are left out."""

_checked: set[str] = set()
"""Names that are tokens, so that each is looked at once; bounded, since names come from few places."""
_MAX_CHECKED = 1024


_BODILESS = frozenset(("GET", "HEAD", "OPTIONS", "DELETE"))
"""Methods of which an empty body is not worth a word (RFC 9110 8.6)."""


class Head(msgspec.Struct, frozen=True):
    """Where a request goes, and its head but for the length of its body; good for any number of requests."""

    method: str
    target: Target
    lines: bytes

    def before(self, body: bytes) -> bytes:
        """What is sent before this body."""
        if body or self.method not in _BODILESS:
            return b"%bcontent-length: %d\r\n\r\n" % (self.lines, len(body))
        return self.lines + b"\r\n"


def request_head(method: str, url: str, headers: Mapping[str, str]) -> Head:
    """The head of a request. Raises ValueError for a URL or a header that cannot be used, without the header's value.

    `headers` need not hold Host, Content-Length or Accept-Encoding ("identity" unless given).
    """
    target = locate(url)
    fields: list[str] = []
    host, coding = target.host, "identity"
    for name, value in headers.items():
        lower = name.lower()
        if lower == "host":
            host = value
        elif lower == "accept-encoding":
            coding = value
        elif lower not in _OURS:
            if lower not in _checked:
                _check_name(lower)
            fields.append(f"{name}: {value}\r\n")
    head = f"{method} {target.path} HTTP/1.1\r\nhost: {host}\r\naccept-encoding: {coding}\r\n{''.join(fields)}"
    lines = len(fields) + 3
    if head.count("\n") != lines or head.count("\r") != lines or "\0" in head:
        raise ValueError(f"the header {_culprit(headers)!r} holds a line break or a NUL and cannot be sent")
    try:
        return Head(method, target, head.encode("latin-1"))
    except UnicodeEncodeError:
        raise ValueError(f"the header {_culprit(headers)!r} holds characters outside Latin-1") from None


def _check_name(name: str) -> None:
    if not _TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is not a header's name")
    if len(_checked) < _MAX_CHECKED:
        _checked.add(name)


def _culprit(headers: Mapping[str, str]) -> str:
    for name, value in headers.items():
        if not sendable(value):
            return name
    return "host"


def sendable(value: str) -> bool:
    """Whether this may be a header's value."""
    return _UNSENDABLE.search(value) is None
