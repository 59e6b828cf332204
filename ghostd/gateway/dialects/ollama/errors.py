"""How Ollama's API tells errors and streams replies."""

from __future__ import annotations

import re

import msgspec

from ghostd.gateway.dialect import Dialect
from ghostd.gateway.errors import Problem

_MISSING = re.compile(r"The model '(.*?)' does not exist or you do not have access to it\.", re.DOTALL)
_LACKING = {"tools": "it does not support tools", "reasoning_effort": "it does not support thinking"}
"""Words that clients look for, to try again without."""
_encode = msgspec.json.Encoder().encode


class ErrorReply(msgspec.Struct):
    """What is wrong."""

    error: str


def _error(problem: Problem, _request_id: str) -> bytes:
    message = problem.message
    if problem.code == "model_not_found":  # clients look for Ollama's own words, to offer a download
        message = _MISSING.sub(r"model '\1' not found.", message)
    if problem.param and problem.param not in message:  # the message is all there is
        message = f"{problem.param}: {message}"
    if problem.code == "unsupported_parameter" and (known := _LACKING.get(problem.param or "")) is not None:
        message = f"{message} ({known})"
    return _encode({"error": message})


def _line(error: bytes) -> bytes:
    return error + b"\n"


OLLAMA = Dialect("ollama", _error, _line, stream_type="application/x-ndjson", waiting=b"", error_type=ErrorReply)
"""Nothing is said while a stream is silent: clients read every line as a reply."""
