"""How the Messages API tells errors and streams replies.

Source: the errors page of the API reference, and what Claude Code and the official SDKs look for.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from multidict import istr

from ghostd.gateway.dialect import CONTEXT_CODE, Dialect
from ghostd.gateway.errors import Problem

_encode = msgspec.json.Encoder().encode
_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
"""Any other refusal is an invalid request, any other failure an api_error."""
_TOO_LONG = "prompt is too long"
"""Claude Code compacts its history on these words, and reads both numbers behind them."""


THREAD_CODE = "thread_unsupported_request"
"""The one code of an error that clients act on: they send the conversation without its thread."""


class ErrorDetails(msgspec.Struct):
    """`error.details`"""

    error_code: str


class ErrorFields(msgspec.Struct, omit_defaults=True):
    """`error`"""

    type: str
    message: str
    details: ErrorDetails | None = None


class ErrorReply(msgspec.Struct):
    """An error."""

    error: ErrorFields
    request_id: str
    type: str = "error"


def _error(problem: Problem, request_id: str) -> bytes:
    status = ANTHROPIC.status(problem)
    kind = _TYPES.get(status) or ("invalid_request_error" if status < 500 else "api_error")
    details = ErrorDetails(THREAD_CODE) if problem.code == THREAD_CODE else None
    error = ErrorFields(kind, _message(problem), details)
    return _encode({"type": "error", "error": error, "request_id": request_id})


def _message(problem: Problem) -> str:
    """The message, headed by the field that it speaks of if it does not name it itself, as the API does."""
    if problem.code == CONTEXT_CODE:
        if problem.tokens is not None:
            return f"{_TOO_LONG}: {problem.tokens[0]} tokens > {problem.tokens[1]} maximum"
        return problem.message if problem.message.startswith(_TOO_LONG) else f"{_TOO_LONG}: {problem.message}"
    if problem.param and problem.param not in problem.message:
        return f"{problem.param}: {problem.message}"
    return problem.message


def _event(error: bytes) -> bytes:
    return b"event: error\ndata: " + error + b"\n\n"


ANTHROPIC = Dialect(
    "anthropic",
    _error,
    _event,
    waiting=b'event: ping\ndata: {"type":"ping"}\n\n',
    passed_headers=(istr("anthropic-version"), istr("anthropic-beta")),
    statuses={503: 529},
    request_id_header="request-id",
    error_type=ErrorReply,
)
