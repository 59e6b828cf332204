"""Streams of typed events: the Responses API, and those of images, speech and transcriptions.

Source: the OpenAI API reference, "Streaming events" of each; every event is an object with a `type`.
"""

from __future__ import annotations

from typing import Any

import msgspec

from ghostd.errors import UpstreamMalformed
from ghostd.providers.openai.errors import told_error
from ghostd.providers.openai.stream import DONE
from ghostd.providers.openai.types import WireUsage
from ghostd.types import Usage

_OPENING = frozenset(("response.created", "response.queued", "response.in_progress"))
"""Events that only say that the request has come."""
_LAST = frozenset(
    (
        "response.completed", "response.incomplete", "image_generation.completed", "image_edit.completed",
        "speech.audio.done", "transcript.text.done",
    )
)  # fmt: skip


class _Response(msgspec.Struct, gc=False):
    usage: WireUsage | None = None
    status: str | None = None
    error: Any = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    sequence_number: int | None = None
    response: _Response | None = None
    usage: WireUsage | None = None
    error: Any = None


_EVENT = msgspec.json.Decoder(_Event)


class TypedCheck:
    """Looks at one stream of typed events, event by event."""

    __slots__ = ("_begun", "_complete", "_operation", "_sequence", "_upstream", "_usage", "done", "reason")

    def __init__(self, upstream: str, operation: str) -> None:
        self._upstream = upstream
        self._operation = operation
        self._begun = False
        self._sequence = -1
        self._usage: WireUsage | None = None
        self._complete = False
        self.done = False
        """Whether the event came after which nothing may follow."""
        self.reason: str | None = None

    @property
    def holding(self) -> bool:
        """Whether nothing has come yet that shows that the model works."""
        return not self._begun

    def counted(self) -> Usage | None:
        """The tokens, None where the upstream has not told them."""
        return self._usage.counted() if self._usage is not None else None

    def skim(self, events: bytes, start: int) -> int:
        """Every event is looked at."""
        return start

    def take(self, data: bytes) -> None:
        """The next event. Raises UpstreamError where it breaks the dialect, or tells an error."""
        if data == DONE and self._complete:
            return  # some servers end these streams like the older ones
        if self.done:
            raise self._malformed("its stream goes on after its end")
        try:
            event = _EVENT.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._malformed("an event of its stream is not valid") from None
        kind = event.type
        if not kind and event.error is not None:
            raise told_error(data, self._upstream, self._operation)
        if not kind:
            raise self._malformed("an event of its stream has no type")
        if kind == "error":
            raise told_error(data, self._upstream, self._operation)
        if kind == "response.failed":
            told = event.response.error if event.response is not None else None
            raise told_error(msgspec.json.encode(told), self._upstream, self._operation)
        if event.sequence_number is not None:
            if event.sequence_number <= self._sequence:
                raise self._malformed("its stream tells an event twice")
            self._sequence = event.sequence_number
        if kind not in _OPENING:
            self._begun = True
        if kind in _LAST:
            self._complete = True
            self.done = not kind.startswith("image_")  # each of several images has such an event
            response = event.response or _Response()
            self._usage = response.usage or event.usage
            self.reason = response.status or kind.rpartition(".")[2]

    def end(self) -> None:
        """The body is complete; raises UpstreamMalformed where the reply is not."""
        if not self._complete:
            raise self._malformed("its stream ended before the reply was complete")

    def _malformed(self, problem: str) -> UpstreamMalformed:
        return UpstreamMalformed(problem, self._upstream)
