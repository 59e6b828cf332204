"""The replies of OpenAI's dialect, as far as they are looked at. Members that are not listed are skipped.

Source: the OpenAI API reference; the members for thoughts are those of vLLM, DeepSeek, OpenRouter and llama-server.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ghostd.types import FinishReason, Usage


class TokenDetails(msgspec.Struct, gc=False):
    """`prompt_tokens_details`, `completion_tokens_details` and their likes."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_tokens: int | None = None


class WireUsage(msgspec.Struct, gc=False):
    """`usage`: of chat and completions, and under its other names of the Responses API, images and audio."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: TokenDetails | None = None
    completion_tokens_details: TokenDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: TokenDetails | None = None
    output_tokens_details: TokenDetails | None = None

    def counted(self) -> Usage | None:
        """As ghostd counts; None where it says nothing, or nonsense."""
        prompt = self.prompt_tokens if self.prompt_tokens is not None else self.input_tokens
        reply = self.completion_tokens if self.completion_tokens is not None else self.output_tokens
        if prompt is None and reply is None:
            return None
        prompt, reply = prompt or 0, reply or 0
        if prompt < 0 or reply < 0:
            return None
        read, made = self.prompt_tokens_details or self.input_tokens_details, None
        made = self.completion_tokens_details or self.output_tokens_details
        cached = (read.cached_tokens if read else None) or self.prompt_cache_hit_tokens or 0
        written = (read.cache_write_tokens if read else None) or 0
        reasoning = (made.reasoning_tokens if made else None) or 0
        return Usage(prompt, reply, _within(cached, prompt), _within(written, prompt), max(reasoning, 0))


def _within(count: int, most: int) -> int:
    return min(max(count, 0), most)


class WireFunction(msgspec.Struct, gc=False):
    """`tool_calls[].function`."""

    name: str | None = None
    arguments: str | dict[str, Any] | None = None
    """JSON text, or from some servers the object itself."""

    def text(self) -> str:
        """The arguments as JSON text."""
        given = self.arguments
        return given or "" if given is None or isinstance(given, str) else msgspec.json.encode(given).decode()


class WireToolCall(msgspec.Struct, gc=False):
    """`delta.tool_calls[]`."""

    index: int | None = None
    id: str | None = None
    function: WireFunction | None = None


class WirePart(msgspec.Struct, gc=False):
    """A piece of a content that is a list, as Mistral's thinking models send it."""

    type: str = ""
    text: str | None = None
    thinking: str | list[WirePart] | None = None

    def thoughts(self) -> str:
        """The thoughts in it."""
        if isinstance(self.thinking, list):
            return "".join(part.text or "" for part in self.thinking)
        return self.thinking or ""


class WireDelta(msgspec.Struct, gc=False):
    """`choices[].delta`, and the `message` of FIM and chat replies."""

    role: str | None = None
    content: str | list[WirePart] | None = None
    tool_calls: list[WireToolCall] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    function_call: WireFunction | None = None

    def says(self) -> bool:
        """Whether there is more in it than the role."""
        return bool(
            self.content
            or self.tool_calls
            or self.reasoning_content
            or self.reasoning
            or self.refusal
            or self.function_call is not None
        )


class WireChoice(msgspec.Struct, gc=False):
    """`choices[]` of a chunk; completions have `text` instead of `delta`."""

    index: int = 0
    delta: WireDelta | None = None
    text: str | None = None
    finish_reason: str | None = None
    stop_reason: Any = None
    """vLLM's: the stop text or token that ended the reply."""
    logprobs: Any = None


class WireChunk(msgspec.Struct, gc=False):
    """One event of a stream."""

    choices: list[WireChoice] | None = None
    usage: WireUsage | None = None
    error: Any = None


CHUNK = msgspec.json.Decoder(WireChunk)

_FINISHES: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # beyond OpenAI's own
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "model_length": "length",
    "max_tokens": "length",
    "insufficient_system_resource": "length",
}


def finish_of(reason: str) -> FinishReason:
    """OpenAI's four; what no table knows is an ordinary end."""
    return _FINISHES.get(reason, "stop")
