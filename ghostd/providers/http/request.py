"""The bytes of a request's head."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ghostd.providers.http.target import Target

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 5.6.2
_UNSENDABLE = re.compile("[\r\n\0]|[^\0-\xff]")
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade"})
"""Headers that frame the message or belong to one connection; a caller's are left out."""

_checked: set[str] = set()
"""Names that are tokens, so that each is looked at once; bounded, since names come from few places."""
_MAX_CHECKED = 1024


def request_head(method: str, target: Target, headers: Mapping[str, str], body_bytes: int) -> bytes:
    """Request line and headers. Raises ValueError for a header that cannot be sent, without its value."""
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
    if body_bytes or method not in {"GET", "HEAD", "OPTIONS", "DELETE"}:
        fields.append(f"content-length: {body_bytes}\r\n")
    head = f"{method} {target.path} HTTP/1.1\r\nhost: {host}\r\naccept-encoding: {coding}\r\n{''.join(fields)}\r\n"
    lines = len(fields) + 4
    if head.count("\n") != lines or head.count("\r") != lines or "\0" in head:
        raise ValueError(f"the header {_culprit(headers)!r} holds a line break or a NUL and cannot be sent")
    try:
        return head.encode("latin-1")
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
