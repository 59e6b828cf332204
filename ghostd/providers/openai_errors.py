"""Errors that OpenAI's dialect tells inside a reply whose status is 200: in a body, or in the middle of a stream."""

from __future__ import annotations

from ghostd.errors import UpstreamError
from ghostd.providers.http.failures import headed
from ghostd.providers.refusals import read_error, refused

_STATUS = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "tokens": 429,
    "requests": 429,
    "insufficient_quota": 429,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "invalid_request_error": 400,
    "BadRequestError": 400,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "content_policy_violation": 400,
}
"""The status that the error would have had, by its `code` or `type`; others are the server's own failures."""


def told_error(data: bytes, upstream: str, operation: str | None = None) -> UpstreamError:
    """The error that this JSON tells."""
    told = read_error(data)
    code = told.code or ""
    if len(code) == 3 and code.isdecimal() and 400 <= int(code) <= 599:  # vLLM and OpenRouter tell the status
        status = int(code)
    else:
        status = _STATUS.get(code) or _STATUS.get(told.kind or "", 500)
    return headed(refused(status, {}, data, told, operation=operation), upstream)
