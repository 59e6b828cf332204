"""Deltas as replies of the Messages API: a whole message, or its events."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from ghostd.gateway.answering import Reply, with_metadata
from ghostd.gateway.calls import BYTES_PER_TOKEN
from ghostd.gateway.dialects.anthropic.arguments import Arguments
from ghostd.gateway.dialects.anthropic.blocks import Block, Blocks, Step, Thoughts
from ghostd.gateway.dialects.anthropic.errors import ANTHROPIC
from ghostd.gateway.dialects.anthropic.request import ThinkingFields
from ghostd.gateway.dialects.anthropic.tools import shown_id
from ghostd.gateway.exchange import Exchange
from ghostd.routing.call import Call
from ghostd.types import Delta, FinishReason, Usage

T = TypeVar("T")
Fields = dict[str, object]

_ENCODER = msgspec.json.Encoder()
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_REASONS: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
_DELTAS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking"),
           "tool_use": ("input_json_delta", "partial_json")}  # fmt: skip


class MessageEncoder:
    """One reply."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._blocks = Blocks("dropped")
        self._index = -1
        self._opening = b""
        self._ending = _Ending()
        self._said = _Said()
        self._arguments = Arguments()

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body of a reply that is not streamed."""
        blocks, ending = Blocks(_thoughts(call)), _Ending(_stops(call))
        content: list[Fields] = []
        texts: list[str] = []

        def take(step: Step) -> None:
            what, block, text = step
            if what == "open":
                texts.clear()
            elif what == "piece":
                texts.append(text)
            else:
                content.append(_whole_block(block, "".join(texts)))

        said = _Said()
        for delta in replies[0].deltas:
            ending.add(delta)
            said.add(delta)
            for step in blocks.add(delta):
                take(step)
        for step in blocks.finish():
            take(step)
        message = _message(model, content, ending.fields(), _usage(call.trace.usage or said.usage(call)))
        body = _ENCODER.encode(message)
        return with_metadata(body, call) if self._exchange.wants_metadata else body

    def begin(self, call: Call, model: str) -> None:
        """A stream begins; how long the prompt is can only be estimated yet."""
        self._blocks, self._ending = Blocks(_thoughts(call)), _Ending(_stops(call))
        nothing: Fields = {"stop_reason": None, "stop_sequence": None}
        message = _message(model, [], nothing, _usage(Usage(call.prompt_tokens, 0)))
        self._opening = _event({"type": "message_start", "message": message}) + ANTHROPIC.waiting

    def events(self, delta: Delta) -> bytes:
        """The events of a delta."""
        opening, self._opening = self._opening, b""
        self._ending.add(delta)
        self._said.add(delta)
        return opening + b"".join(map(self._written, self._blocks.add(delta)))

    def end(self, call: Call) -> bytes:
        """What is left, why the message ended, and its usage."""
        events = [self._opening, *map(self._written, self._blocks.finish())]
        usage = _usage(call.trace.usage or self._said.usage(call))
        events.append(_event({"type": "message_delta", "delta": self._ending.fields(), "usage": usage}))
        events.append(_event({"type": "message_stop"}))
        return b"".join(events)

    def _written(self, step: Step) -> bytes:
        what, block, text = step
        if what == "open":
            self._index += 1
            self._arguments = Arguments()
            return _event({"type": "content_block_start", "index": self._index, "content_block": _empty_block(block)})
        if what == "piece":
            kind, member = _DELTAS[block.kind]
            if block.kind == "tool_use":
                text = self._arguments.feed(text)
                if not text:
                    return b""
            return self._delta({"type": kind, member: text})
        sealed = b""
        if block.kind == "thinking":  # all at once: the official SDKs keep the last piece only
            sealed = self._delta({"type": "signature_delta", "signature": block.seal()})
        elif block.kind == "tool_use" and (rest := self._arguments.finish(cut=self._ending.cut)):
            sealed = self._delta({"type": "input_json_delta", "partial_json": rest})
        return sealed + _event({"type": "content_block_stop", "index": self._index})

    def _delta(self, delta: Fields) -> bytes:
        return _event({"type": "content_block_delta", "index": self._index, "delta": delta})


class _Ending:
    """Why a message ended."""

    def __init__(self, stops: tuple[str, ...] = ()) -> None:
        self._stops = stops
        self._finish: FinishReason = "stop"
        self._stop_sequence: str | None = None
        self._refusal: list[str] = []

    def add(self, delta: Delta) -> None:
        if delta.refusal:
            self._refusal.append(delta.refusal)
        if delta.finish_reason is not None:
            self._finish = delta.finish_reason
            if delta.stop_sequence in self._stops:
                self._stop_sequence = delta.stop_sequence

    @property
    def cut(self) -> bool:
        """Whether the limit of tokens was reached."""
        return self._finish == "length"

    def fields(self) -> Fields:
        """`stop_reason` and what belongs to it."""
        reason = _REASONS[self._finish]
        if self._refusal:
            reason = "refusal"
        elif self._finish == "stop" and self._stop_sequence is not None:
            reason = "stop_sequence"
        fields: Fields = {
            "stop_reason": reason,
            "stop_sequence": self._stop_sequence if reason == "stop_sequence" else None,
        }
        if reason == "refusal":
            explanation = "".join(self._refusal) or None
            fields["stop_details"] = {"type": "refusal", "category": None, "explanation": explanation}
        return fields


class _Said:
    """How much a message says, for services that do not tell their usage."""

    def __init__(self) -> None:
        self._bytes = 0

    def add(self, delta: Delta) -> None:
        for text in (delta.text, delta.reasoning, delta.refusal, *(piece.arguments for piece in delta.tool_calls)):
            self._bytes += len(text.encode("utf-8", "replace"))

    def usage(self, call: Call) -> Usage:
        """Estimated."""
        return Usage(call.prompt_tokens, -(-self._bytes // BYTES_PER_TOKEN))


def _message(model: str, content: list[Fields], ending: Fields, usage: Fields) -> Fields:
    return {
        "id": f"msg_{os.urandom(12).hex()}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        **ending,
        "usage": usage,
    }


def _usage(usage: Usage) -> Fields:
    """Tokens that were read from a cache, or written to it, are not among the input tokens."""
    fields: Fields = {
        "input_tokens": max(0, usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens),
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cached_tokens,
        "output_tokens": usage.completion_tokens,
    }
    if usage.reasoning_tokens:
        fields["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    return fields


def _empty_block(block: Block) -> Fields:
    match block.kind:
        case "text":
            return {"type": "text", "text": ""}
        case "thinking":
            return {"type": "thinking", "thinking": "", "signature": ""}
        case "redacted_thinking":
            return {"type": "redacted_thinking", "data": block.data}
        case "tool_use":
            return {"type": "tool_use", "id": shown_id(block.id), "name": block.name, "input": {}}


def _whole_block(block: Block, text: str) -> Fields:
    fields = _empty_block(block)
    match block.kind:
        case "text":
            fields["text"] = text
        case "thinking":
            fields |= {"thinking": text, "signature": block.seal()}
        case "tool_use":
            fields["input"] = _input(text)
        case "redacted_thinking":
            pass
    return fields


def _input(arguments: str) -> msgspec.Raw | Fields:
    """The arguments to the letter; text that is no object is wrapped, so that the client's model sees what it wrote."""
    text = arguments.strip()
    if text in ("", "null"):
        return {}
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {"INVALID_JSON": arguments}
    return msgspec.Raw(text.encode())


def _event(event: Fields) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), _ENCODER.encode(event))


def _thoughts(call: Call) -> Thoughts:
    """Clients that ask for no thoughts get none: many of them take the first block for the answer."""
    thinking = _member(call, "thinking", ThinkingFields)
    if thinking is None or not thinking.is_on:
        return "dropped"
    return "shown" if thinking.is_shown else "omitted"


def _stops(call: Call) -> tuple[str, ...]:
    return _member(call, "stop_sequences", tuple[str, ...]) or ()


def _member(call: Call, name: str, kind: type[T]) -> T | None:
    """A member of the body, which has been checked before anything was asked."""
    raw = call.fields.get(name, b"null")
    return None if raw == b"null" else msgspec.json.decode(raw, type=kind)
