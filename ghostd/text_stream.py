"""From token bytes to text that may be shown: whole characters, and nothing that may begin a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Holds back what is not final yet; `stopped` once a stop string has come."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(text for text in stop if text)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self.stopped = False
        self.stopped_by: str | None = None
        """The stop string."""

    def feed(self, data: bytes) -> str:
        """The text that became final by these bytes; the stop string itself is never part of it."""
        return self.feed_text(self._decoder.decode(data))

    def feed_text(self, new: str) -> str:
        """As `feed`, of whole characters."""
        text = self._held + new
        found = [(position, stop) for stop in self._stop if (position := text.find(stop)) >= 0]
        if found:
            position, self.stopped_by = min(found)
            self.stopped, self._held = True, ""
            return text[:position]
        keep = max((_overlap(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def finish(self) -> str:
        """What was still held. Half a character becomes U+FFFD."""
        text = self.feed_text(self._decoder.decode(b"", final=True))
        if self.stopped:
            return text
        text, self._held = text + self._held, ""
        return text


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
