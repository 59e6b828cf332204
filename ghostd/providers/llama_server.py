"""llama.cpp's server: OpenAI's dialect below `/v1`, and `/infill` with the model's own fill-in-the-middle tokens.

Source: llama.cpp, tools/server/README.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import Any, ClassVar, TypeVar

import msgspec

from ghostd.errors import UpstreamError, UpstreamMalformed
from ghostd.providers.http.failures import headed
from ghostd.providers.native_stream import TextCheck, TextEvent
from ghostd.providers.openai.chat_request import add_grammar, add_samplers, raw_object
from ghostd.providers.openai.errors import told_error
from ghostd.providers.openai.provider import OpenAIProvider, limited
from ghostd.providers.openai.shapes import Shape
from ghostd.types import ChatRequest, CompletionRequest, Delta, FillRequest, Operation, RelayRequest, Timeouts, Usage

T = TypeVar("T")

_PATHS: Mapping[Operation, str] = {"llamacpp.infill": "/infill", "llamacpp.completion": "/completion"}


class _Infill(msgspec.Struct, gc=False):
    content: str | None = None
    stop: bool = False
    stop_type: str | None = None
    stopped_limit: bool = False
    """Before `stop_type` came."""
    tokens_evaluated: int = 0
    tokens_predicted: int = 0
    timings: _Timings | None = None


class _Timings(msgspec.Struct, gc=False):
    cache_n: int = 0
    """Tokens of the prompt that were in the cache."""


class _Whole(msgspec.Struct, gc=False):
    content: str | None = None
    stop_type: str | None = None
    tokens_evaluated: int | None = None
    tokens_predicted: int | None = None
    timings: _Timings | None = None
    error: Any = None


class _Template(msgspec.Struct, gc=False):
    prompt: str


class _Tokens(msgspec.Struct, gc=False):
    tokens: list[int]


_TEMPLATE = msgspec.json.Decoder(_Template)
_TOKENS = msgspec.json.Decoder(_Tokens)
_TEMPLATED = ("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "chat_template_kwargs")
"""What of a chat its template sees."""
_encode = msgspec.json.Encoder().encode
_INFILL = msgspec.json.Decoder(_Infill)
_WHOLE = msgspec.json.Decoder(_Whole | list[_Whole])


class LlamaServerProvider(OpenAIProvider):
    """Made by the preset "llama-server"."""

    paths: ClassVar[Mapping[Operation, str]] = {**OpenAIProvider.paths, **_PATHS}

    async def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Stream the text of the hole; the server adds the model's tokens itself."""
        body: dict[str, Any] = {
            "model": request.model,
            "input_prefix": request.prefix,
            "input_suffix": request.suffix,
            "prompt": "",
            "stream": True,
            "cache_prompt": True,
            "input_extra": [
                {"filename": document.path.name, "text": document.text}
                for document in reversed(request.open_documents)  # what stands last counts most
            ],
        }
        if request.max_tokens is not None:
            body["n_predict"] = request.max_tokens
        if request.stop:
            body["stop"] = list(request.stop)
        add_samplers(body, request.sampling, self.quirks, self.unsupported)
        if request.sampling.temperature is None:
            body["temperature"] = 0  # as for every other fill
        if request.sampling.logprobs is not None:
            self.unsupported.refuse("logprobs", "its fills are asked for without.")
        if request.sampling.grammar is not None:
            add_grammar(body, request.sampling.grammar, self.quirks, self.unsupported)
        if request.sampling.json_schema is not None:
            body["json_schema"] = raw_object(request.sampling.json_schema, "json_schema")
        deltas = self.stream_text("/infill", body, request.timeouts, InfillCheck(self.name))
        async with aclosing(limited(deltas, request.max_lines)) as cut:
            async for delta in cut:
                yield delta

    async def count_tokens(self, request: ChatRequest | CompletionRequest) -> int:
        """What the server's own template and tokenizer make of the prompt."""
        content: object
        if isinstance(request, ChatRequest):
            body = self.chat_body(request)
            asked = {name: body[name] for name in _TEMPLATED if name in body}
            content = (await self._told("/apply-template", asked, _TEMPLATE, request.timeouts)).prompt
        else:
            content = [str(piece) if isinstance(piece, str) else piece for piece in request.prompt]
        whole = {"model": request.model, "content": content, "add_special": True}
        return len((await self._told("/tokenize", whole, _TOKENS, request.timeouts)).tokens)

    async def _told(self, path: str, body: dict[str, Any], decoder: msgspec.json.Decoder[T], timeouts: Timeouts) -> T:
        response = await self.send("POST", path, _encode(body), timeouts, "json")
        try:
            return decoder.decode(await response.read())
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamMalformed(f"its reply to {path} is not what was asked for", self.name) from None
        except UpstreamError as error:
            raise headed(error, self.name) from None
        finally:
            response.close()

    def native_check(self, request: RelayRequest) -> InfillCheck:
        """What reads relayed replies of the server's own calls."""
        return InfillCheck(self.name)

    def shape(self, request: RelayRequest) -> Shape:
        """Of the server's own calls too: an object, or one for each prompt; of it perhaps only some members."""
        if request.operation not in _PATHS:
            return super().shape(request)
        chosen = request.fields.get("response_fields", b"null") not in (b"null", b"[]")
        return partial(_counted, self.name, request.operation, chosen=chosen)


def _counted(upstream: str, operation: Operation, body: bytes, *, chosen: bool) -> tuple[Usage | None, str | None]:
    """The tokens of a whole reply, as far as they are told, and why it ended; raises UpstreamError."""
    try:
        body.decode()
        found = _WHOLE.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise UpstreamMalformed("its reply is not whole JSON of the promised form", upstream) from None
    replies = found if isinstance(found, list) else [found]
    for reply in replies:
        if reply.error is not None:
            raise told_error(body, upstream, operation)
        if reply.content is None and not chosen:
            raise UpstreamMalformed("its reply lacks what was asked for", upstream)
    if not replies or any(reply.tokens_evaluated is None or reply.tokens_predicted is None for reply in replies):
        return None, None
    evaluated = sum(reply.tokens_evaluated or 0 for reply in replies)
    cached = sum(reply.timings.cache_n for reply in replies if reply.timings is not None)
    usage = Usage(evaluated, sum(reply.tokens_predicted or 0 for reply in replies), min(cached, evaluated))
    return usage, replies[0].stop_type


class InfillCheck(TextCheck):
    """Looks at one reply of `/infill`."""

    def read(self, data: bytes) -> TextEvent | None:
        """One event: a piece of text, the last with the reason and the counts."""
        event = _INFILL.decode(data)
        if event.content is None:
            return None
        if not event.stop:
            return TextEvent(event.content)
        cached = min(event.timings.cache_n if event.timings else 0, event.tokens_evaluated)
        usage = Usage(event.tokens_evaluated, event.tokens_predicted, cached)
        return TextEvent(event.content, event.stop_type or ("limit" if event.stopped_limit else "eos"), usage)
