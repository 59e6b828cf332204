"""Errors in Mistral's shape."""

from __future__ import annotations

import msgspec

from ghostd.gateway.dialect import Dialect, sse_data
from ghostd.gateway.errors import Problem

_ENCODER = msgspec.json.Encoder()


class MistralError(msgspec.Struct):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    code: str | None
    object: str = "error"


def _error(problem: Problem, _request_id: str) -> bytes:
    return _ENCODER.encode(MistralError(problem.message, problem.kind, problem.param, problem.code))


MISTRAL = Dialect("mistral", _error, sse_data, error_type=MistralError)
