"""OpenAI's dialect, and the services that speak it: chat, completions, embeddings, and whatever can be relayed.

Source: https://platform.openai.com/docs/api-reference; each service's own reference for its quirks.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, ClassVar, Protocol

from ghostd.errors import (
    InvalidRequest,
    UnsupportedParameter,
    UpstreamError,
    UpstreamRejected,
)
from ghostd.providers.http.client import HttpResponse
from ghostd.providers.http.failures import headed
from ghostd.providers.native_stream import TextCheck
from ghostd.providers.openai.chat_request import chat_body
from ghostd.providers.openai.completions import LineLimit, TextReply, completion_body, fill_body
from ghostd.providers.openai.embeddings import embed_body, embeddings
from ghostd.providers.openai.errors import told_error
from ghostd.providers.openai.events import TypedCheck
from ghostd.providers.openai.models import reasons
from ghostd.providers.openai.relay import (
    EventCheck,
    multipart_body,
    relay_body,
    relay_bytes,
    relay_events,
)
from ghostd.providers.openai.reply import ChatReply
from ghostd.providers.openai.service import OpenAIService
from ghostd.providers.openai.shapes import Shape, shape_of
from ghostd.providers.openai.stream import StreamCheck
from ghostd.providers.openai.types import WireChunk
from ghostd.providers.streaming import kept_headers, pass_whole_on
from ghostd.providers.upstream import Format
from ghostd.types import (
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    FillRequest,
    Operation,
    Relayed,
    RelayRequest,
    Timeouts,
)

_PATHS: Mapping[Operation, str] = {
    "openai.completions": "/completions",
    "openai.embeddings": "/embeddings",
    "openai.responses": "/responses",
    "openai.moderations": "/moderations",
    "openai.images.generations": "/images/generations",
    "openai.images.edits": "/images/edits",
    "openai.images.variations": "/images/variations",
    "openai.audio.speech": "/audio/speech",
    "openai.audio.transcriptions": "/audio/transcriptions",
    "openai.audio.translations": "/audio/translations",
    "mistral.fim": "/fim/completions",
}
"""Below the base URL; chat's is among the quirks."""
_CHUNKED = frozenset(("openai.chat", "openai.completions", "mistral.fim"))
"""Operations whose streams are chunks that end with `[DONE]`; the others' are typed events."""
_MAY_NOT_STREAM = frozenset(("openai.audio.speech", "openai.audio.transcriptions"))
"""Sound is a stream without events; whisper-1 and its like answer a request for a stream as a whole."""
_KEPT_HEADERS = frozenset(("x-request-id", "openai-processing-ms", "openai-version", "retry-after", "x-should-retry"))
_NOT_PASSED_ON = frozenset(("authorization", "api-key", "host", "content-length", "content-type", "cookie"))


class Reply(Protocol):
    """What the chunks of a stream make."""

    def delta(self, chunk: WireChunk) -> Delta | None:
        """What one chunk says; None where it says nothing. Raises UpstreamMalformed."""
        ...

    def last(self, check: StreamCheck) -> Delta:
        """The delta that ends the reply. Raises UpstreamMalformed."""
        ...


class OpenAIProvider(OpenAIService):
    """One base URL of a service that speaks OpenAI's dialect. Dialects close to it are subclasses."""

    paths: ClassVar[Mapping[Operation, str]] = _PATHS
    """Operations that can be relayed: those of OpenAI's API below the base URL, others below the server's root."""

    # --- translated ---------------------------------------------------------------

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message."""
        body = self.chat_body(request)
        check = self._check("openai.chat")
        deltas = self._stream(self.quirks.chat_path, body, request.timeouts, check, ChatReply(self.name))
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    def chat_body(self, request: ChatRequest) -> dict[str, Any]:
        """The body of a streamed chat; dialects close to this one change it."""
        return chat_body(request, self.quirks, self.unsupported, reasons=reasons(request.model))

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the continuation of a prompt."""
        body = completion_body(request, self.quirks, self.unsupported)
        check = self._check("openai.completions")
        deltas = self._stream(self._path("openai.completions"), body, request.timeouts, check, TextReply(self.name))
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    async def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Stream the text of the hole, by a completion with `suffix`."""
        path = self.quirks.fill_path
        if path is None:
            raise UnsupportedParameter(f"{self.name} fills no holes.", "model")
        body = fill_body(request, self.quirks, self.unsupported)
        check = self._check("openai.completions")
        deltas = self._stream(path, body, request.timeouts, check, TextReply(self.name))
        async with aclosing(limited(deltas, request.max_lines)) as cut:
            async for delta in cut:
                yield delta

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Embed each input."""
        if not request.inputs:
            raise InvalidRequest("There is nothing to embed.", "input")
        body = self.embed_body(request)
        response = await self.send("POST", self._path("openai.embeddings"), body, request.timeouts, "json")
        try:
            data = await response.read()
            shape_of("openai.embeddings", self.name)(data)
            return await embeddings(data, len(request.inputs), self.name)
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()

    def embed_body(self, request: EmbedRequest) -> bytes:
        """The body of a request for embeddings."""
        return embed_body(request)

    # --- relayed ------------------------------------------------------------------

    async def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
        """Pass a request on as it came; the operations are those of the quirks."""
        operation = request.operation
        if operation not in self.quirks.operations:
            raise InvalidRequest(f"{self.name} cannot take a request of the kind '{operation}' as it is.", "model")
        chunked = operation in _CHUNKED
        ask_usage = request.stream and operation != "mistral.fim" and chunked and self.quirks.include_usage
        if request.fields:
            renames = self._renames(request) if operation == "openai.chat" else {}
            body = relay_body(request, with_usage=ask_usage, renames=renames)
        else:
            body = multipart_body(request.body, request.content_type, request.model)
        try:
            response = await self._upstream.send(
                "POST",
                self._path(operation),
                body,
                timeouts=request.timeouts,
                expect=_expected(request),
                headers={name: value for name, value in request.headers.items() if name not in _NOT_PASSED_ON},
                content_type=request.content_type,
                base_url=self.root,
            )
        except UpstreamRejected as error:
            error.operation = operation
            raise
        kept = kept_headers(response.headers, _KEPT_HEADERS, "x-ratelimit-")
        pieces = self._pieces(response, request, kept, ask_usage=ask_usage)
        if pieces is None:
            yield await pass_whole_on(response, self.shape(request), self.name, kept)
            return
        try:
            async for piece in pieces:
                yield piece
        finally:
            await pieces.aclose()

    def _renames(self, request: RelayRequest) -> Mapping[str, str]:
        """As the quirks say; ghostd's own default for the reply's length goes under the name that the service knows."""
        name = "max_completion_tokens"
        if self.quirks.max_tokens != name and name in request.fields and name.encode() not in request.body:
            return {**self.quirks.renames, name: self.quirks.max_tokens}
        return self.quirks.renames

    def _pieces(
        self, response: HttpResponse, request: RelayRequest, kept: Mapping[str, str], *, ask_usage: bool
    ) -> AsyncGenerator[Relayed, None] | None:
        """A reply that is passed on as it comes; None where it is awaited whole."""
        operation = request.operation
        media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        events = media == "text/event-stream" or (request.stream and not media)
        if request.stream and not events and operation not in _MAY_NOT_STREAM:
            return self._no_stream(response, operation)
        if events:
            chunked = operation in _CHUNKED
            check: EventCheck
            if operation not in _PATHS and not chunked:
                check = self.native_check(request)
            else:
                check = self._check(operation) if chunked else TypedCheck(self.name, operation)
            return relay_events(
                response,
                check,
                self.limits,
                self.name,
                kept,
                drop_usage=ask_usage and not request.with_usage,
                done_mark=chunked,
            )
        if operation.startswith("openai.audio.") and media != "application/json":
            return relay_bytes(response, self.name, kept)
        if operation == "openai.audio.speech":
            return self._no_stream(response, operation)
        return None

    async def _no_stream(self, response: HttpResponse, operation: Operation) -> AsyncGenerator[Relayed, None]:
        """A stream (or sound) was asked for and JSON came, which can only be an error."""
        await self.raise_told(response, operation)
        yield Relayed(b"")  # pragma: no cover - makes this a generator

    def native_check(self, request: RelayRequest) -> TextCheck:
        """What reads the streams of operations that are the service's own."""
        raise InvalidRequest(f"{self.name} cannot stream '{request.operation}'.", "stream")

    def shape(self, request: RelayRequest) -> Shape:
        """What checks a reply that is not streamed."""
        return shape_of(request.operation, self.name)

    # --- shared -------------------------------------------------------------------

    async def _stream(
        self, path: str, body: dict[str, Any], timeouts: Timeouts, check: StreamCheck, reply: Reply
    ) -> AsyncGenerator[Delta, None]:
        async with aclosing(self.events(path, body, timeouts, check)) as chunks:
            async for chunk in chunks:
                if (delta := reply.delta(chunk)) is not None:
                    yield delta
        yield reply.last(check)

    def _path(self, operation: Operation) -> str:
        if operation == "openai.chat":
            return self.quirks.chat_path
        return (self.version if operation in _PATHS else "") + self.paths[operation]

    def _check(self, operation: Operation) -> StreamCheck:
        def error(data: bytes) -> UpstreamError:
            return told_error(data, self.name, operation)

        return StreamCheck(
            self.name, error, member="delta" if operation == "openai.chat" else "text", loose=self.quirks.loose
        )


async def limited(deltas: AsyncGenerator[Delta, None], max_lines: int | None) -> AsyncGenerator[Delta, None]:
    """The stream up to the end of its last wanted line; what the upstream counted is not known then."""
    limit = None if max_lines is None else LineLimit(max_lines)
    async with aclosing(deltas):
        async for delta in deltas:
            if limit is None or not delta.text:
                yield delta
                continue
            text, over = limit.cut(delta.text)
            if text:
                yield Delta(text, logprobs=() if over else delta.logprobs)
            if over:
                yield Delta(finish_reason="stop")
                return


def _expected(request: RelayRequest) -> Format:
    if request.operation.startswith("openai.audio."):
        return "any"
    return "sse" if request.stream else "json"
