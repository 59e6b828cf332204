"""Ollama's own API (https://github.com/ollama/ollama/blob/main/docs/api.md)."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from urllib.parse import urlsplit

import msgspec

from ghostd.errors import UpstreamError, UpstreamMalformed
from ghostd.providers.http.failures import headed
from ghostd.providers.keys import Key
from ghostd.providers.ollama.catalog import OllamaModels
from ghostd.providers.ollama.errors import ollama_failure, ollama_refusal
from ghostd.providers.ollama.forced import calls_of, is_forced
from ghostd.providers.ollama.reply import LineReader
from ghostd.providers.ollama.request import chat_body, complete_body, embed_body, fill_body
from ghostd.providers.own_dialect import OwnDialectProvider, unit, whole_read
from ghostd.providers.single_call import first_call_only
from ghostd.providers.streaming import LinePieces, pass_on, pass_whole_on, read_deltas, renamed, within
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

_PATHS = {"ollama.chat": "/api/chat", "ollama.generate": "/api/generate", "ollama.embed": "/api/embed"}
_MAX_DESCRIBED = 200
"""Models that one check asks about; each answer is kept as long as the model is the same."""
_encode = msgspec.json.Encoder().encode


class _Vectors(msgspec.Struct):
    embeddings: list[list[float]] | None = None
    prompt_eval_count: int = 0
    error: str | None = None


_VECTORS = msgspec.json.Decoder(_Vectors)


class OllamaProvider(OwnDialectProvider):
    """One Ollama server."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._models = OllamaModels(endpoint.settings, remote=not _is_loopback(endpoint.base_url))
        super().__init__(endpoint, self._models, Upstream(endpoint, authorize=authorization, refusal=ollama_refusal))

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message."""
        features = self.model(request.model).features
        body = chat_body(request, self._unsupported, thinks=features is None or "reasoning" in features)
        stream = self._stream("/api/chat", body, request)
        wanted = stream
        if is_forced(request.tools):
            wanted = calls_of(stream)
        elif request.tools.parallel is False:
            wanted = first_call_only(stream)
        async with aclosing(stream), aclosing(wanted) as deltas:
            async for delta in deltas:
                yield delta

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the continuation of the prompt as it is, without the model's template."""
        body = complete_body(request, self._unsupported)
        async with aclosing(self._stream("/api/generate", body, request)) as deltas:
            async for delta in deltas:
                yield delta

    async def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Stream the text of the hole; the server knows the model's form for it."""
        body = fill_body(request, self._unsupported)
        async with aclosing(self._stream("/api/generate", body, request)) as deltas:
            async for delta in deltas:
                yield delta

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed each input."""
        body = embed_body(request, self._unsupported)
        told = await self._ask("POST", "/api/embed", body, timeouts=request.timeouts)
        try:
            reply = _vectors(told)
        except UpstreamError as error:
            raise headed(error, self.name) from None
        vectors = reply.embeddings or []
        if len(vectors) != len(request.inputs):
            raise UpstreamMalformed("the reply does not have a vector for each input", self.name)
        return Embeddings(tuple(map(unit, vectors)), Usage(reply.prompt_eval_count, 0))

    async def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
        """Pass a request on: "ollama.chat", "ollama.generate", "ollama.embed"."""
        body = renamed(request.fields, request.model, _encode)
        response = await self._relayed(request, _PATHS.get(request.operation), body, streamed_as="ndjson")
        if request.operation == "ollama.embed":
            yield await pass_whole_on(response, _check_vectors, self.name, {})
            return
        reader = LineReader(ollama_failure, stops=b'"stop"' in request.fields.get("options", b""))
        if not request.stream:
            yield await pass_whole_on(response, lambda body: whole_read(body, reader), self.name, {})
            return
        pieces = LinePieces(self._endpoint.limits, self.name)
        async with aclosing(pass_on(response, pieces, reader, self.name, {})) as relayed:
            async for piece in relayed:
                yield piece

    async def check(self, timeout_s: float) -> None:
        """Ask for the list of models, and about each that has not been described yet; remember both.

        What cannot be told about a model is no reason to fail: it may have been removed in between.
        """
        timeouts = within(timeout_s)
        self._models.read_tags(await self._ask("GET", "/api/tags", timeouts=timeouts))
        unknown = self._models.unknown()[:_MAX_DESCRIBED]
        try:
            for name, digest in unknown:
                body = await self._ask("POST", "/api/show", _encode({"model": name}), timeouts=timeouts)
                self._models.read_show(digest, body)
        except UpstreamError:
            return
        finally:
            if unknown:
                self._models.described()

    async def _stream(
        self, path: str, body: bytes, request: ChatRequest | CompletionRequest | FillRequest
    ) -> AsyncGenerator[Delta, None]:
        response = await self._upstream.send("POST", path, body, timeouts=request.timeouts, expect="ndjson")
        reader = LineReader(ollama_failure, stops=bool(request.stop))
        pieces = LinePieces(self._endpoint.limits, self.name)
        async with aclosing(read_deltas(response, pieces, reader, self.name)) as deltas:
            async for delta in deltas:
                yield delta


def authorization(key: Key) -> Mapping[str, str]:
    """The header that carries a key: ollama.com's, or that of a proxy before a server of one's own."""
    return {"authorization": f"Bearer {key.value}"}


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _vectors(body: bytes) -> _Vectors:
    try:
        reply = _VECTORS.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamMalformed("the reply does not hold embeddings") from None
    if reply.error is not None:
        raise ollama_failure(reply.error)
    if reply.embeddings is None:
        raise UpstreamMalformed("the reply does not hold embeddings")
    return reply


def _check_vectors(body: bytes) -> tuple[Usage | None, str | None]:
    return Usage(_vectors(body).prompt_eval_count, 0), None
