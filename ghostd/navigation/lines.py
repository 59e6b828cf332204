"""Lines and columns of byte offsets, as people count them: from 1, in characters."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

_ENDS = re.compile(rb"\r\n|\n|\r")
_BOM = "\ufeff"


class FileLines:
    """A file's text, to say where in it something is."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._starts: Sequence[int] = [0, *(end.end() for end in _ENDS.finditer(text))]

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
