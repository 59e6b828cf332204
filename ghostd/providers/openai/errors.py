"""Errors as the services that speak OpenAI's dialect tell them: by a status, or inside a reply whose status is 200."""

from __future__ import annotations

from collections.abc import Mapping

from ghostd.errors import UpstreamError, UpstreamRejected
from ghostd.providers.http.failures import headed
from ghostd.providers.refusals import ErrorObject, read_error, refused

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

_CONTEXT_KINDS = frozenset(("exceed_context_size_error",))
"""llama-server's `type` for a prompt that is too long."""
_CONTEXT_PARAMS = frozenset(("input_tokens", "input_text"))
"""What vLLM names as the `param` of one."""

_CONTEXT_BEGINNINGS = (
    "This model's maximum context length is ",
    "This endpoint's maximum context length is ",
    "Trying to keep the first ",
    "The number of tokens to keep from the initial prompt is greater than the context length",
)
"""How vLLM, SGLang, OpenRouter and LM Studio begin the message of one, which they give no code of its own."""


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error that a status of 300 or more stands for."""
    return _more_exact(refused(status, headers, body, told := read_error(body), operation="openai.chat"), told)


def _more_exact(error: UpstreamError, told: ErrorObject) -> UpstreamError:
    """With the reason that services tell in their own ways."""
    if not isinstance(error, UpstreamRejected) or error.reason is not None:
        return error
    if told.kind in _CONTEXT_KINDS or told.param in _CONTEXT_PARAMS or told.message.startswith(_CONTEXT_BEGINNINGS):
        error.reason = "context"
    return error


def told_error(data: bytes, upstream: str, operation: str | None = None) -> UpstreamError:
    """The error that this JSON tells."""
    told = read_error(data)
    code = told.code or ""
    if len(code) == 3 and code.isdecimal() and 400 <= int(code) <= 599:  # vLLM and OpenRouter tell the status
        status = int(code)
    else:
        status = _STATUS.get(code) or _STATUS.get(told.kind or "", 500)
    return headed(_more_exact(refused(status, {}, data, told, operation=operation), told), upstream)
