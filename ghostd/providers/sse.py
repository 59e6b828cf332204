"""Server-sent events from upstreams: cut at event boundaries, for passing on unchanged and for reading.

The format is WHATWG HTML 9.2.6: lines end with LF, CRLF or CR, an empty line ends an event.
"""

from __future__ import annotations

from dataclasses import dataclass

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamMalformed

_BOM = b"\xef\xbb\xbf"
_ENDS = (b"\n\n", b"\n\r", b"\r\r")
"""A line's end and the empty line after it; in "\\r\\n\\r\\n", too, the second one stands."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event that carries data."""

    event: str
    """Its `event:` field; "" where it has none."""
    data: bytes
    """Its `data:` lines, joined by LF."""


class EventSplitter:
    """From the blocks of one body to whole events.

    What `feed` returns, one after the other, is what came in, byte for byte (less a byte order mark at the very
    start), cut only between events; so it can be passed on as it is, be searched, and be read by `parse` or `payloads`.
    """

    def __init__(self, limits: UpstreamConfig, upstream: str = "") -> None:
        """`upstream` heads the messages of errors."""
        self._max_event_bytes = limits.max_event_bytes
        self._max_events = limits.max_events
        self._upstream = upstream
        self._begun = False
        self._events = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def feed(self, block: bytes) -> bytes:
        """The events that this block completes, comments included; b"" if none.

        Raises UpstreamMalformed: an event is too large, there are too many, or it is not UTF-8.
        """
        pending = self._pending
        if not pending:
            end = _end_of_events(block, 0)
            whole = block[:end]
        elif (end := _end_of_events(pending[-1][-1:] + block, 1)) > 0:
            pending.append(block[:end])
            whole = b"".join(pending)
            pending.clear()
            self._pending_bytes = 0
        else:
            whole = b""
        if end < len(block):
            pending.append(block[end:] if end else block)
            self._pending_bytes += len(block) - end
            if self._pending_bytes > self._max_event_bytes:
                raise self._too_large()
        return self._checked(whole) if whole else b""

    def finish(self) -> bytes:
        """What is left once the body is complete, if it is an event that only lacks the empty line at its end.

        Many servers leave that line out. It is given out, with the line added, if one of its lines is a `data:`
        line; anything else (half an event's name, a comment) is dropped, as the format asks. Whether the data is
        whole is for the reader of the data to say: only the framing of HTTP knows whether a body was cut.
        """
        rest = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        whole = self._checked(rest + (b"\n" if rest[-1:] in {b"\n", b"\r"} else b"\n\n")) if rest else b""
        return whole if payloads(whole) else b""

    def _checked(self, events: bytes) -> bytes:
        if not self._begun:
            self._begun = True
            events = events.removeprefix(_BOM)
        whole = events
        if not whole.isascii():
            try:
                whole.decode()
            except UnicodeDecodeError:
                raise UpstreamMalformed("the stream holds bytes that are not UTF-8", self._upstream) from None
        if b"\r" in whole:
            whole = _unix(whole)
        self._events += whole.count(b"\n\n")
        if self._events > self._max_events:
            raise UpstreamMalformed(
                f"the stream has more than upstream.max_events ({self._max_events}) events", self._upstream
            )
        if len(whole) > self._max_event_bytes and any(
            len(event) > self._max_event_bytes for event in whole.split(b"\n\n")
        ):
            raise self._too_large()
        return events

    def _too_large(self) -> UpstreamMalformed:
        return UpstreamMalformed(
            f"an event of the stream exceeds upstream.max_event_bytes ({self._max_event_bytes})", self._upstream
        )


def payloads(events: bytes) -> list[bytes]:
    """The data of each event that has some, of what EventSplitter gave."""
    return [data for chunk in _chunks(events) if (data := data_of(chunk))]


def data_of(chunk: bytes) -> bytes:
    """An event's data; b"" where it has none."""
    if chunk.startswith(b"data:") and b"\n" not in chunk:  # the common case, without a list of lines
        return chunk[6:] if chunk.startswith(b"data: ") else chunk[5:]
    return _data(chunk.split(b"\n"))


def parse(events: bytes) -> list[Event]:
    """Each event that has data, of what EventSplitter gave."""
    found = []
    for chunk in _chunks(events):
        lines = chunk.split(b"\n")
        if data := _data(lines):
            found.append(Event(_name(lines), data))
    return found


def _end_of_events(data: bytes, seen: int) -> int:
    """Where the last whole event ends, less the `seen` bytes before it; 0 if none does."""
    end = data.rfind(b"\n\n") + 2
    if b"\r" in data:
        end = max(end, *(data.rfind(mark) + 2 for mark in _ENDS))
        if end >= 2 and data[end - 1 : end + 1] == b"\r\n":
            end += 1
    return end - seen if end >= 2 else 0


def _unix(text: bytes) -> bytes:
    return text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _chunks(events: bytes) -> list[bytes]:
    """The lines of each event, joined by LF; some hold none."""
    if b"\r" in events:
        events = _unix(events)
    return events.split(b"\n\n")


def _data(lines: list[bytes]) -> bytes:
    """The data lines' values, joined; b"" where there is none, and such an event is none."""
    values = [line[6:] if line.startswith(b"data: ") else line[5:] for line in lines if line.startswith(b"data:")]
    if b"data" in lines:  # a field without a colon has an empty value
        values = [_value(line) for line in lines if line.startswith(b"data:") or line == b"data"]
    return values[0] if len(values) == 1 else b"\n".join(values)


def _value(line: bytes) -> bytes:
    return line[5:].removeprefix(b" ")


def _name(lines: list[bytes]) -> str:
    name = b""
    for line in lines:
        if line.startswith(b"event:"):
            name = line[6:].removeprefix(b" ")
        elif line == b"event":
            name = b""
    return name.decode()
