"""How llama.cpp's server tells errors (`tools/server/server-common.cpp`, `format_error_response`)."""

from __future__ import annotations

import msgspec

from ghostd.gateway.dialect import CONTEXT_CODE, Dialect, sse_data
from ghostd.gateway.errors import Problem

_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    501: "not_supported_error",
    503: "unavailable_error",
}
_encode = msgspec.json.Encoder().encode


class LlamacppError(msgspec.Struct, omit_defaults=True):
    """What is wrong."""

    code: int
    """The reply's status."""
    message: str
    type: str
    param: str | None = None
    """Path of the field."""
    n_prompt_tokens: int | None = None
    n_ctx: int | None = None


class LlamacppErrorReply(msgspec.Struct):
    """An error."""

    error: LlamacppError


def _error(problem: Problem, _request_id: str) -> bytes:
    kind = _TYPES.get(problem.status) or ("invalid_request_error" if problem.status < 500 else "server_error")
    error = LlamacppError(problem.status, problem.message, kind, problem.param)
    if problem.code == CONTEXT_CODE:
        error.type = "exceed_context_size_error"
        if problem.tokens is not None:
            error.n_prompt_tokens, error.n_ctx = problem.tokens
    return _encode(LlamacppErrorReply(error))


LLAMACPP = Dialect("llamacpp", _error, sse_data, error_type=LlamacppErrorReply)
