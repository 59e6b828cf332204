"""What every reply carries, also the reply to junk."""

from __future__ import annotations

import re

from aiohttp import hdrs
from multidict import CIMultiDict, istr

from ghostd.routing.call import Call, new_request_id

REQUEST_ID = istr("x-request-id")
PROCESSING_MS = istr("openai-processing-ms")

_ID = istr("x-ghostd-id")
_ROUTE = istr("x-ghostd-route")
_DEPLOYMENT = istr("x-ghostd-deployment")
_ATTEMPTS = istr("x-ghostd-attempts")
_REASON = istr("x-ghostd-reason")
_COST = istr("x-ghostd-cost-usd")
_EXPERIMENT = istr("x-ghostd-experiment")
_MAX_VALUE_CHARS = 500

_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_FIXED = (
    (hdrs.SERVER, "ghostd"),
    (hdrs.CACHE_CONTROL, "no-store"),
    (istr("X-Content-Type-Options"), "nosniff"),
)


def choose_request_id(sent: str | None) -> str:
    """The client's own id if it is fit to be logged and repeated, else a new one."""
    return sent if sent and _SANE_ID.fullmatch(sent) else new_request_id()


def reply_headers(request_id: str, age_ms: int) -> CIMultiDict[str]:
    """The headers of a reply, without those that describe its body."""
    headers = CIMultiDict(_FIXED)
    headers[REQUEST_ID] = request_id
    headers[PROCESSING_MS] = str(age_ms)
    return headers


def routing_headers(call: Call) -> dict[istr, str]:
    """Where a call went and why. A stream's cost is not known yet when its headers go out."""
    trace = call.trace
    headers = {
        _ID: call.id,
        _ROUTE: header_value(trace.route),
        _ATTEMPTS: str(trace.attempts),
    }
    if trace.deployment:
        headers[_DEPLOYMENT] = header_value(trace.deployment)
    if trace.reason:
        headers[_REASON] = header_value(trace.reason)
    if trace.cost_usd is not None:
        headers[_COST] = f"{trace.cost_usd:.8f}"
    if trace.experiment:
        headers[_EXPERIMENT] = header_value(trace.experiment)
    return headers


def header_value(text: str) -> str:
    """Text as a header may carry it (RFC 9110, 5.5): printable ASCII, bounded."""
    if text.isascii() and text.isprintable() and len(text) <= _MAX_VALUE_CHARS:
        return text
    return re.sub(r"[^ -~]", "?", text[:_MAX_VALUE_CHARS])
