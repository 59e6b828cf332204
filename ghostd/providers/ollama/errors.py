"""Ollama's errors as ghostd's errors.

They hold a text and no code. Only an input that is too long is distinguished by it: the message is fixed in the source.
"""

from __future__ import annotations

from collections.abc import Mapping

from ghostd.errors import UpstreamError, UpstreamFailed
from ghostd.providers.refusals import ErrorObject, read_error, refused

_TOO_LONG = ("exceeds the context length", "exceeds maximum context length")
_MAX_CHARS = 1000


def ollama_refusal(status: int, headers: Mapping[str, str], body: bytes) -> UpstreamError:
    """The error for a refused request."""
    told = read_error(body)
    code = told.code
    if status == 400 and any(phrase in told.message for phrase in _TOO_LONG):
        code = "context_length_exceeded"
    described = ErrorObject(told.message, code, told.kind, told.param, told.flagged, told.found)
    return refused(status, headers, body, described, operation="ollama.chat")


def ollama_failure(message: str) -> UpstreamError:
    """The error for an error line: the request had been accepted, so that what fails then is the server."""
    return UpstreamFailed(" ".join(message.split())[:_MAX_CHARS] or "an error without a message", 500)
