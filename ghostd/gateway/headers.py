"""What every reply carries, also the reply to junk."""

from __future__ import annotations

import os
import re

from aiohttp import hdrs
from multidict import CIMultiDict, istr

REQUEST_ID = istr("x-request-id")
PROCESSING_MS = istr("openai-processing-ms")

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_FIXED = (
    (hdrs.SERVER, "ghostd"),
    (hdrs.CACHE_CONTROL, "no-store"),
    (istr("X-Content-Type-Options"), "nosniff"),
)


def choose_request_id(sent: str | None) -> str:
    """The client's own id if it is fit to be logged and repeated, else a new one."""
    return sent if sent and _SANE_ID.fullmatch(sent) else f"req_{os.urandom(12).hex()}"


def reply_headers(request_id: str, age_ms: int) -> CIMultiDict[str]:
    """The headers of a reply, without those that describe its body."""
    headers = CIMultiDict(_FIXED)
    headers[REQUEST_ID] = request_id
    headers[PROCESSING_MS] = str(age_ms)
    return headers
