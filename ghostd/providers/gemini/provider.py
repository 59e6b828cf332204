"""Google's Gemini API (https://ai.google.dev/api)."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from urllib.parse import quote

import msgspec

from ghostd.errors import InvalidRequest, UnsupportedParameter, UpstreamError, UpstreamMalformed, UpstreamRejected
from ghostd.models import KeyState, ModelInfo
from ghostd.providers.gemini.catalog import GeminiModels
from ghostd.providers.gemini.errors import gemini_failure, gemini_refusal
from ghostd.providers.gemini.models import gemini_traits
from ghostd.providers.gemini.reply import ContentReader, UsageMetadata
from ghostd.providers.gemini.request import embed_body, generate_body
from ghostd.providers.http.failures import headed
from ghostd.providers.keys import Key
from ghostd.providers.single_call import first_call_only
from ghostd.providers.streaming import EventPieces, pass_on, pass_whole_on, read_deltas, refusing, renamed, within
from ghostd.providers.unsupported import Unsupported
from ghostd.providers.upstream import Endpoint, Upstream
from ghostd.types import (
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    FillRequest,
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


class GeminiProvider:
    """One base URL of a service that speaks the Gemini API."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.name = endpoint.name
        self.endpoint = endpoint.base_url
        self._endpoint = endpoint
        self._unsupported = Unsupported(endpoint.name, drop=endpoint.settings.drop_unsupported)
        self._models = GeminiModels(endpoint.settings)
        self.open_ended = self._models.open_ended
        # Some give the base URL with the version.
        self._prefix = "" if endpoint.base_url.endswith(("/v1beta", "/v1", "/v1alpha")) else "/v1beta"
        self._upstream = Upstream(endpoint, authorize=authorization, refusal=gemini_refusal)

    def models(self) -> Sequence[ModelInfo]:
        """Those configured, else those listed at the last check."""
        return self._models.models()

    def model(self, name: str) -> ModelInfo:
        """What is known of a model of this name."""
        return self._models.model(name)

    def keys(self) -> Sequence[KeyState]:
        """The keys and how they fare."""
        return self._endpoint.keys.states()

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
            raise UnsupportedParameter(f"The model '{request.model}' holds conversations only.", "model")
        body = generate_body(request, gemini_traits(request.model), self._unsupported)
        fields = {"model": _resource(request.model), **_FIELDS.decode(body)}
        response = await self._upstream.send(
            "POST",
            self._path(request.model, "countTokens"),
            _encode({"generateContentRequest": fields}),
            timeouts=request.timeouts,
        )
        try:
            return _COUNT.decode(await response.read()).total_tokens
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamMalformed("the reply is not a count of tokens", self.name) from None
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Not offered: the API knows conversations only."""
        return refusing(UnsupportedParameter(f"The model '{request.model}' holds conversations only.", "model"))

    def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Not offered."""
        return refusing(UnsupportedParameter(f"The model '{request.model}' holds conversations only.", "model"))

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
            vectors.extend(_unit(vector.values) for vector in reply.embeddings)
            tokens += reply.usage_metadata.prompt_token_count
        return Embeddings(tuple(vectors), Usage(tokens, 0))

    async def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
        """Pass a request on: "gemini.generate", streamed or not; the model's name is in the URL."""
        if request.operation != "gemini.generate" or not request.fields:
            raise InvalidRequest(f"{self.name} cannot take a request of the kind '{request.operation}' as it is.")
        method = "streamGenerateContent?alt=sse" if request.stream else "generateContent"
        try:
            response = await self._upstream.send(
                "POST",
                self._path(request.model, method),
                renamed(request.fields, None, _encode),
                timeouts=request.timeouts,
                expect="sse" if request.stream else "json",
            )
        except UpstreamRejected as error:
            error.operation = request.operation
            raise
        stops = b"stopSequences" in request.fields.get("generationConfig", b"")
        reader = ContentReader(gemini_failure, stops=stops)
        if not request.stream:
            yield await pass_whole_on(response, lambda body: _check(body, reader), self.name, {})
            return
        pieces = EventPieces(self._endpoint.limits, self.name)
        async with aclosing(pass_on(response, pieces, reader, self.name, {})) as relayed:
            async for piece in relayed:
                yield piece

    async def check(self, timeout_s: float) -> None:
        """Ask for the list of models, and remember it."""
        response = await self._upstream.send(
            "GET",
            f"{self._prefix}/models?pageSize=1000",
            timeouts=within(timeout_s),
        )
        try:
            self._models.read_list(await response.read())
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()

    async def _embedded(self, request: EmbedRequest, body: bytes) -> _Batch:
        response = await self._upstream.send(
            "POST", self._path(request.model, "batchEmbedContents"), body, timeouts=request.timeouts
        )
        try:
            return _BATCH_REPLY.decode(await response.read())
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamMalformed("the reply does not hold embeddings", self.name) from None
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()

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


def _unit(values: Sequence[float]) -> tuple[float, ...]:
    """Of length 1: shortened vectors come as they were cut."""
    length = math.sqrt(math.fsum(value * value for value in values))
    return tuple(value / length for value in values) if length else tuple(values)


def _check(body: bytes, reader: ContentReader) -> tuple[Usage | None, str | None]:
    reader.watch(body)
    reader.end()
    return reader.usage(), reader.stop_reason
