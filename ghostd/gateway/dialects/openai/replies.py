"""The shapes of what is replied in OpenAI's dialect, for the OpenAPI document and for tests.

Replies are not made by way of these: what is known beforehand is encoded once, and optional members that have nothing
to say are left out (docs/http-api.md).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class ErrorObject(msgspec.Struct):
    """What is wrong."""

    message: str
    type: str
    param: str | None
    """Path of the field, as `messages[0].content`."""
    code: str | int | None


class ErrorReply(msgspec.Struct):
    """An error."""

    error: ErrorObject


class PromptDetails(msgspec.Struct):
    """Of the prompt's tokens."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct):
    """Of the reply's tokens."""

    reasoning_tokens: int | None = None


class UsageReply(msgspec.Struct):
    """Tokens of the whole request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class CalledFunction(msgspec.Struct):
    """Name and arguments, these as JSON text."""

    name: str
    arguments: str


class CalledCustom(msgspec.Struct):
    """Name and input of a custom tool."""

    name: str
    input: str


class ToolCallReply(msgspec.Struct):
    """A tool that the model asks for."""

    id: str
    type: Literal["function", "custom"]
    function: CalledFunction | None = None
    custom: CalledCustom | None = None


class MessageReply(msgspec.Struct):
    """The assistant's message."""

    role: Literal["assistant"]
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallReply] | None = None
    reasoning_content: str | None = None
    """The model's thoughts, where it shows them (an extension that local servers agree on)."""


class AlternativeToken(msgspec.Struct):
    """One of the likeliest tokens."""

    token: str
    logprob: float
    bytes: list[int] | None = None


class TokenReply(AlternativeToken):
    """A token of the reply."""

    top_logprobs: list[AlternativeToken] = []


class ChatLogprobs(msgspec.Struct):
    """Log probabilities of a chat's tokens."""

    content: list[TokenReply] | None = None
    refusal: list[TokenReply] | None = None


Finish = Literal["stop", "length", "tool_calls", "content_filter", "function_call"]


class ChatChoice(msgspec.Struct):
    """One of `n` replies."""

    index: int
    message: MessageReply
    finish_reason: Finish
    logprobs: ChatLogprobs | None = None


class ChatReply(msgspec.Struct):
    """A chat completion."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: UsageReply | None = None
    routing_metadata: dict[str, Any] | None = None
    """Where the request went and why, if that was asked for."""


class DeltaFunction(msgspec.Struct):
    """A piece of a call of a function; the name comes once."""

    arguments: str | None = None
    name: str | None = None


class DeltaCustom(msgspec.Struct):
    """A piece of a call of a custom tool; the name comes once."""

    input: str | None = None
    name: str | None = None


class ToolCallPiece(msgspec.Struct):
    """A piece of a call of a tool; id and type come once."""

    index: int
    id: str | None = None
    type: Literal["function", "custom"] | None = None
    function: DeltaFunction | None = None
    custom: DeltaCustom | None = None


class DeltaReply(msgspec.Struct):
    """A piece of the assistant's message; the role comes once."""

    role: Literal["assistant"] | None = None
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[ToolCallPiece] | None = None
    reasoning_content: str | None = None


class ChunkChoice(msgspec.Struct):
    """A piece of one of `n` replies."""

    index: int
    delta: DeltaReply
    finish_reason: Finish | None
    logprobs: ChatLogprobs | None = None


class ChatChunk(msgspec.Struct):
    """One event of a streamed chat completion; the last event is `[DONE]`."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: UsageReply | None = None


class CompletionLogprobs(msgspec.Struct):
    """Log probabilities of a completion's tokens."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None
    text_offset: list[int]


class CompletionChoice(msgspec.Struct):
    """One of the texts."""

    text: str
    index: int
    logprobs: CompletionLogprobs | None
    finish_reason: Literal["stop", "length", "content_filter"] | None
    """Null only in the pieces of a stream."""
    confidence: float | None = None
    """Estimated probability of being what will be written, where the model has one."""


class CompletionReply(msgspec.Struct):
    """A completion, or one event of a streamed one; the last event is `[DONE]`."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: UsageReply | None = None


class EmbeddingReply(msgspec.Struct):
    """One vector, as numbers or as base64 of little-endian 32-bit floats."""

    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class EmbeddingUsage(msgspec.Struct):
    """Tokens of all inputs."""

    prompt_tokens: int
    total_tokens: int


class EmbeddingsReply(msgspec.Struct):
    """Vectors, one for each input."""

    object: Literal["list"]
    data: list[EmbeddingReply]
    model: str
    usage: EmbeddingUsage


class ModelReply(msgspec.Struct):
    """A model."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    capabilities: list[str] = []
    state: str = "ready"
    context_tokens: int | None = None
    source: str | None = None
    detail: str | None = None


class ModelsReply(msgspec.Struct):
    """All models."""

    object: Literal["list"]
    data: list[ModelReply]
