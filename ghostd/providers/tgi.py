"""Hugging Face's text-generation-inference: OpenAI's chat below `/v1`, and its own call for plain text.

Source: text-generation-inference, docs/openapi.json.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import msgspec

from ghostd.providers.native_stream import TextCheck, TextEvent
from ghostd.providers.openai.chat_request import raw_object
from ghostd.providers.openai.completions import wire_prompt
from ghostd.providers.openai.provider import OpenAIProvider
from ghostd.types import CompletionRequest, Delta, TokenLogprob, Usage


class _Token(msgspec.Struct, gc=False):
    id: int = 0
    text: str = ""
    logprob: float | None = None
    special: bool = False


class _Details(msgspec.Struct, gc=False):
    finish_reason: str
    generated_tokens: int = 0
    input_length: int = 0


class _Event(msgspec.Struct, gc=False):
    token: _Token | None = None
    top_tokens: list[_Token] | None = None
    generated_text: str | None = None
    details: _Details | None = None


_EVENT = msgspec.json.Decoder(_Event)
_PARAMETERS = ("top_k", "frequency_penalty", "seed")


class TgiProvider(OpenAIProvider):
    """Made by the preset "tgi"."""

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the continuation of a prompt."""
        check = GenerateCheck(self.name, logprobs=request.sampling.logprobs is not None)
        deltas = self.stream_text("/generate_stream", self._generate_body(request), request.timeouts, check)
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta

    def _generate_body(self, request: CompletionRequest) -> dict[str, Any]:
        prompt = wire_prompt(request.prompt, "prompt")
        if not isinstance(prompt, str):
            raise self.unsupported.refuse_part("prompt", "it takes text, not token ids.")
        sampling = request.sampling
        parameters: dict[str, Any] = {"details": True, "return_full_text": False}
        if request.max_tokens is not None:
            parameters["max_new_tokens"] = request.max_tokens
        if request.stop:
            parameters["stop"] = list(request.stop)
        if sampling.temperature:  # it refuses 0, and is greedy unless told to sample
            parameters |= {"temperature": sampling.temperature, "do_sample": True}
        elif sampling.temperature is None and sampling.seed is not None:
            parameters["do_sample"] = True
        if sampling.top_p is not None and 0 < sampling.top_p < 1:
            parameters["top_p"] = sampling.top_p
        if sampling.repeat_penalty is not None:
            parameters["repetition_penalty"] = sampling.repeat_penalty
        for name in _PARAMETERS:
            if (value := getattr(sampling, name)) is not None:
                parameters[name] = value
        if sampling.logprobs:
            parameters["top_n_tokens"] = sampling.logprobs
        if sampling.json_schema is not None:
            parameters["grammar"] = {"type": "json", "value": raw_object(sampling.json_schema, "json_schema")}
        self.unsupported.sampling(sampling, ("min_p", "presence_penalty", "logit_bias", "grammar"))
        if request.suffix is not None:
            self.unsupported.refuse("suffix", "the service fills no holes.")
        return {"inputs": prompt, "parameters": parameters}


class GenerateCheck(TextCheck):
    """Looks at one reply of `/generate_stream`."""

    def __init__(self, upstream: str, *, logprobs: bool) -> None:
        super().__init__(upstream)
        self._logprobs = logprobs

    def read(self, data: bytes) -> TextEvent | None:
        """One event: a token, the last with the reason and the counts."""
        event = _EVENT.decode(data)
        token = event.token
        if token is None:
            return None
        text = "" if token.special else token.text
        logprobs: tuple[TokenLogprob, ...] = ()
        if self._logprobs and not token.special:
            top = tuple((other.text.encode(), other.logprob or 0.0) for other in event.top_tokens or ())
            logprobs = (TokenLogprob(token.id, token.text.encode(), token.logprob or 0.0, top),)
        if (details := event.details) is None:
            if event.generated_text is None:
                return TextEvent(text, logprobs=logprobs)
            return TextEvent(text, "eos_token", None, logprobs)
        usage = Usage(details.input_length, details.generated_tokens)
        return TextEvent(text, details.finish_reason, usage, logprobs)
