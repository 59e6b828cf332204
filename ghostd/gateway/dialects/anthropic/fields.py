"""What parts of a Messages request have in common: cache breakpoints, and how a wrong value is told."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from ghostd.errors import InvalidRequest

T = TypeVar("T")

_TTLS = ("5m", "1h")


class CacheControl(msgspec.Struct):
    """`cache_control`"""

    type: str = "ephemeral"
    ttl: str | None = None


def cache_ttl(given: CacheControl | None, path: str) -> str | None:
    """How long a cache breakpoint lasts; None where there is none. Raises InvalidRequest."""
    if given is None:
        return None
    if given.type != "ephemeral":
        raise InvalidRequest(f"Invalid value for '{path}.type': {given.type[:50]!r}; supported: ephemeral.", path)
    ttl = given.ttl or "5m"
    if ttl not in _TTLS:
        raise InvalidRequest(f"Invalid value for '{path}.ttl': {ttl[:50]!r}; supported: {', '.join(_TTLS)}.", path)
    return ttl


def given(value: T | None, path: str) -> T:
    """The value; raises InvalidRequest where there is none."""
    if value is None:
        raise InvalidRequest(f"Missing required parameter: '{path}'.", path)
    return value
