"""LSP positions ↔ Python strings, in the three position encodings.

LSP counts `character` in code units of the negotiated encoding, and only `\\n`, `\\r\\n` and `\\r` end a line
(LSP 3.18, "Text Documents"). `str.splitlines` knows more line ends and is of no use here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import Literal, cast, get_args

from ghostd.navigation.lines import line_starts

Encoding = Literal["utf-8", "utf-16", "utf-32"]

_LINE_STARTS = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")


def choose_encoding(offered: Sequence[str]) -> Encoding:
    """The first encoding in the client's order that we know; "utf-16" where it offers none (LSP's default)."""
    return cast(Encoding, next((name for name in offered if name in get_args(Encoding)), "utf-16"))


def split_lines(text: str) -> list[str]:
    """The lines with their ends; the last one has no end and may be empty."""
    if "\r" in text:
        return _LINE_STARTS.split(text)
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    return lines


def content_length(line: str) -> int:
    """Characters of `line` without its line end."""
    if line.endswith("\r\n"):
        return len(line) - 2
    return len(line) - 1 if line.endswith(("\n", "\r")) else len(line)


def char_index(line: str, units: int, encoding: Encoding) -> int:
    """The index in `line` of the character at `units` code units.

    Beyond the line it is the line's length without its end, as LSP says; within a character it is that
    character's start.
    """
    limit = content_length(line)
    if encoding == "utf-32" or line.isascii():
        return min(units, limit)
    if encoding == "utf-8":
        return min(len(line.encode()[:units].decode(errors="ignore")), limit)
    return min(len(line.encode("utf-16-le")[: 2 * units].decode("utf-16-le", errors="ignore")), limit)


def unit_count(text: str, encoding: Encoding) -> int:
    """The code units that `text` takes."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-8":
        return len(text.encode())
    return len(text.encode("utf-16-le")) // 2


def without_lone_surrogates(text: str) -> str:
    """`text` with U+FFFD for what UTF-8 cannot carry; JSON can, and both count the same in every encoding."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _LONE_SURROGATES.sub("\ufffd", text)
    return text


class Lines:
    """A text in bytes, to tell positions of byte offsets in it."""

    def __init__(self, text: bytes, encoding: Encoding) -> None:
        self.text = text
        self._encoding = encoding
        self._is_ascii = text.isascii()
        self._starts = line_starts(text)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and character of a byte offset; of the end for one beyond it."""
        offset = max(0, min(offset, len(self.text)))
        line = bisect_right(self._starts, offset) - 1
        start = self._starts[line]
        end = self._starts[line + 1] if line + 1 < len(self._starts) else len(self.text)
        while end > start and self.text[end - 1] in b"\r\n":
            end -= 1
        offset = min(offset, end)  # not behind the line's end
        if self._is_ascii:
            return line, offset - start
        before = self.text[start:offset].decode(errors="ignore")
        if line == 0:
            before = before.removeprefix("\ufeff")  # editors do not show the byte order mark, and do not count it
        return line, unit_count(before, self._encoding)
