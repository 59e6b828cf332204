"""Answering a call: pass on what comes in the client's own dialect, and put everything else into it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from ghostd.engine import Engine
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.headers import header_value
from ghostd.gateway.response import FIXED, Response
from ghostd.gateway.sse import unbroken
from ghostd.redaction import redact
from ghostd.routing.call import Call, Item
from ghostd.types import Delta, Embeddings, FinishReason, Relayed, TokenLogprob

_OWN_HEADERS = frozenset(name.lower() for name in (*FIXED, "Date", "Content-Type", "Content-Length", "Connection"))
"""Of every reply; an upstream's do not replace them."""


@dataclass(slots=True)
class Reply:
    """One choice, whole."""

    text: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    tool_calls: dict[int, ToolCallReply] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    confidence: float | None = None
    deltas: list[Delta] = field(default_factory=list)
    """All that was said, for dialects that keep its order."""

    def add(self, delta: Delta) -> None:
        """Take in one delta of the choice."""
        self.deltas.append(delta)
        if delta.text:
            self.text.append(delta.text)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.logprobs:
            self.logprobs.extend(delta.logprobs)
        for piece in delta.tool_calls:
            call = self.tool_calls.setdefault(piece.index, ToolCallReply())
            call.id = piece.id or call.id
            call.name = piece.name or call.name
            call.arguments.append(piece.arguments)
        if delta.confidence is not None:
            self.confidence = delta.confidence
        if delta.finish_reason is not None:
            self.finish_reason = delta.finish_reason


@dataclass(slots=True)
class ToolCallReply:
    """One tool call, whole."""

    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Encoder(Protocol):
    """A dialect's way to say what a call's deltas say."""

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body of a reply that is not streamed."""
        ...

    def begin(self, call: Call, model: str) -> None:
        """A stream begins."""
        ...

    def events(self, delta: Delta) -> bytes:
        """What to send for a delta of a stream; may be empty."""
        ...

    def end(self, call: Call) -> bytes:
        """The last events of a stream, its end marker included."""
        ...


async def answer(engine: Engine, exchange: Exchange, call: Call, encoder: Encoder) -> Response | None:
    """The reply to a call, whole or as a stream; raises GhostdError before it begins, and in its midst."""
    items = engine.serve(call)
    if call.stream:
        await _stream(exchange, call, items, encoder)
        return None
    return await _whole(exchange, call, items, encoder)


async def _whole(exchange: Exchange, call: Call, items: AsyncGenerator[Item, None], encoder: Encoder) -> Response:
    replies: dict[int, Reply] = {}
    model = call.model
    pieces: list[bytes] = []
    try:
        async for item in items:
            if isinstance(item, Relayed):
                pieces.append(item.data)
                if item.last:
                    return relayed(exchange, call, pieces, item)
            else:
                assert isinstance(item, Delta)
                model = item.model or model
                replies.setdefault(item.choice, Reply()).add(item)
    finally:
        await items.aclose()
    return exchange.json(encoder.whole(call, model, [replies[choice] for choice in sorted(replies)]))


def relayed(exchange: Exchange, call: Call, pieces: list[bytes], last: Relayed) -> Response:
    """A reply as it came, whole; type and headers are those of `last`."""
    body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
    if exchange.wants_metadata and last.content_type == "application/json":
        body = with_metadata(body, call)
    return Response(200, passed_headers(exchange.headers(), last), body)


def passed_headers(headers: dict[str, str], piece: Relayed) -> dict[str, str]:
    """A reply's headers with the upstream's type, and its headers where ghostd has none of the name."""
    headers["Content-Type"] = kind = piece.content_type
    if kind != "application/json":
        headers["Content-Type"] = header_value(redact(kind)) or "application/octet-stream"
    if piece.headers:
        for name, value in upstream_headers(piece).items():
            headers.setdefault(name, value)
    return headers


def upstream_headers(piece: Relayed) -> dict[str, str]:
    """The upstream's headers that may be passed on."""
    return {name: header_value(redact(value)) for name, value in piece.headers.items() if name not in _OWN_HEADERS}


async def _stream(exchange: Exchange, call: Call, items: AsyncGenerator[Item, None], encoder: Encoder) -> None:
    begun = False
    async with exchange.open_stream() as events, aclosing(items):
        async for item in items:
            if isinstance(item, Relayed):
                if item.headers:
                    exchange.passed = upstream_headers(item)
                if item.last:
                    await events.close(item.data)
                    return
                await events.send(item.data)
                continue
            assert isinstance(item, Delta)
            if not begun:
                encoder.begin(call, item.model or call.model)
                begun = True
            if data := encoder.events(item):
                await events.send(unbroken(data))
        await events.close(unbroken(encoder.end(call)))


async def vectors(engine: Engine, call: Call) -> Embeddings | Relayed:
    """The answer to a call for embeddings."""
    items = engine.serve(call)
    pieces: list[bytes] = []
    async with aclosing(items):
        async for item in items:
            if isinstance(item, Embeddings):
                return item
            assert isinstance(item, Relayed), "vectors do not come in deltas"
            pieces.append(item.data)
            if item.last:
                return msgspec.structs.replace(item, data=b"".join(pieces))
    raise AssertionError("the router gives a last item or raises")


def metadata(call: Call) -> dict[str, object]:
    """`routing_metadata`: where a call went and why (the fields that Zeke knows)."""
    trace = call.trace
    found: dict[str, object] = {
        "provider": trace.provider,
        "model_used": trace.deployment,
        "latency_ms": int(call.age_ms),
        "was_cached": False,
        "routing_reason": trace.reason,
    }
    if trace.cost_usd is not None:
        found["cost_usd"] = trace.cost_usd
    return found


def with_metadata(body: bytes, call: Call) -> bytes:
    """A JSON object with `routing_metadata` as its last member."""
    head = body.rstrip()
    if not head.endswith(b"}"):
        return body
    comma = b"" if head[:-1].rstrip().endswith(b"{") else b","
    return head[:-1] + comma + b'"routing_metadata":' + msgspec.json.encode(metadata(call)) + b"}"
