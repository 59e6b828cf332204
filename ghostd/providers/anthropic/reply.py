"""A Messages stream as deltas."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ghostd.conversation import ToolCallDelta
from ghostd.errors import UpstreamError, UpstreamMalformed
from ghostd.providers.anthropic.events import (
    FINISH_REASONS,
    BlockFields,
    DeltaFields,
    ErrorFields,
    Event,
    UsageCount,
    decode_event,
    piece_of,
)
from ghostd.types import Delta, Usage

_DELTA_OF_BLOCK = {
    "text_delta": "text",
    "citations_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "thinking",
    "input_json_delta": "tool_use",
}
_READ_BLOCKS = frozenset(_DELTA_OF_BLOCK.values())
_PIECE_PREFIX = b'{"type":"content_block_delta",'
"""How the API writes what makes up nearly all of a stream; an event written otherwise is read in full."""


@dataclass(slots=True)
class _OpenBlock:
    type: str
    tool: int = -1
    """Of a tool call: its number among the message's calls."""
    input: bytes = b"{}"
    has_input: bool = False
    signature: str = ""


class MessageReader:
    """Reads one stream, event by event, and holds it to the order that the API promises."""

    def __init__(self, failure: Callable[[ErrorFields], UpstreamError]) -> None:
        """`failure` makes the exception for an error event."""
        self._failure = failure
        self._started = False
        self._block: _OpenBlock | None = None
        self._next_index = 0
        self._tools = 0
        self._usage = UsageCount()
        self.begun = False
        """Whether more has come than the beginning of a message."""
        self.ended = False
        """Whether the message has come to its end."""
        self.stop_reason: str | None = None
        self._stop_sequence: str | None = None

    def read(self, data: bytes) -> Iterator[Delta]:
        """The deltas of one event. Raises UpstreamMalformed, or what an error event says."""
        event = decode_event(data)
        kind = event.type
        if kind == "error":
            raise self._failure(event.error or ErrorFields())
        if kind == "ping":
            return
        if self.ended:
            raise UpstreamMalformed("the stream goes on after 'message_stop'")
        if kind == "message_start":
            self._start(event)
            return
        if not self._started:
            raise UpstreamMalformed(f"the stream begins with {kind[:50]!r} instead of 'message_start'")
        if kind == "content_block_delta":
            yield from self._delta(event)
        elif kind == "content_block_start":
            yield from self._open(event)
        elif kind == "content_block_stop":
            yield from self._close(event)
        elif kind == "message_delta":
            yield from self._message_delta(event)
        elif kind == "message_stop":
            self._stop()
        # The API may add types of events, which clients are to skip.

    def watch(self, data: bytes) -> None:
        """As strict as `read`, for a stream that is passed on: the pieces of a block are not read out."""
        block = self._block
        if block is None or not data.startswith(_PIECE_PREFIX):
            for _ in self.read(data):
                pass
            return
        kind, index = piece_of(data)
        if index != self._next_index - 1:
            raise UpstreamMalformed("a piece of the stream belongs to no open content block")
        self._check_kind(block, kind)
        self.begun = True

    def usage(self) -> Usage:
        """The tokens so far."""
        return self._usage.usage()

    def end(self) -> Delta:
        """The last delta, once the body is complete. Raises UpstreamMalformed if the message is not."""
        if not self.ended:
            raise UpstreamMalformed("the stream ended without 'message_stop'")
        finish = FINISH_REASONS.get(self.stop_reason or "", "stop")
        return Delta(finish_reason=finish, usage=self.usage(), stop_sequence=self._stop_sequence)

    def _start(self, event: Event) -> None:
        if self._started or event.message is None or event.message.role != "assistant":
            raise UpstreamMalformed("the stream does not begin with one message of the assistant")
        self._started = True
        self._usage.add(event.message.usage)

    def _open(self, event: Event) -> Iterator[Delta]:
        block = event.content_block
        if self._block is not None or block is None or event.index != self._next_index:
            raise UpstreamMalformed("a content block of the stream is out of order")
        self._next_index += 1
        # A block of text is followed by its first piece at once; thoughts that are not shown may take long.
        self.begun = self.begun or block.type != "text" or bool(block.text)
        self._block = opened = _OpenBlock(block.type, signature=block.signature)
        if block.type == "tool_use":
            if not block.id or not block.name:
                raise UpstreamMalformed("a tool call has no id or name")
            opened.tool, opened.input = self._tools, bytes(block.input)
            self._tools += 1
            yield Delta(tool_calls=(ToolCallDelta(opened.tool, "", block.id, block.name),))
            return
        opening = _opening(block)
        if opening is not None:
            yield opening

    def _delta(self, event: Event) -> Iterator[Delta]:
        block, delta = self._block, event.delta
        if block is None or delta is None or event.index != self._next_index - 1:
            raise UpstreamMalformed("a piece of the stream belongs to no open content block")
        self.begun = True
        if self._check_kind(block, delta.type):
            yield from _piece(block, delta)

    def _check_kind(self, block: _OpenBlock, kind: str) -> bool:
        """Whether it is a piece for the caller; raises UpstreamMalformed if it is not one of its block."""
        expected = _DELTA_OF_BLOCK.get(kind)
        # Blocks of the service's own tools stream their input likewise; they are not the caller's to answer.
        if expected is None or block.type not in _READ_BLOCKS:
            return False
        if expected != block.type:
            raise UpstreamMalformed(f"a piece of the stream is no part of its content block ({block.type[:50]!r})")
        return True

    def _close(self, event: Event) -> Iterator[Delta]:
        block = self._block
        if block is None or event.index != self._next_index - 1:
            raise UpstreamMalformed("a content block of the stream ends that is not open")
        self._block = None
        if block.type == "tool_use" and not block.has_input:
            yield Delta(tool_calls=(ToolCallDelta(block.tool, _text(block.input)),))
        elif block.type == "thinking" and block.signature:
            yield Delta(reasoning_signature=block.signature)

    def _message_delta(self, event: Event) -> Iterator[Delta]:
        if event.delta is None or self._block is not None:
            raise UpstreamMalformed("the message ends inside a content block")
        self.begun = True
        if event.usage is not None:
            self._usage.add(event.usage)
        if event.delta.stop_reason is not None:
            self.stop_reason = event.delta.stop_reason
            self._stop_sequence = event.delta.stop_sequence
        details = event.delta.stop_details
        if details is not None and details.explanation:
            yield Delta(refusal=details.explanation)

    def _stop(self) -> None:
        if self.stop_reason is None or self._block is not None:
            raise UpstreamMalformed("the message stops without a reason")
        self.ended = True


def _text(json: bytes) -> str:
    try:
        return json.decode()
    except UnicodeDecodeError:
        raise UpstreamMalformed("a tool call is not UTF-8") from None


def _opening(block: BlockFields) -> Delta | None:
    """What a block says as it opens."""
    if block.type == "text" and block.text:
        return Delta(block.text)
    if block.type == "thinking" and block.thinking:
        return Delta(reasoning=block.thinking)
    if block.type == "redacted_thinking":
        return Delta(redacted_reasoning=block.data)
    return None


def _piece(block: _OpenBlock, delta: DeltaFields) -> Iterator[Delta]:
    if delta.text:
        yield Delta(delta.text)
    elif delta.thinking:
        yield Delta(reasoning=delta.thinking)
    elif delta.signature:
        block.signature += delta.signature
    elif delta.partial_json:
        block.has_input = True
        yield Delta(tool_calls=(ToolCallDelta(block.tool, delta.partial_json),))
