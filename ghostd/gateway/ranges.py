"""`Range: bytes=…` of a content that does not change (RFC 9110, 14.2)."""

from __future__ import annotations

import re

from ghostd.gateway.errors import HttpError

_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.ASCII | re.IGNORECASE)


def wanted_range(header: str | None, condition: str | None, tag: str, size_bytes: int) -> range | None:
    """The bytes that are asked for; None is all of them: without the header, and where it asks for several ranges or
    is none, as the RFC wants it, or where `condition` (If-Range) is not the content's `tag`.

    Raises HttpError 416 for a range of which there is nothing.
    """
    if header is None or (condition is not None and condition.strip() != tag):
        return None
    found = _RANGE.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        first, last = max(0, size_bytes - int(found[2])), size_bytes - 1
    else:
        first, last = int(found[1]), min(int(found[2]) if found[2] else size_bytes - 1, size_bytes - 1)
        if found[2] and int(found[2]) < first:
            return None
    if first > last:
        told = f"The content has {size_bytes} bytes; of the range that is asked for there is none."
        raise HttpError(416, "range_not_satisfiable", told, {"Content-Range": f"bytes */{size_bytes}"})
    return range(first, last + 1)
