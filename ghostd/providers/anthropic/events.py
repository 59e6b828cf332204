"""The events of a Messages stream, as ghostd reads them."""

from __future__ import annotations

import msgspec

from ghostd.errors import UpstreamMalformed
from ghostd.types import FinishReason, Usage


class TokenDetails(msgspec.Struct):
    """`usage.output_tokens_details`."""

    thinking_tokens: int | None = None


class UsageFields(msgspec.Struct):
    """`usage`: prompt tokens that were read from or written to a cache are not among the input tokens."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens_details: TokenDetails | None = None


class MessageFields(msgspec.Struct):
    """A message: whole, or as `message_start` begins it."""

    role: str
    content: list[msgspec.Raw]
    usage: UsageFields = msgspec.field(default_factory=UsageFields)
    stop_reason: str | None = None


class BlockFields(msgspec.Struct):
    """A content block as it begins."""

    type: str
    text: str = ""
    thinking: str = ""
    signature: str = ""
    data: str = ""
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class StopDetails(msgspec.Struct):
    """Why the model refused."""

    explanation: str | None = None


class DeltaFields(msgspec.Struct):
    """`delta` of a block or of the message."""

    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class ErrorFields(msgspec.Struct):
    """`error` of an error event."""

    type: str = "api_error"
    message: str = ""


class Event(msgspec.Struct):
    """Any event; what a type does not have is None."""

    type: str
    index: int | None = None
    message: MessageFields | None = None
    content_block: BlockFields | None = None
    delta: DeltaFields | None = None
    usage: UsageFields | None = None
    error: ErrorFields | None = None


_EVENT = msgspec.json.Decoder(Event)


def decode_event(data: bytes) -> Event:
    """An event's data. Raises UpstreamMalformed."""
    try:
        return _EVENT.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _not_ours() from None


class _PieceDelta(msgspec.Struct):
    type: str


class _Piece(msgspec.Struct):
    index: int
    delta: _PieceDelta


_PIECE = msgspec.json.Decoder(_Piece)


def piece_of(data: bytes) -> tuple[str, int]:
    """The kind of a block's piece, and the block's index; cheaper than `decode_event`. Raises UpstreamMalformed."""
    try:
        piece = _PIECE.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _not_ours() from None
    return piece.delta.type, piece.index


def _not_ours() -> UpstreamMalformed:
    return UpstreamMalformed("an event of the stream is not one of the Messages API")


class UsageCount:
    """Usage as it grows: later figures of a stream replace earlier ones."""

    def __init__(self) -> None:
        self._fields = UsageFields()

    def add(self, fields: UsageFields) -> None:
        """Take the figures that are given."""
        for name in UsageFields.__struct_fields__:
            value = getattr(fields, name)
            if value is not None:
                setattr(self._fields, name, value)

    def usage(self) -> Usage:
        """The tokens so far, the prompt's with those of the cache."""
        fields = self._fields
        read, written = fields.cache_read_input_tokens or 0, fields.cache_creation_input_tokens or 0
        details = fields.output_tokens_details
        return Usage(
            prompt_tokens=(fields.input_tokens or 0) + read + written,
            completion_tokens=fields.output_tokens or 0,
            cached_tokens=read,
            cache_write_tokens=written,
            reasoning_tokens=(details.thinking_tokens or 0) if details else 0,
        )


FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""A reason that is not listed, which a newer model may give, counts as "stop": the message has ended in order."""
