"""The lines of a batch's files. Shapes: the OpenAI API reference, "Batch", the request input and output objects."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import msgspec

from ghostd.batch import BackgroundReply, BatchProblem, BatchUsage

MAX_PROBLEMS = 100
"""Told of one input file."""
_Told = tuple[str, str, str]
"""Code, message and parameter of a problem."""
_BOM = b"\xef\xbb\xbf"
_SHOWN_CHARS = 100


class InputLine(msgspec.Struct):
    """What is needed of a line once it is known to be good."""

    custom_id: str
    body: msgspec.Raw


class _Line(msgspec.Struct):
    custom_id: Any = None
    method: Any = None
    url: Any = None
    body: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Model(msgspec.Struct):
    model: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    """Of chats and completions, or of responses."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _InputDetails | None = None
    completion_tokens_details: _OutputDetails | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Reply(msgspec.Struct):
    usage: _Usage | None = None


decode_line = msgspec.json.Decoder(InputLine).decode
_decode = msgspec.json.Decoder(_Line).decode
_decode_model = msgspec.json.Decoder(_Model).decode
_decode_reply = msgspec.json.Decoder(_Reply).decode
_encode = msgspec.json.Encoder().encode


class LineSplitter:
    """Lines out of blocks, without their ends."""

    def __init__(self, max_line_bytes: int) -> None:
        self._rest = bytearray()
        self._max = max_line_bytes

    def feed(self, block: bytes) -> Iterator[bytes]:
        """The lines that are complete now; raises OverflowError for one over the limit."""
        self._rest += block
        if b"\n" in block:
            whole, _, rest = bytes(self._rest).rpartition(b"\n")
            self._rest = bytearray(rest)
            for line in whole.split(b"\n"):
                self._check(len(line))
                yield line
        self._check(len(self._rest))

    def end(self) -> bytes:
        """The last line, where it has no end."""
        return bytes(self._rest)

    def _check(self, size: int) -> None:
        if size > self._max:
            raise OverflowError


class Examiner:
    """Looks at the lines of an input file, one after the other."""

    def __init__(self, endpoint: str, max_requests: int) -> None:
        self._endpoint = endpoint
        self._max_requests = max_requests
        self._ids: set[str] = set()
        self._models: set[str | None] = set()
        self._number = 0
        self.problems: list[BatchProblem] = []
        self.count = 0
        """Good requests so far."""

    @property
    def full(self) -> bool:
        """Whether it is of no use to look at more."""
        return len(self.problems) >= MAX_PROBLEMS

    @property
    def model(self) -> str | None:
        """The one that all requests name."""
        return next(iter(self._models)) if len(self._models) == 1 else None

    def take(self, line: bytes) -> bytes | None:
        """The line as it is to be kept; None for an empty one, or one that is no good."""
        self._number += 1
        if self._number == 1:
            line = line.removeprefix(_BOM)
        line = line.strip()
        if not line or self.full:
            return None
        problem = self._problem(line)
        if problem is not None:
            self.problems.append(problem)
            return None
        self.count += 1
        if self.count > self._max_requests:
            self.problems.append(
                BatchProblem(
                    "too_many_requests", f"A batch has at most {self._max_requests} requests (batches.max_requests)."
                )
            )
            self._max_requests = 2**62  # told once
        return line

    def end(self) -> None:
        """There are no more lines."""
        if not self.count and not self.problems:
            self.problems.append(BatchProblem("empty_file", "The input file has no requests."))

    def too_long(self, limit: int) -> None:
        """The next line has more bytes than a request may have."""
        self.problems.append(
            BatchProblem(
                "line_too_long", f"A line has more than {limit} bytes (http.max_body_bytes).", self._number + 1
            )
        )

    def _problem(self, line: bytes) -> BatchProblem | None:
        try:
            found = _decode(line)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return BatchProblem("invalid_json_line", "This line is not parseable as a JSON object.", self._number)
        told = _wrong_text(found) or self._wrong_value(found) or self._wrong_body(found)
        return None if told is None else BatchProblem(told[0], told[1], self._number, told[2])

    def _wrong_value(self, found: _Line) -> _Told | None:
        if found.method != "POST":
            return "invalid_method", "The method of every request must be POST.", "method"
        if found.url != self._endpoint:
            shown = found.url[:_SHOWN_CHARS]
            return "mismatched_url", f"The url {shown!r} is not the batch's endpoint {self._endpoint}.", "url"
        if found.custom_id in self._ids:
            shown = found.custom_id[:_SHOWN_CHARS]
            return "duplicate_custom_id", f"The custom_id {shown!r} is given twice.", "custom_id"
        self._ids.add(found.custom_id)
        return None

    def _wrong_body(self, found: _Line) -> _Told | None:
        if found.body is msgspec.UNSET:
            return "missing_required_parameter", "Missing required parameter: 'body'.", "body"
        if not bytes(found.body).startswith(b"{"):
            return "invalid_value", "Invalid value for 'body': it must be an object.", "body"
        if len(self._models) < 2:
            self._models.add(model_of(found.body) or None)
        return None


def _wrong_text(found: _Line) -> _Told | None:
    for name in ("custom_id", "method", "url"):
        value = getattr(found, name)
        if value is None:
            return "missing_required_parameter", f"Missing required parameter: '{name}'.", name
        if not isinstance(value, str) or not value:
            return "invalid_value", f"Invalid value for '{name}': it must be a text.", name
    return None


def model_of(body: msgspec.Raw) -> str:
    """The model that a request names; "" if it names none."""
    try:
        return _decode_model(body).model or ""
    except (msgspec.DecodeError, RecursionError):
        return ""


def answered(custom_id: str, reply: BackgroundReply) -> bytes:
    """The line of a request that was answered, without its end."""
    body: object = msgspec.Raw(reply.body.replace(b"\r", b" ").replace(b"\n", b" "))  # only ever between its values
    try:
        _decode_reply(reply.body)
    except msgspec.ValidationError:
        pass  # some other kind of usage
    except (msgspec.DecodeError, RecursionError):
        body = reply.body.decode("utf-8", "replace")
    response = {"status_code": reply.status, "request_id": reply.request_id, "body": body}
    return _encode({"id": _new_id(), "custom_id": custom_id, "response": response, "error": None})


def unanswered(custom_id: str, code: str, message: str) -> bytes:
    """The line of a request that was never answered, without its end."""
    error = {"code": code, "message": message}
    return _encode({"id": _new_id(), "custom_id": custom_id, "response": None, "error": error})


def usage_of(body: bytes) -> BatchUsage:
    """The tokens that a reply tells of."""
    try:
        usage = _decode_reply(body).usage
    except (msgspec.DecodeError, RecursionError):
        usage = None
    if usage is None:
        return BatchUsage()
    details_in = usage.prompt_tokens_details or usage.input_tokens_details or _InputDetails()
    details_out = usage.completion_tokens_details or usage.output_tokens_details or _OutputDetails()
    return BatchUsage(
        usage.prompt_tokens or usage.input_tokens or 0,
        details_in.cached_tokens or 0,
        usage.completion_tokens or usage.output_tokens or 0,
        details_out.reasoning_tokens or 0,
    )


def _new_id() -> str:
    return f"batch_req_{os.urandom(12).hex()}"
