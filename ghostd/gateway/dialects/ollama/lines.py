"""ghostd's deltas as the lines of Ollama's chat and generate replies."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from ghostd.gateway.answering import Reply, ToolCallReply, metadata
from ghostd.gateway.dialects.generation import MAX_PIECE_CHARS, pieces
from ghostd.gateway.exchange import Exchange
from ghostd.routing.call import Call
from ghostd.types import Delta, FinishReason, TokenLogprob

_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_LEAST_LOGPROB = -9999.0
"""For a probability of zero; JSON has no infinity."""
_DONE_REASONS: dict[FinishReason, str] = {"tool_calls": "stop"}

Fields = dict[str, object]
Content = Callable[[str], Fields]
"""Where a reply has its text."""


def chat_content(text: str) -> Fields:
    """Of /api/chat."""
    return {"message": {"role": "assistant", "content": text}}


def generate_content(text: str) -> Fields:
    """Of /api/generate."""
    return {"response": text}


def timestamp(seconds: float | None = None) -> str:
    """A time, or now, as Ollama writes it. What a service says of a model's age need not be one that a calendar has."""
    try:
        moment = datetime.fromtimestamp(time.time() if seconds is None else seconds, UTC)
    except (ValueError, OverflowError, OSError):
        moment = datetime.fromtimestamp(0, UTC)
    return moment.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def settled(model: str, content: Fields, reason: str | None) -> bytes:
    """The reply to a request that only loads or unloads a model."""
    more = {} if reason is None else {"done_reason": reason}
    return _ENCODER.encode({"model": model, "created_at": timestamp(), **content, "done": True, **more})


class Lines:
    """Deltas as Ollama's replies. Tool calls are said at the end, when all are whole; their pieces may alternate."""

    def __init__(self, exchange: Exchange, content: Content) -> None:
        self._exchange = exchange
        self._closed = exchange.closed_schema
        self._content = content
        self._chat = content is chat_content
        self._model = ""
        self._reason: FinishReason = "stop"
        self._calls: dict[int, ToolCallReply] = {}

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body of a reply that is not streamed."""
        reply = replies[0] if replies else Reply()
        self._model = model
        text = "".join(reply.text) or "".join(reply.refusal)
        fields = self._fields(text)
        if not self._closed:
            if reply.reasoning:
                self._place(fields)["thinking"] = "".join(reply.reasoning)
            if reply.tool_calls:
                calls = [reply.tool_calls[index] for index in sorted(reply.tool_calls)]
                self._place(fields)["tool_calls"] = [_tool_call(number, done) for number, done in enumerate(calls)]
        fields |= self._end(call, reply.finish_reason or "stop")
        if reply.logprobs and not self._closed:
            fields["logprobs"] = _logprobs(reply.logprobs)
        if self._exchange.wants_metadata and not self._closed:
            fields["routing_metadata"] = metadata(call)
        return _ENCODER.encode(fields)

    def begin(self, call: Call, model: str) -> None:
        """A stream begins."""
        self._model = model

    def events(self, delta: Delta) -> bytes:
        """The lines of a delta, without the last one."""
        lines = b""
        if delta.reasoning and not self._closed:
            for start in range(0, len(delta.reasoning), MAX_PIECE_CHARS):
                fields = self._fields("")
                self._place(fields)["thinking"] = delta.reasoning[start : start + MAX_PIECE_CHARS]
                lines += self._line(fields)
        for text, tokens in pieces(delta):
            lines += self._text(text, tokens)
        if delta.refusal:
            for text, _ in pieces(Delta(delta.refusal)):
                lines += self._text(text, ())
        for piece in delta.tool_calls:
            done = self._calls.setdefault(piece.index, ToolCallReply())
            done.name = piece.name or done.name
            done.id = piece.id or done.id
            done.arguments.append(piece.arguments)
        if delta.finish_reason is not None:
            self._reason = delta.finish_reason
            lines += b"".join(self._called(index) for index in sorted(self._calls))
        return lines

    def end(self, call: Call) -> bytes:
        """The last line, with the figures."""
        fields = self._fields("")
        return _ENCODER.encode(fields | self._end(call, self._reason)) + b"\n"

    def _called(self, index: int) -> bytes:
        if self._closed:
            return b""
        fields = self._fields("")
        self._place(fields)["tool_calls"] = [_tool_call(index, self._calls[index])]
        return self._line(fields)

    def _text(self, text: str, tokens: Sequence[TokenLogprob]) -> bytes:
        fields = self._fields(text)
        if tokens and not self._closed:
            fields["logprobs"] = _logprobs(tokens)
        return self._line(fields)

    def _fields(self, text: str) -> Fields:
        return {"model": self._model, "created_at": timestamp(), **self._content(text), "done": False}

    def _place(self, fields: Fields) -> Fields:
        """Where thoughts and tool calls go."""
        if not self._chat:
            return fields
        message = fields["message"]
        assert isinstance(message, dict)
        return message

    def _line(self, fields: Fields) -> bytes:
        return _ENCODER.encode(fields) + b"\n"

    def _end(self, call: Call, reason: FinishReason) -> Fields:
        """`done`, and the durations in nanoseconds; what loading a model takes counts as reading the prompt."""
        total_ms = call.age_ms
        first_ms = min(call.trace.first_byte_ms or 0.0, total_ms)
        fields: Fields = {"done": True}
        if not self._closed:
            fields["done_reason"] = _DONE_REASONS.get(reason, reason)
        fields |= {"total_duration": _ns(total_ms), "load_duration": 0}
        usage = call.trace.usage
        if usage is not None:
            fields["prompt_eval_count"] = usage.prompt_tokens
        if not self._closed:
            fields["prompt_eval_duration"] = _ns(first_ms)
        if usage is not None:
            fields["eval_count"] = usage.completion_tokens
        fields["eval_duration"] = _ns(total_ms - first_ms)
        return fields


def _ns(milliseconds: float) -> int:
    return int(milliseconds * 1_000_000)


def _tool_call(index: int, done: ToolCallReply) -> Fields:
    """Arguments are an object here, whatever the model has written."""
    text = "".join(done.arguments)
    if not text.strip():
        text = "{}"
    arguments: object = msgspec.Raw(text.encode("utf-8", "replace"))
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        arguments = {"INVALID_JSON": text}
    return {"id": done.id, "function": {"index": index, "name": done.name, "arguments": arguments}}


def _logprobs(tokens: Sequence[TokenLogprob]) -> list[Fields]:
    return [
        _token(token.token, token.logprob) | {"top_logprobs": [_token(other, logprob) for other, logprob in token.top]}
        for token in tokens
    ]


def _token(token: bytes, logprob: float) -> Fields:
    return {"token": token.decode("utf-8", "replace"), "logprob": max(logprob, _LEAST_LOGPROB), "bytes": list(token)}
