"""`POST /v1/chat/completions`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec
from aiohttp import web

from ghostd.conversation import Message, Role
from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.generation import Tally, ended_early, new_id, pieces, seeded, whole
from ghostd.gateway.dialects.openai_fields import GenerationFields, check_ranges, sampling, stops
from ghostd.gateway.dialects.openai_logprobs import chat_logprobs
from ghostd.gateway.exchange import Exchange
from ghostd.types import ChatRequest, Delta, FinishReason, TokenLogprob

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[Any] | None = None
    function_call: Any = None
    audio: Any = None


class _Body(GenerationFields, kw_only=True):
    messages: list[_Message]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    functions: list[Any] | None = None
    function_call: Any = None
    modalities: list[str] | None = None
    audio: Any = None


_DECODER = msgspec.json.Decoder(_Body)
_ENCODER = msgspec.json.Encoder()
_OWN_RANGES = {"max_completion_tokens": (1, 2**31 - 1), "top_logprobs": (0, 20)}


async def chat_completions(engine: Engine, exchange: Exchange) -> web.StreamResponse:
    """Answer a conversation, whole or as a stream."""
    body = await exchange.read(_DECODER)
    request = _request(body)
    more = range(1, body.n or 1)
    requests = [request, *(replace(request, sampling=seeded(request.sampling, choice)) for choice in more)]
    if body.stream:
        with_usage = body.stream_options is not None and bool(body.stream_options.include_usage)
        return await _stream(engine, exchange, requests, with_usage=with_usage)
    return await _whole(engine, exchange, requests)


async def _whole(engine: Engine, exchange: Exchange, requests: Sequence[ChatRequest]) -> web.StreamResponse:
    choices: list[dict[str, object]] = []
    tally = Tally()
    model = requests[0].model
    for index, request in enumerate(requests):
        reply = await whole(engine.chat(request))
        model = reply.model or model
        tally.add(reply.usage, index)
        choice: dict[str, object] = {
            "index": index,
            "message": {"role": "assistant", "content": reply.text},
            "finish_reason": reply.finish_reason,
        }
        if request.sampling.logprobs is not None:
            choice["logprobs"] = chat_logprobs(reply.logprobs)
        choices.append(choice)
    # No optional key without something to say: Zeke's decoder knows these keys and fails on any other.
    return exchange.json(
        _ENCODER.encode(
            {
                "id": new_id("chatcmpl"),
                "object": "chat.completion",
                "created": int(time.time()),
                "model": model,
                "choices": choices,
                "usage": tally.fields(),
            }
        )
    )


async def _stream(
    engine: Engine, exchange: Exchange, requests: Sequence[ChatRequest], *, with_usage: bool
) -> web.StreamResponse:
    frames: _Frames | None = None
    tally = Tally()
    async with exchange.open_stream() as events:
        for index, request in enumerate(requests):
            opening, finished = True, False
            async with aclosing(engine.chat(request)) as deltas:
                async for delta in deltas:
                    if frames is None:
                        frames = _Frames(delta.model or request.model, with_usage=with_usage)
                    event = frames.role(index) if opening else b""
                    opening = False
                    event += frames.text(index, delta)
                    if delta.finish_reason is not None:
                        tally.add(delta.usage, index)
                        event += frames.finish(index, delta.finish_reason)
                        finished = True
                    if event:
                        await events.send(event)
                    if finished:
                        break
            if not finished or frames is None:
                raise ended_early()
        assert frames is not None
        return await events.end(frames.usage(tally) if with_usage else b"")


class _Frames:
    """The chunks of one stream as events. What all have in common is encoded once."""

    def __init__(self, model: str, *, with_usage: bool) -> None:
        self._head = b'data: {"id":"%s","object":"chat.completion.chunk","created":%d,"model":%s,"choices":[' % (
            new_id("chatcmpl").encode(),
            int(time.time()),
            _ENCODER.encode(model),
        )
        self._tail = b'}],"usage":null}\n\n' if with_usage else b"}]}\n\n"

    def role(self, index: int) -> bytes:
        """A choice's first chunk."""
        return (
            b'%s{"index":%d,"delta":{"role":"assistant","content":""},"finish_reason":null%s'
            % (self._head, index, self._tail)
        )  # fmt: skip

    def text(self, index: int, delta: Delta) -> bytes:
        """The chunks of a delta; empty for one without text."""
        return b"".join(self._piece(index, text, logprobs) for text, logprobs in pieces(delta))

    def _piece(self, index: int, text: str, logprobs: Sequence[TokenLogprob]) -> bytes:
        extra = b',"logprobs":' + _ENCODER.encode(chat_logprobs(logprobs)) if logprobs else b""
        return b'%s{"index":%d,"delta":{"content":%s},"finish_reason":null%s%s' % (
            self._head,
            index,
            _ENCODER.encode(text),
            extra,
            self._tail,
        )

    def finish(self, index: int, reason: FinishReason) -> bytes:
        """A choice's last chunk."""
        return b'%s{"index":%d,"delta":{},"finish_reason":"%s"%s' % (self._head, index, reason.encode(), self._tail)

    def usage(self, tally: Tally) -> bytes:
        """The chunk after all choices."""
        return b'%s],"usage":%s}\n\n' % (self._head, _ENCODER.encode(tally.details()))


def _request(body: _Body) -> ChatRequest:
    check_ranges(body)
    check_ranges(body, _OWN_RANGES)
    _refuse_unsupported(body)
    if not body.messages:
        raise InvalidRequest("Invalid value for 'messages': an empty list.", "messages")
    logprobs = None
    if body.logprobs:
        logprobs = body.top_logprobs or 0
    elif body.top_logprobs is not None:
        raise InvalidRequest("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    return ChatRequest(
        model=body.model,
        messages=tuple(_message(message, f"messages[{number}]") for number, message in enumerate(body.messages)),
        sampling=sampling(body, logprobs),
        max_tokens=body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens,
        stop=stops(body),
    )


def _refuse_unsupported(body: _Body) -> None:
    if body.tools or body.tool_choice not in (None, "none", "auto"):
        raise UnsupportedParameter("Tools are not supported by this model.", "tools" if body.tools else "tool_choice")
    if body.functions or body.function_call not in (None, "none", "auto"):
        param = "functions" if body.functions else "function_call"
        raise UnsupportedParameter("Functions are not supported by this model.", param)
    if body.modalities and body.modalities != ["text"]:
        raise UnsupportedParameter("This model replies with text only.", "modalities")
    if body.audio:
        raise UnsupportedParameter("This model replies with text only.", "audio")


def _message(message: _Message, path: str) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        known = ", ".join(_ROLES)
        raise InvalidRequest(
            f"Invalid value for '{path}.role': {message.role[:50]!r}; supported: {known}.", f"{path}.role"
        )
    if message.tool_calls or message.function_call:
        param = "tool_calls" if message.tool_calls else "function_call"
        raise UnsupportedParameter("Tool calls are not supported by this model.", f"{path}.{param}")
    if message.audio:
        raise UnsupportedParameter("Audio is not supported by this model.", f"{path}.audio")
    if message.content is None:
        if role != "assistant":
            raise InvalidRequest(f"Missing required parameter: '{path}.content'.", f"{path}.content")
        return Message(role, message.refusal or "")
    if isinstance(message.content, str):
        return Message(role, message.content)
    return Message(
        role, "\n".join(_part(part, f"{path}.content[{number}]") for number, part in enumerate(message.content))
    )


def _part(part: _Part, path: str) -> str:
    if part.type not in ("text", "input_text", "refusal"):
        raise UnsupportedParameter(
            f"Content of type {part.type[:50]!r} is not supported by this model; send text.", f"{path}.type"
        )
    text = part.refusal if part.type == "refusal" else part.text
    if text is None:
        name = "refusal" if part.type == "refusal" else "text"
        raise InvalidRequest(f"Missing required parameter: '{path}.{name}'.", f"{path}.{name}")
    return text
