"""llama.cpp's server: OpenAI's dialect below `/v1`, and `/infill` with the model's own fill-in-the-middle tokens.

Source: llama.cpp, tools/server/README.md.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, ClassVar

import msgspec

from ghostd.providers.native_stream import TextCheck, TextEvent
from ghostd.providers.openai import OpenAIProvider, limited
from ghostd.providers.openai_chat_request import add_grammar, add_samplers, raw_object
from ghostd.types import Delta, FillRequest, Operation, RelayRequest, Usage


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


_INFILL = msgspec.json.Decoder(_Infill)


class LlamaServerProvider(OpenAIProvider):
    """Made by the preset "llama-server"."""

    paths: ClassVar[Mapping[Operation, str]] = {**OpenAIProvider.paths, "llamacpp.infill": "/infill"}

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
                {"filename": document.path.name, "text": document.text} for document in request.open_documents
            ],
        }
        if request.max_tokens is not None:
            body["n_predict"] = request.max_tokens
        if request.stop:
            body["stop"] = list(request.stop)
        add_samplers(body, request.sampling, self.quirks, self.unsupported)
        if request.sampling.temperature is None:
            body["temperature"] = 0  # as for every other fill
        if request.sampling.grammar is not None:
            add_grammar(body, request.sampling.grammar, self.quirks, self.unsupported)
        if request.sampling.json_schema is not None:
            body["json_schema"] = raw_object(request.sampling.json_schema, "json_schema")
        deltas = self.stream_text("/infill", body, request.timeouts, InfillCheck(self.name))
        async with aclosing(limited(deltas, request.max_lines)) as cut:
            async for delta in cut:
                yield delta

    def native_check(self, request: RelayRequest) -> InfillCheck:
        """What reads relayed `/infill` replies."""
        return InfillCheck(self.name)


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
