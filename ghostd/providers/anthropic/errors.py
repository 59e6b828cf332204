"""Anthropic's error objects as ghostd's errors."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ghostd.errors import UpstreamError, UpstreamFailed
from ghostd.providers.anthropic.events import ErrorFields
from ghostd.providers.refusals import ErrorObject, read_error, refused

_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""Source: the errors page of the API reference."""
_TOO_LONG = ("prompt is too long", "input length and `max_tokens` exceed context limit")
_NO_CREDIT = "Your credit balance is too low"
"""The API tells these by no code: only these fixed beginnings of its messages distinguish them."""
_SPENT = frozenset(
    (
        "contract_spend_limit_reached", "enforced_spend_limit_reached", "linked_organization_spend_limit_reached",
        "linked_organization_billing_unavailable",
    )
)  # fmt: skip
"""Values of `error.details.error_code` for limits that the account's owner has set."""


class _Details(msgspec.Struct):
    error_code: str | None = None


class _Error(msgspec.Struct):
    details: _Details | None = None


class _Body(msgspec.Struct):
    error: _Error


_BODY = msgspec.json.Decoder(_Body)


def anthropic_refusal(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error for a refused request."""
    told = read_error(body)
    code = told.code
    if status == 400 and told.message.startswith(_TOO_LONG):
        code = "context_length_exceeded"
    elif (status == 400 and told.message.startswith(_NO_CREDIT)) or _error_code(body) in _SPENT:
        code = "insufficient_quota"
    described = ErrorObject(told.message, code, told.kind, told.param, told.flagged, told.found)
    return refused(status, headers, body, described, operation="anthropic.messages")


def anthropic_failure(error: ErrorFields) -> UpstreamError:
    """The error for an `error` event, or an error object with status 200: the status that it would have had."""
    status = _STATUS_OF_TYPE.get(error.type, 500)
    body = msgspec.json.encode({"type": "error", "error": {"type": error.type, "message": error.message}})
    if status in (400, 404, 413):
        # The request had been accepted; what fails then is the service.
        return UpstreamFailed(f"{error.message[:1000]} ({error.type[:50]})", 500)
    return anthropic_refusal(status, {}, body)


def _error_code(body: bytes) -> str | None:
    try:
        details = _BODY.decode(body).error.details
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if details is None else details.error_code
