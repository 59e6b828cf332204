"""What every reply carries, also the reply to junk."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from multidict import istr

from ghostd.routing.call import Call, new_request_id
from ghostd.routing.limits import Left, Limits

REQUEST_ID = istr("x-request-id")
MODEL = istr("x-ghostd-model")
"""Names the model for clients of dialects whose bodies do not."""
_MAX_VALUE_CHARS = 500

_LIMIT_NAMES = {
    kind: (f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}")
    for kind in ("requests", "tokens")
}
_SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def choose_request_id(sent: str | None) -> str:
    """The client's own id if it is fit to be logged and repeated, else a new one."""
    return sent if sent and _SANE_ID.fullmatch(sent) else new_request_id()


def reply_headers(request_id: str, age_ms: int) -> dict[str, str]:
    """The headers of a reply, without those that never change and those that describe its body."""
    return {"x-request-id": request_id, "openai-processing-ms": str(age_ms)}


def add_routing_headers(headers: dict[str, str], call: Call) -> None:
    """Where a call went and why. A stream's cost is not known yet when its headers go out."""
    trace = call.trace
    headers["x-ghostd-id"] = call.id
    headers["x-ghostd-route"] = header_value(trace.route)
    headers["x-ghostd-attempts"] = str(trace.attempts)
    if trace.deployment:
        headers["x-ghostd-deployment"] = header_value(trace.deployment)
    if trace.reason:
        headers["x-ghostd-reason"] = header_value(trace.reason)
    if trace.cost_usd is not None:
        headers["x-ghostd-cost-usd"] = f"{trace.cost_usd:.8f}"
    if trace.experiment:
        headers["x-ghostd-experiment"] = header_value(trace.experiment)


def add_limit_headers(headers: dict[str, str], limits: Sequence[Limits], now: float) -> None:
    """OpenAI's `x-ratelimit-*` for the limits that the configuration sets to a deployment; the tightest of a kind."""
    found = (
        limits[0].left(now) if len(limits) == 1 else _tightest([left for limit in limits for left in limit.left(now)])
    )
    for left in found:
        limit, remaining, reset = _LIMIT_NAMES[left.kind]
        headers[limit] = str(left.limit)
        headers[remaining] = str(left.remaining)
        headers[reset] = f"{left.reset_s:.3f}s"


def _tightest(found: Iterable[Left]) -> Iterable[Left]:
    tightest: dict[str, Left] = {}
    for left in found:
        before = tightest.get(left.kind)
        if before is None or left.remaining < before.remaining:
            tightest[left.kind] = left
    return tightest.values()


def header_value(text: str) -> str:
    """Text as a header may carry it (RFC 9110, 5.5): printable ASCII, bounded."""
    if text.isascii() and text.isprintable() and len(text) <= _MAX_VALUE_CHARS:
        return text
    return re.sub(r"[^ -~]", "?", text[:_MAX_VALUE_CHARS])
