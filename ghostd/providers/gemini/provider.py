"""Google's Gemini API (https://ai.google.dev/api)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from urllib.parse import quote

import msgspec

from ghostd.errors import UpstreamError, UpstreamMalformed
from ghostd.providers.gemini.catalog import GeminiModels
from ghostd.providers.gemini.errors import gemini_failure, gemini_refusal
from ghostd.providers.gemini.models import gemini_traits
from ghostd.providers.gemini.reply import ContentReader, UsageMetadata
from ghostd.providers.gemini.request import embed_body, generate_body
from ghostd.providers.http.failures import headed
from ghostd.providers.keys import Key
from ghostd.providers.own_dialect import ConversationsOnly, only_conversations, unit, whole_read
from ghostd.providers.single_call import first_call_only
from ghostd.providers.streaming import EventPieces, pass_on, pass_whole_on, read_deltas, renamed, within
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

_BATCH = 100
"""Texts that one `batchEmbedContents` takes."""
_encode = msgspec.json.Encoder().encode


class _Vector(msgspec.Struct):
    values: list[float]


class _Batch(msgspec.Struct, rename="camel"):
    embeddings: list[_Vector]
    usage_metadata: UsageMetadata = msgspec.field(default_factory=UsageMetadata)


class _TokenCount(msgspec.Struct, rename="camel"):
    total_tokens: int


_BATCH_REPLY = msgspec.json.Decoder(_Batch)
_COUNT = msgspec.json.Decoder(_TokenCount)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


class GeminiProvider(ConversationsOnly):
    """One base URL of a service that speaks the Gemini API."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._models = GeminiModels(endpoint.settings)
        super().__init__(endpoint, self._models, Upstream(endpoint, authorize=authorization, refusal=gemini_refusal))
        # Some give the base URL with the version.
        self._prefix = "" if endpoint.base_url.endswith(("/v1beta", "/v1", "/v1alpha")) else "/v1beta"

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message."""
        response = await self._upstream.send(
            "POST",
            self._path(request.model, "streamGenerateContent?alt=sse"),
            generate_body(request, gemini_traits(request.model), self._unsupported),
            timeouts=request.timeouts,
            expect="sse",
        )
        reader = ContentReader(gemini_failure, stops=bool(request.stop))
        pieces = EventPieces(self._endpoint.limits, self.name)
        stream = read_deltas(response, pieces, reader, self.name)
        single = request.tools.parallel is False
        async with aclosing(stream), aclosing(first_call_only(stream) if single else stream) as deltas:
            async for delta in deltas:
                yield delta

    async def count_tokens(self, request: ChatRequest | CompletionRequest) -> int:
        """What the service counts; that costs nothing."""
        if isinstance(request, CompletionRequest):
            raise only_conversations(request.model)
        body = generate_body(request, gemini_traits(request.model), self._unsupported)
        fields = {"model": _resource(request.model), **_FIELDS.decode(body)}
        path, asked = self._path(request.model, "countTokens"), _encode({"generateContentRequest": fields})
        told = await self._ask("POST", path, asked, timeouts=request.timeouts)
        return self._decoded(_COUNT, told, "is not a count of tokens").total_tokens

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed each input, a hundred at a time. The usage is 0 for models whose tokens the API does not tell."""
        texts: list[str] = []
        for prompt in request.inputs:
            if any(isinstance(piece, int) for piece in prompt):
                raise self._unsupported.refuse_part("input", "the API takes text, not token ids.")
            texts.append("".join(map(str, prompt)))
        vectors: list[tuple[float, ...]] = []
        tokens = 0
        for start in range(0, len(texts), _BATCH):
            batch = texts[start : start + _BATCH]
            body = embed_body(_resource(request.model), batch, request.dimensions)
            reply = await self._embedded(request, body)
            if len(reply.embeddings) != len(batch):
                raise UpstreamMalformed("the reply does not have a vector for each input", self.name)
            vectors.extend(unit(vector.values) for vector in reply.embeddings)
            tokens += reply.usage_metadata.prompt_token_count
        return Embeddings(tuple(vectors), Usage(tokens, 0))

    async def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
        """Pass a request on: "gemini.generate", streamed or not; the model's name is in the URL."""
        method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        path = self._path(request.model, method) if request.operation == "gemini.generate" else None
        response = await self._relayed(request, path, renamed(request.fields, None, _encode), streamed_as="sse")
        stops = b"stopSequences" in request.fields.get("generationConfig", b"")
        reader = ContentReader(gemini_failure, stops=stops)
        if not request.stream:
            yield await pass_whole_on(response, lambda body: whole_read(body, reader), self.name, {})
            return
        pieces = EventPieces(self._endpoint.limits, self.name)
        async with aclosing(pass_on(response, pieces, reader, self.name, {})) as relayed:
            async for piece in relayed:
                yield piece

    async def check(self, timeout_s: float) -> None:
        """Ask for the list of models, and remember it."""
        body = await self._ask("GET", f"{self._prefix}/models?pageSize=1000", timeouts=within(timeout_s))
        try:
            self._models.read_list(body)
        except UpstreamError as error:
            raise headed(error, self.name) from None

    async def _embedded(self, request: EmbedRequest, body: bytes) -> _Batch:
        path = self._path(request.model, "batchEmbedContents")
        told = await self._ask("POST", path, body, timeouts=request.timeouts)
        return self._decoded(_BATCH_REPLY, told, "does not hold embeddings")

    def _path(self, model: str, method: str) -> str:
        return f"{self._prefix}/{_resource(model)}:{method}"


def authorization(key: Key) -> Mapping[str, str]:
    """The header that carries a key: never the URL, which proxies write down."""
    return {"x-goog-api-key": key.value}


def _resource(model: str) -> str:
    """The model's resource name. What a client calls a model cannot leave the path of models."""
    kind, slash, name = model.partition("/")
    if slash and kind in ("models", "tunedModels"):
        return f"{kind}/{quote(name, safe='')}"
    return f"models/{quote(model, safe='')}"
