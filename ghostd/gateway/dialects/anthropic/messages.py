"""`POST /v1/messages` and `POST /v1/messages/count_tokens`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import msgspec

from ghostd.engine import Engine
from ghostd.errors import GhostdError, ProviderError, RouteExhausted, UpstreamModelMissing, UpstreamRejected
from ghostd.gateway.answering import answer
from ghostd.gateway.calls import ABSENT, BYTES_PER_TOKEN, decoded, estimated_tokens, number, part_features, read_call
from ghostd.gateway.dialects.anthropic.encoder import MessageEncoder
from ghostd.gateway.dialects.anthropic.errors import ANTHROPIC
from ghostd.gateway.dialects.anthropic.replies import CountReply, MessageReply, StreamEvent
from ghostd.gateway.dialects.anthropic.request import (
    RANGES,
    WORDS,
    MessagesBody,
    Metadata,
    OutputFields,
    ThreadUnsupported,
    chat_request,
)
from ghostd.gateway.dialects.anthropic.signature import without_ours
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.routing.call import Call, Job
from ghostd.types import ChatRequest, Feature

T = TypeVar("T")


_DECODER = msgspec.json.Decoder(MessagesBody)
_OWN_SIGNATURE = re.compile(rb'"ghostd\.[A-Za-z0-9_-]*"')
_COUNT = "anthropic.count_tokens"
_NO_SUCH_METHOD = 405
_DOC = Doc(
    "Continue a conversation",
    "Anthropic",
    body=MessagesBody,
    reply=MessageReply,
    streams="text/event-stream",
    event=StreamEvent,
    ranges=RANGES,
    words=WORDS,
)
_COUNT_DOC = Doc(
    "Count a prompt's tokens", "Anthropic", body=MessagesBody, reply=CountReply, ranges=RANGES, words=WORDS
)


def routes(engine: Engine) -> Sequence[Route]:
    """Both routes."""
    return (
        Route("POST", "/v1/messages", partial(messages, engine), dialect=ANTHROPIC, doc=_DOC),
        Route("POST", "/v1/messages/count_tokens", partial(count_tokens, engine), dialect=ANTHROPIC, doc=_COUNT_DOC),
    )


async def messages(engine: Engine, exchange: Exchange) -> Response | None:
    """Answer a conversation, whole or as a stream."""
    call = await read_call(engine, exchange, "anthropic.messages", "chat", _jobs, _glance)
    try:
        return await answer(engine, exchange, call, MessageEncoder(exchange))
    except RouteExhausted as error:
        for failure in error.failures:
            if isinstance(failure, ThreadUnsupported):  # the one of them that the client can mend
                raise failure from None
        raise


async def count_tokens(engine: Engine, exchange: Exchange) -> Response | None:
    """How many tokens a prompt has: by the service that would be asked, by the model's own tokenizer, or estimated."""
    call = await read_call(engine, exchange, _COUNT, "chat", _counted_jobs, _glance)
    call.stream = False
    body = call.body
    estimate, call.prompt_tokens = call.prompt_tokens, 0  # any length can be counted, at no cost
    deployment = engine.first(call)
    decode = call.decode
    if _COUNT in deployment.relays and call.relayable:
        call.passed_only = True
        try:
            return await answer(engine, exchange, call, MessageEncoder(exchange))
        except ProviderError as error:
            if not _counts_nothing(error):
                raise
        decode = partial(_counted_jobs, body)
    (job,) = decode()
    assert isinstance(job.request, ChatRequest)
    found = await engine.count_tokens(replace(job.request, model=deployment.name), estimate)
    call.trace.route, call.trace.deployment = call.model, found.deployment
    response = exchange.json(msgspec.json.encode({"input_tokens": found.tokens}))
    response.headers["x-ghostd-count"] = "exact" if found.exact else "estimated"
    return response


def _counts_nothing(error: GhostdError) -> bool:
    """Whether a service says that it has no such call, as many do that speak the dialect."""
    if isinstance(error, RouteExhausted):
        return bool(error.failures) and all(map(_counts_nothing, error.failures))
    return isinstance(error, UpstreamModelMissing) or (
        isinstance(error, UpstreamRejected) and error.status == _NO_SUCH_METHOD
    )


def _jobs(body: bytes) -> Sequence[Job]:
    return (Job(chat_request(decoded(_DECODER, body))),)


def _counted_jobs(body: bytes) -> Sequence[Job]:
    return (Job(chat_request(decoded(_DECODER, body), counting=True)),)


# --- what the router wants to know -------------------------------------------------------------


class _SeenBlock(msgspec.Struct):
    type: str = ""
    source: msgspec.Raw = msgspec.Raw(b"")
    content: msgspec.Raw = msgspec.Raw(b"")


class _SeenMessage(msgspec.Struct):
    content: str | list[_SeenBlock] = ""


class _SeenSource(msgspec.Struct):
    type: str = ""


_SEEN = msgspec.json.Decoder(list[_SeenMessage])
_SEEN_BLOCKS = msgspec.json.Decoder(list[_SeenBlock])
_SEEN_SOURCE = msgspec.json.Decoder(_SeenSource)
_INLINE_TEXT = ("text", "content")
"""Sources of documents that any model can read."""


def _glance(call: Call) -> None:
    fields = dict(call.fields)
    said = fields.get("messages", b"")
    kept = sum(len(match[0]) for match in _OWN_SIGNATURE.finditer(said))
    beside = len(fields.get("system", b"")) + len(fields.get("tools", b"")) - kept
    call.prompt_tokens = max(1, estimated_tokens(said) + beside // BYTES_PER_TOKEN)
    call.max_tokens = number(fields, "max_tokens")
    output = _hint(fields, "output_config", OutputFields)
    call.features = frozenset(_features(fields, said, output))
    call.effort = (output.effort if output is not None else None) or ""
    metadata = _hint(fields, "metadata", Metadata)
    call.user = (metadata.user_id if metadata is not None else None) or ""
    if kept:
        fields["messages"] = without_ours(said)
        call.fields = fields


def _features(fields: dict[str, bytes], said: bytes, output: OutputFields | None) -> Iterator[Feature]:
    if fields.get("tools") not in ABSENT:
        yield "tools"
    if fields.get("output_format") not in ABSENT or (output is not None and output.format is not None):
        yield "json"
    if part_features(said):  # which also finds what only looks like a part, in the arguments of a tool
        try:
            yield from {feature for message in _SEEN.decode(said) for feature in _seen(message.content)}
        except msgspec.DecodeError:
            return  # whoever decodes it says what is wrong


def _seen(content: str | list[_SeenBlock]) -> Iterator[Feature]:
    if isinstance(content, str):
        return
    for block in content:
        if block.type == "image":
            yield "vision"
        elif block.type == "document" and _source_type(block.source) not in _INLINE_TEXT:
            yield "files"
        elif block.type == "tool_result" and bytes(block.content).startswith(b"["):
            yield from _seen(_SEEN_BLOCKS.decode(block.content))


def _source_type(source: msgspec.Raw) -> str:
    return _SEEN_SOURCE.decode(source).type if bytes(source).startswith(b"{") else ""


def _hint(fields: dict[str, bytes], name: str, kind: type[T]) -> T | None:
    """A member, for hints only: what is wrong with it is said by whoever decodes the body."""
    try:
        raw = fields.get(name, b"null")
        return None if raw == b"null" else msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError:
        return None
