"""The shapes of what is replied in Anthropic's dialect, for the OpenAPI document and for tests."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class OutputDetails(msgspec.Struct):
    """Of the tokens of a reply."""

    thinking_tokens: int


class UsageReply(msgspec.Struct):
    """Tokens: those that a cache was read or written for are not among the input tokens."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: OutputDetails | None = None


class StopDetails(msgspec.Struct):
    """Why a model refuses."""

    type: Literal["refusal"]
    category: str | None = None
    explanation: str | None = None


class ContentBlock(msgspec.Struct):
    """A block of a message."""

    type: Literal["text", "thinking", "redacted_thinking", "tool_use"]
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] = {}


class MessageReply(msgspec.Struct):
    """What the model says."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[ContentBlock]
    stop_reason: str | None
    """"end_turn", "max_tokens", "stop_sequence", "tool_use", "refusal"; a service may know others."""
    stop_sequence: str | None
    usage: UsageReply
    stop_details: StopDetails | None = None


class StreamEvent(msgspec.Struct):
    """One of the events message_start, ping, content_block_start, content_block_delta, content_block_stop,
    message_delta, message_stop and error; each has the members of its type."""

    type: str
    index: int | None = None


class CountReply(msgspec.Struct):
    """The tokens of a prompt."""

    input_tokens: int


class ModelReply(msgspec.Struct):
    """A model."""

    type: Literal["model"]
    id: str
    display_name: str
    created_at: str
    """RFC 3339; the epoch where nobody knows."""
    lifecycle: Literal["active"]
    max_input_tokens: int | None
    max_tokens: int | None


class ModelsReply(msgspec.Struct):
    """A page of the list."""

    data: list[ModelReply]
    has_more: bool
    first_id: str | None
    last_id: str | None
