"""Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

import msgspec

from ghostd.errors import UnsupportedParameter, UpstreamMalformed
from ghostd.providers.anthropic.catalog import AnthropicModels
from ghostd.providers.anthropic.errors import anthropic_failure, anthropic_refusal
from ghostd.providers.anthropic.events import ErrorFields, UsageCount, UsageFields
from ghostd.providers.anthropic.reply import MessageReader
from ghostd.providers.anthropic.request import messages_body
from ghostd.providers.http.failures import headed
from ghostd.providers.keys import Key
from ghostd.providers.own_dialect import ConversationsOnly, only_conversations
from ghostd.providers.streaming import (
    EventPieces,
    kept_headers,
    pass_on,
    pass_whole_on,
    read_deltas,
    renamed,
    within,
)
from ghostd.providers.upstream import Endpoint, Upstream
from ghostd.types import (
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    Relayed,
    RelayRequest,
    Usage,
)

_VERSION = "2023-06-01"
_OAUTH_PREFIX = "sk-ant-oat"
"""Tokens of a subscription, which go as Bearer tokens."""
_PATHS = {"anthropic.messages": "/messages", "anthropic.count_tokens": "/messages/count_tokens"}
_KEPT_HEADERS = frozenset(("request-id", "retry-after", "x-should-retry"))
_encode = msgspec.json.Encoder().encode


class _WholeMessage(msgspec.Struct):
    """A reply that was not streamed."""

    type: str
    role: str = ""
    content: list[msgspec.Raw] | None = None
    stop_reason: str | None = None
    usage: UsageFields = msgspec.field(default_factory=UsageFields)
    error: ErrorFields | None = None


class _TokenCount(msgspec.Struct):
    input_tokens: int


_MESSAGE = msgspec.json.Decoder(_WholeMessage)
_COUNT = msgspec.json.Decoder(_TokenCount)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_COUNTED = frozenset(("model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"))
"""What of a request its count may be asked with."""


class AnthropicProvider(ConversationsOnly):
    """One base URL of a service that speaks the Messages API."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._models = AnthropicModels(endpoint.settings)
        upstream = Upstream(
            endpoint, authorize=authorization, refusal=anthropic_refusal, headers={"anthropic-version": _VERSION}
        )
        super().__init__(endpoint, self._models, upstream)
        self._beta = next(
            (value for name, value in endpoint.settings.headers.items() if name.lower() == "anthropic-beta"), ""
        )
        # Some give the base URL with the version, as other dialects have it.
        self._prefix = "" if endpoint.base_url.endswith("/v1") else "/v1"

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message."""
        made = messages_body(request, self._models.traits(request.model), self._unsupported)
        response = await self._upstream.send(
            "POST",
            f"{self._prefix}/messages",
            made.body,
            timeouts=request.timeouts,
            expect="sse",
            headers=self._betas(",".join(made.betas)),
        )
        pieces = EventPieces(self._endpoint.limits, self.name)
        async with aclosing(read_deltas(response, pieces, MessageReader(anthropic_failure), self.name)) as deltas:
            async for delta in deltas:
                yield delta

    async def count_tokens(self, request: ChatRequest | CompletionRequest) -> int:
        """What the service counts; that costs nothing."""
        if isinstance(request, CompletionRequest):
            raise only_conversations(request.model)
        made = messages_body(request, self._models.traits(request.model), self._unsupported)
        fields = _FIELDS.decode(made.body)
        body = await self._ask(
            "POST",
            f"{self._prefix}{_PATHS['anthropic.count_tokens']}",
            _encode({name: value for name, value in fields.items() if name in _COUNTED}),
            timeouts=request.timeouts,
            headers=self._betas(",".join(made.betas)),
        )
        return self._decoded(_COUNT, body, "is not a count of tokens").input_tokens

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Not offered."""
        raise UnsupportedParameter(f"The model '{request.model}' makes no embeddings.", "model")

    async def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
        """Pass a request on: "anthropic.messages", "anthropic.count_tokens"."""
        path = _PATHS.get(request.operation)
        headers = {name: value for name, value in request.headers.items() if name.startswith("anthropic-")}
        headers.update(self._betas(headers.get("anthropic-beta", "")))
        # The official SDKs' beta methods add this query; it is of no consequence to the API.
        query = "?beta=true" if "anthropic-beta" in request.headers else ""
        where = None if path is None else f"{self._prefix}{path}{query}"
        body = renamed(request.fields, request.model, _encode)
        response = await self._relayed(request, where, body, streamed_as="sse", headers=headers)
        kept = kept_headers(response.headers, _KEPT_HEADERS, "anthropic-")
        if not request.stream:
            check = _check_count if request.operation == "anthropic.count_tokens" else _check_message
            yield await pass_whole_on(response, check, self.name, kept)
            return
        pieces = EventPieces(self._endpoint.limits, self.name)
        stream = pass_on(response, pieces, MessageReader(anthropic_failure), self.name, kept)
        async with aclosing(stream) as relayed:
            async for piece in relayed:
                yield piece

    async def check(self, timeout_s: float) -> None:
        """Ask for the list of models, and remember it."""
        body = await self._ask("GET", f"{self._prefix}/models?limit=1000", timeouts=within(timeout_s))
        try:
            self._models.read_list(body)
        except UpstreamMalformed as error:
            raise headed(error, self.name) from None

    def _betas(self, asked: str) -> Mapping[str, str]:
        """The header that asks for beta features: what this request needs beside what the configuration asks for."""
        names = [name.strip() for name in f"{self._beta},{asked}".split(",")]
        wanted = ",".join(dict.fromkeys(filter(None, names)))
        return {"anthropic-beta": wanted} if wanted else {}


def authorization(key: Key) -> Mapping[str, str]:
    """The header that carries a key."""
    if key.value.startswith(_OAUTH_PREFIX):
        return {"authorization": f"Bearer {key.value}"}
    return {"x-api-key": key.value}


def _check_message(body: bytes) -> tuple[Usage | None, str | None]:
    try:
        message = _MESSAGE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamMalformed("the reply is not a message of the Messages API") from None
    if message.error is not None:
        raise anthropic_failure(message.error)
    if message.type != "message" or message.content is None or message.stop_reason is None:
        raise UpstreamMalformed("the reply is not a complete message of the Messages API")
    count = UsageCount()
    count.add(message.usage)
    return count.usage(), message.stop_reason


def _check_count(body: bytes) -> tuple[Usage | None, str | None]:
    """Counting costs nothing, so that there is no usage."""
    try:
        _COUNT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamMalformed("the reply is not a count of tokens") from None
    return None, None
