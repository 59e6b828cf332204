"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from ghostd.conversation import ToolCallDelta
from ghostd.engine import Engine
from ghostd.gateway.answering import Reply, ToolCallReply, answer, metadata
from ghostd.gateway.calls import decoded, openai_call
from ghostd.gateway.dialects.generation import new_id, pieces, seeded, usage_details, usage_fields
from ghostd.gateway.dialects.llamacpp import chat as llamacpp_chat
from ghostd.gateway.dialects.llamacpp.models import default_model
from ghostd.gateway.dialects.openai.chat_request import CHAT_RANGES, CHAT_WORDS, ChatBody, chat_request
from ghostd.gateway.dialects.openai.chat_tools import custom_input, custom_names
from ghostd.gateway.dialects.openai.chunks import ending, framing
from ghostd.gateway.dialects.openai.logprobs import chat_logprobs
from ghostd.gateway.dialects.openai.replies import ChatChunk, ChatReply
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.routing.call import Call, Job
from ghostd.types import Delta, TokenLogprob

_DECODER = msgspec.json.Decoder(ChatBody)
_ENCODER = msgspec.json.Encoder()
DOC = Doc(
    "Continue a conversation",
    body=ChatBody,
    reply=ChatReply,
    streams="text/event-stream",
    event=ChatChunk,
    ranges=CHAT_RANGES,
    words=CHAT_WORDS,
)


async def chat_completions(engine: Engine, exchange: Exchange) -> Response | None:
    """Answer a conversation, whole or as a stream."""
    encoder = _Encoder(exchange)
    default = default_model(exchange)
    call = await openai_call(engine, exchange, "openai.chat", "chat", encoder.jobs, default_model=default)
    llamacpp_chat.settle(engine, call, encoder.jobs)
    return await answer(engine, exchange, call, encoder)


class _Encoder:
    """Deltas as OpenAI's chat replies. What a stream's chunks have in common is encoded once.

    No optional key without something to say: Zeke's decoder knows the plain keys and fails on any other.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._head = self._tail = b""
        self._opened: set[int] = set()
        self._custom: frozenset[str] = frozenset()
        self._inputs: dict[tuple[int, int], list[str]] = {}
        """The arguments so far of the calls of custom tools, by choice and call: only whole ones can be read."""

    def jobs(self, body: bytes) -> Sequence[Job]:
        """One generation for each choice."""
        fields = decoded(_DECODER, body)
        request = chat_request(fields)
        self._custom = custom_names(fields)
        more = (replace(request, sampling=seeded(request.sampling, choice)) for choice in range(1, fields.n or 1))
        return [Job(request), *(Job(other, counts_prompt=False) for other in more)]

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body of a reply that is not streamed."""
        closed = self._exchange.closed_schema or "tags" in call.fields
        body: dict[str, object] = {
            "id": new_id("chatcmpl"),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model,
            "choices": [
                _plain_choice(index, reply) if closed else _choice(index, reply, self._custom)
                for index, reply in enumerate(replies)
            ],
        }
        if call.trace.usage is not None:
            body["usage"] = (usage_fields if closed else usage_details)(call.trace.usage)
        if self._exchange.wants_metadata:
            body["routing_metadata"] = metadata(call)
        return _ENCODER.encode(body)

    def begin(self, call: Call, model: str) -> None:
        """A stream begins."""
        self._head, self._tail = framing(call, model, "chat.completion.chunk", "chatcmpl")

    def events(self, delta: Delta) -> bytes:
        """The chunks of a delta."""
        index = delta.choice
        event = b""
        if index not in self._opened:
            self._opened.add(index)
            event = self._chunk(index, b'"role":"assistant","content":""')
        event += b"".join(self._text(index, text, logprobs) for text, logprobs in pieces(delta))
        for text in _cut(delta.reasoning):
            event += self._chunk(index, b'"reasoning_content":' + _ENCODER.encode(text))
        for text in _cut(delta.refusal):
            event += self._chunk(index, b'"refusal":' + _ENCODER.encode(text))
        for piece in delta.tool_calls:
            event += self._call(index, piece)
        if delta.finish_reason is not None:
            event += self._custom_inputs(index)
            event += b'%s{"index":%d,"delta":{},"finish_reason":"%s"%s' % (
                self._head,
                index,
                delta.finish_reason.encode(),
                self._tail,
            )
        return event

    def end(self, call: Call) -> bytes:
        """The usage, if it was asked for, and the end marker."""
        return ending(call, self._head)

    def _text(self, index: int, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:
        extra = b',"logprobs":' + _ENCODER.encode(chat_logprobs(logprobs)) if logprobs else b""
        return self._chunk(index, b'"content":' + _ENCODER.encode(text), extra)

    def _call(self, choice: int, piece: ToolCallDelta) -> bytes:
        key = (choice, piece.index)
        if piece.name is not None and piece.name in self._custom:
            self._inputs[key] = [piece.arguments]
            opening = {"index": piece.index, "id": piece.id, "type": "custom"}
            return self._calls(choice, opening | {"custom": {"name": piece.name, "input": ""}})
        if key in self._inputs:
            self._inputs[key].append(piece.arguments)
            return b""
        first: dict[str, object] = {"index": piece.index}
        if piece.id is not None:
            first |= {"id": piece.id, "type": "function"}
        texts = _cut(piece.arguments) or [""]
        first["function"] = {**({} if piece.name is None else {"name": piece.name}), "arguments": texts[0]}
        rest = ({"index": piece.index, "function": {"arguments": text}} for text in texts[1:])
        return b"".join(self._calls(choice, fields) for fields in (first, *rest))

    def _custom_inputs(self, choice: int) -> bytes:
        """What the calls of custom tools got, now that they are whole."""
        event = b""
        for key in sorted(key for key in self._inputs if key[0] == choice):
            for text in _cut(custom_input("".join(self._inputs.pop(key)))):
                event += self._calls(choice, {"index": key[1], "custom": {"input": text}})
        return event

    def _calls(self, choice: int, fields: dict[str, object]) -> bytes:
        return self._chunk(choice, b'"tool_calls":[' + _ENCODER.encode(fields) + b"]")

    def _chunk(self, index: int, delta: bytes, extra: bytes = b"") -> bytes:
        return b'%s{"index":%d,"delta":{%s},"finish_reason":null%s%s' % (self._head, index, delta, extra, self._tail)


def _cut(text: str, size: int = 1000) -> list[str]:
    """A text in parts that fit into one event each."""
    return [text[start : start + size] for start in range(0, len(text), size)]


def _choice(index: int, reply: Reply, custom: frozenset[str]) -> dict[str, object]:
    calls = [_tool_call(call, custom) for _, call in sorted(reply.tool_calls.items())]
    text = "".join(reply.text)
    message: dict[str, object] = {"role": "assistant", "content": None if calls and not text else text}
    if reply.reasoning:
        message["reasoning_content"] = "".join(reply.reasoning)
    if reply.refusal:
        message["refusal"] = "".join(reply.refusal)
    if calls:
        message["tool_calls"] = calls
    choice: dict[str, object] = {"index": index, "message": message, "finish_reason": reply.finish_reason}
    if reply.logprobs:
        choice["logprobs"] = chat_logprobs(reply.logprobs)
    return choice


def _tool_call(call: ToolCallReply, custom: frozenset[str]) -> dict[str, object]:
    arguments = "".join(call.arguments)
    if call.name in custom:
        told = {"name": call.name, "input": custom_input(arguments)}
        return {"id": call.id, "type": "custom", "custom": told}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _plain_choice(index: int, reply: Reply) -> dict[str, object]:
    """A choice for a client that fails on every further key: text, or the refusal in its place."""
    text = "".join(reply.text) or "".join(reply.refusal)
    return {"index": index, "message": {"role": "assistant", "content": text}, "finish_reason": reply.finish_reason}
