"""Lines and columns of byte offsets, as people count them: from 1, in characters."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

_BOM = "\ufeff"


class FileLines:
    """A file's text, to say where in it something is."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._starts = line_starts(text)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column; of the end for an offset beyond it."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset) - 1
        before = self.text[self._starts[line] : offset].decode(errors="ignore")
        return line + 1, len(before.removeprefix(_BOM)) + 1

    def line(self, number: int, max_chars: int) -> str:
        """The line's text without its indentation."""
        start = self._starts[number - 1]
        end = self._starts[number] if number < len(self._starts) else len(self.text)
        # Cut twice, as a line may be megabytes long.
        shown = self.text[start : min(end, start + 8 * max_chars)].decode(errors="replace")
        return shown.removeprefix(_BOM).strip()[:max_chars]


def line_starts(text: bytes) -> list[int]:
    """Where the lines start, which end with `\\n`, `\\r\\n` or `\\r`; the last one may be empty."""
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith((b"\n", b"\r")):
        lines.pop()  # no other line starts behind it
    return list(accumulate(map(len, lines), initial=0))
