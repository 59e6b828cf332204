"""Streamed replies: when a stream begins, how it stays alive, how it ends or fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from ghostd.gateway.dialect import Dialect
from ghostd.gateway.request import Request
from ghostd.gateway.response import StreamedResponse

SILENCE_S = 15.0
"""A stream that has said nothing for this long (at most twice as long) sends a comment, so that no proxy or
client gives up on it. Until then an error still gets its own HTTP status; afterwards it goes into the stream."""

MAX_EVENT_BYTES = 8192
"""Zeke reads an event into a buffer of this size."""

DONE = b"data: [DONE]\n\n"

_BREAKS = {character.encode(): f"\\u{ord(character):04x}".encode() for character in "\x85\u2028\u2029"}


def unbroken(events: bytes) -> bytes:
    """Whole events of JSON, in which no character is left that some clients take for the end of a line.

    httpx does, by which Ollama's client for Python and others read lines; Ollama escapes them, too.
    """
    for character, escape in _BREAKS.items():
        if character in events:
            events = events.replace(character, escape)
    return events


class EventStream:
    """A streamed reply. Entered before the first delta is awaited; its status line goes out with the first event."""

    __slots__ = ("_comment", "_dialect", "_headers", "_request", "_response", "_spoke", "_timer")

    def __init__(self, request: Request, headers: Callable[[], dict[str, str]], dialect: Dialect) -> None:
        self._request = request
        self._dialect = dialect
        self._headers = headers
        self._response: StreamedResponse | None = None
        self._spoke = False
        self._timer: asyncio.TimerHandle | None = None
        self._comment: asyncio.Task[None] | None = None

    @property
    def begun(self) -> bool:
        """Whether the status line has been sent."""
        return self._response is not None

    async def __aenter__(self) -> EventStream:
        self._timer = asyncio.get_running_loop().call_later(SILENCE_S, self._on_timer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._comment is not None:
            self._comment.cancel()
            await asyncio.gather(self._comment, return_exceptions=True)

    async def send(self, events: bytes) -> None:
        """Send one or more whole events at once; waits while the client reads more slowly than it is sent to."""
        self._spoke = True
        await (self._response or self._begin()).write(events)

    async def close(self, events: bytes) -> None:
        """Send the last events, which hold their own end."""
        await (self._response or self._begin()).write(events, last=True)

    async def fail(self, error_object: bytes) -> None:
        """End a begun stream with an error event: no finish, no end marker, and the connection closes."""
        assert self._response is not None
        self._request.keep_alive = False
        if self._request.connection.writing_paused:
            self._request.connection.abort()  # the client has stopped reading: it would never get the event
            return
        await self._response.write(self._dialect.error_event(error_object), last=True)

    def _begin(self) -> StreamedResponse:
        headers = self._headers()
        headers["Content-Type"] = self._dialect.stream_type
        headers["X-Accel-Buffering"] = "no"
        self._response = response = StreamedResponse(self._request, headers)
        return response

    def _on_timer(self) -> None:
        loop = asyncio.get_running_loop()
        if self._spoke or (self._comment is not None and not self._comment.done()):
            self._spoke = False
        elif self._dialect.waiting:
            self._comment = loop.create_task(self._say_waiting(), name="SSE comment")
        self._timer = loop.call_later(SILENCE_S, self._on_timer)

    async def _say_waiting(self) -> None:
        try:
            await (self._response or self._begin()).write(self._dialect.waiting)
        except ConnectionError:
            return  # the client has gone; its request's task is cancelled for that
