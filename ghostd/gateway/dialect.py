"""What the server must know of a wire dialect: how it says errors, and how it streams.

What its requests and replies mean is the business of the modules in `dialects`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

import msgspec
from multidict import istr

from ghostd.gateway.dialects.openai.replies import ErrorReply
from ghostd.gateway.errors import Problem
from ghostd.redaction import redact

CONTEXT_CODE = "context_length_exceeded"
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Dialect:
    """One dialect that clients speak."""

    name: str
    """The first part of its operations ("openai" of "openai.chat")."""
    error_object: Callable[[Problem, str], bytes]
    """An error in the dialect's shape, as JSON; the second argument is the request's id."""
    error_event: Callable[[bytes], bytes]
    """The last event of a stream that fails, of that JSON."""
    stream_type: str = "text/event-stream"
    waiting: bytes = b": waiting\n\n"
    """Says that a silent stream is alive; empty where the dialect has nothing that clients skip."""
    passed_headers: tuple[istr, ...] = ()
    """Headers of the dialect that go upstream with a relayed request."""
    own_error: Callable[[Problem], bytes] = attrgetter("original")
    """The body for an upstream's error that came in this dialect: as it came, unless clients could not read it."""
    statuses: Mapping[int, int] = field(default_factory=dict)
    """Statuses of ghostd's own errors that the dialect has others for."""
    request_id_header: str = ""
    """Where the dialect's clients look for the request's id, beside x-request-id."""
    error_type: type[msgspec.Struct] | None = None
    """The shape of `error_object`, for the OpenAPI document."""

    def status(self, problem: Problem) -> int:
        """The status of an error reply."""
        return problem.status if problem.original else self.statuses.get(problem.status, problem.status)

    def error(self, problem: Problem, request_id: str) -> bytes:
        """The body of an error reply: the upstream's own where it spoke this dialect."""
        same = problem.original and problem.operation.partition(".")[0] == self.name
        body = self.own_error(problem) if same else self.error_object(problem, request_id)
        # Some upstreams repeat the key that they were sent, in a refusal or amid a stream.
        return redact(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def sse_data(data: bytes) -> bytes:
    """One event without a name."""
    return b"data: " + data + b"\n\n"


def _openai_error(problem: Problem, _request_id: str) -> bytes:
    return _encode({"error": _members(problem)})


def _members(problem: Problem) -> dict[str, str | None]:
    return {"message": problem.message, "type": problem.kind, "param": problem.param, "code": problem.code}


def _own_openai_error(problem: Problem) -> bytes:
    """As it came if it has OpenAI's shape member by member; services that only resemble it lack some of them.

    A prompt that is too long has OpenAI's code for it: agents compact their history on that.
    """
    members = _members(problem)
    try:
        found = msgspec.json.decode(problem.original)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    inner = found.get("error") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(inner, dict):
        return _encode({"error": members})
    readable = {name: value for name, value in inner.items() if name not in members or isinstance(value, str | None)}
    whole = members | readable
    if problem.code == CONTEXT_CODE:
        whole["code"] = CONTEXT_CODE
    return problem.original if whole == inner else _encode({**found, "error": whole})


OPENAI = Dialect(
    "openai",
    _openai_error,
    sse_data,
    own_error=_own_openai_error,
    error_type=ErrorReply,
    passed_headers=tuple(
        istr(name) for name in ("openai-organization", "openai-project", "openai-beta", "idempotency-key")
    ),
)
"""Also of every path that belongs to no other dialect."""
