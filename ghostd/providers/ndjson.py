"""Streams of JSON values, one a line, as Ollama sends them."""

from __future__ import annotations

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamMalformed


class LineSplitter:
    """From the blocks of one body to whole lines. Each event of the limits is a line here."""

    def __init__(self, limits: UpstreamConfig, upstream: str = "") -> None:
        """`upstream` heads the messages of errors."""
        self._max_line_bytes = limits.max_event_bytes
        self._max_lines = limits.max_events
        self._upstream = upstream
        self._count = 0
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def feed(self, block: bytes) -> list[bytes]:
        """The lines that this block completes, without their ends; empty ones are left out.

        Raises UpstreamMalformed: a line is too large, there are too many, or it is not UTF-8.
        """
        first, newline, rest = block.partition(b"\n")
        if not newline:
            self._keep(block)
            return []
        lines = [b"".join((*self._pending, first)), *rest.split(b"\n")]
        self._pending.clear()
        self._pending_bytes = 0
        self._keep(lines.pop())
        return self._checked(lines)

    def finish(self) -> list[bytes]:
        """The line that is left once the body is complete, and only lacks its end; its reader sees if it is cut."""
        line = b"".join(self._pending)
        self._pending.clear()
        self._pending_bytes = 0
        return self._checked([line])

    def _keep(self, piece: bytes) -> None:
        if piece:
            self._pending.append(piece)
            self._pending_bytes += len(piece)
            if self._pending_bytes > self._max_line_bytes:
                raise self._too_large()

    def _checked(self, lines: list[bytes]) -> list[bytes]:
        found = [line for raw in lines if (line := raw.strip(b" \t\r"))]
        self._count += len(found)
        if self._count > self._max_lines:
            raise UpstreamMalformed(
                f"the stream has more than upstream.max_events ({self._max_lines}) lines", self._upstream
            )
        for line in found:
            if len(line) > self._max_line_bytes:
                raise self._too_large()
            try:
                line.isascii() or line.decode()
            except UnicodeDecodeError:
                raise UpstreamMalformed("the stream holds bytes that are not UTF-8", self._upstream) from None
        return found

    def _too_large(self) -> UpstreamMalformed:
        return UpstreamMalformed(
            f"a line of the stream exceeds upstream.max_event_bytes ({self._max_line_bytes})", self._upstream
        )
