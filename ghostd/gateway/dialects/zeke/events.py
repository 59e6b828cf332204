"""The events of Zeke's streams."""

from __future__ import annotations

import msgspec

from ghostd.gateway.dialect import sse_data
from ghostd.gateway.sse import MAX_EVENT_BYTES, unbroken

_ENCODER = msgspec.json.Encoder()
_PIECE_CHARS = MAX_EVENT_BYTES // 16
"""Of a text that is streamed: a character may take twelve bytes as JSON, and there is more in an event."""


class TextEvent(msgspec.Struct, kw_only=True):
    """A piece of a stream, or with `incremental` the whole text so far."""

    content: str
    final: bool
    id: str | msgspec.UnsetType = msgspec.UNSET
    """With `incremental`: names the text for feedback, as the header `x-ghostd-id` does elsewhere."""


def event(text: str, *, final: bool, call_id: str = "") -> bytes:
    """One event."""
    return unbroken(sse_data(_ENCODER.encode(TextEvent(content=text, final=final, id=call_id or msgspec.UNSET))))


def pieces(text: str) -> bytes:
    """A text of any length, in events that Zeke can read; none of them is the last."""
    starts = range(0, len(text), _PIECE_CHARS)
    return b"".join(event(text[start : start + _PIECE_CHARS], final=False) for start in starts)
