"""Google's error objects as ghostd's errors.

Status and the `details` (google.rpc.ErrorInfo, QuotaFailure, RetryInfo) decide. Only a prompt that is too long is told
by no code: the fixed beginning of the API's message distinguishes it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ghostd.errors import UpstreamError, UpstreamFailed
from ghostd.providers.refusals import ErrorObject, read_error, refused

_TOO_LONG = "The input token count"
_OF_A_DAY = "PerDay"
"""Part of the ids of quotas that come back the next day only."""


class _Violation(msgspec.Struct, rename="camel"):
    quota_id: str = ""


class _Detail(msgspec.Struct, rename="camel"):
    reason: str = ""
    retry_delay: str = ""
    violations: list[_Violation] = []


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    status: str = ""
    details: list[_Detail] = []


class _Body(msgspec.Struct):
    error: _Error


_BODY = msgspec.json.Decoder(_Body)


def gemini_refusal(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error for a refused request."""
    try:
        error = _BODY.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = _Error()
    told = read_error(body)
    code: str | None = error.status or told.code
    reasons = {detail.reason for detail in error.details}
    delays = [seconds for detail in error.details if (seconds := _seconds(detail.retry_delay)) is not None]
    if status == 400 and ("API_KEY_INVALID" in reasons or error.status == "FAILED_PRECONDITION"):
        status = 401  # an invalid key, and a key whose account may not ask from here, come as a 400
    elif status == 400 and error.message.startswith(_TOO_LONG):
        code = "context_length_exceeded"
    elif status == 429 and any(_OF_A_DAY in one.quota_id for detail in error.details for one in detail.violations):
        code = "insufficient_quota"
    if delays and "retry-after" not in headers:
        headers = {**headers, "retry-after": str(max(delays))}
    described = ErrorObject(told.message, code, told.kind, told.param, told.flagged, told.found)
    return refused(status, headers, body, described, operation="gemini.generate")


def gemini_failure(body: bytes) -> UpstreamError:
    """The error for an error object in a stream, or with status 200: the status that it would have had."""
    try:
        status = _BODY.decode(body).error.code
    except (msgspec.DecodeError, UnicodeDecodeError):
        status = 500
    if status in (401, 403, 429):
        return gemini_refusal(status, {}, body)
    told = read_error(body)
    # The request had been accepted; what fails then is the service.
    return UpstreamFailed(told.message or "an error without a message", max(status, 500))


def _seconds(duration: str) -> float | None:
    """A google.protobuf.Duration in JSON: "39.5s"."""
    try:
        return max(float(duration.removesuffix("s")), 0.0)
    except ValueError:
        return None
