"""The learned text of one root on disk: its token stream, sorted by reversed context, and its vocabulary.

One file, mapped into memory and never copied. `order` holds the stream's positions sorted by the token there, the
token before, and so on back for CONTEXT tokens; the positions that follow the same k tokens are therefore one
interval, inside that of k - 1, and bisection finds it for any k. What follows a context is the stream one
position further. Token ids of words are in the order of their UTF-8 bytes, so the words with a common prefix
are an interval, too.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
import zlib
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghostd.project_model.tokens import FIRST_WORD

MAGIC = b"GHOSTDPM"
VERSION = 1
"""Raised when the format, or the tokenizer, changes: older files are then built anew."""
CONTEXT = 16
"""Tokens of context that the order distinguishes."""
HEADER = struct.Struct("<8sIIQ")
"""Magic, version, CRC-32 of all that follows, length of the JSON directory that comes next."""


_UTF32 = f"utf-32-{sys.byteorder[0]}e"
"""The stream's integers, read as code points."""


class SegmentInvalid(Exception):
    """The file is damaged, of another version, or not a segment."""


@dataclass(frozen=True, slots=True)
class LearnedFile:
    """One file in the stream."""

    path: str
    """Relative to the root, POSIX."""
    content_hash: str
    """BLAKE2b-128 of its bytes, hexadecimal."""
    start: int
    """First position in the stream (its EDGE token)."""
    end: int
    """Position after its last token."""


class Segment:
    """A mapped segment. Its views stay valid until `close`."""

    def __init__(self, path: Path) -> None:
        """Map and check the file; raises SegmentInvalid or OSError."""
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < HEADER.size:
                raise SegmentInvalid("too short")
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._data = memoryview(self._map)
        self.size_bytes = size
        try:
            directory = self._checked_directory()
            self.files = [LearnedFile(*row) for row in directory["files"]]
            arrays: Mapping[str, Any] = directory["arrays"]
            self.stream = self._array(arrays, "stream")
            self.order = self._array(arrays, "order")
            self.first = self._array(arrays, "first")
            self.shape = self._array(arrays, "shape")
            self.shape_order = self._array(arrays, "shape_order")
            self._shape_first = self._array(arrays, "shape_first")
            self._word_at = self._array(arrays, "word_at")
            self._table = self._array(arrays, "table")
            start, length = arrays["words"]
            self._words = self._data[start : start + length]
        except (KeyError, TypeError, ValueError) as error:
            self.close()
            raise SegmentInvalid(f"damaged directory: {error}") from None
        except SegmentInvalid:
            self.close()
            raise
        self.vocabulary = len(self._word_at) - 1 + FIRST_WORD

    def _checked_directory(self) -> dict[str, Any]:
        magic, version, checksum, length = HEADER.unpack(self._data[: HEADER.size])
        if magic != MAGIC:
            raise SegmentInvalid("not a segment")
        if version != VERSION:
            raise SegmentInvalid(f"version {version}, not {VERSION}")
        if zlib.crc32(self._data[HEADER.size :]) != checksum:
            raise SegmentInvalid("wrong checksum")
        if hasattr(mmap, "MADV_DONTNEED"):
            # The check has read every page; only those that answers need should stay in the daemon's memory.
            self._map.madvise(mmap.MADV_DONTNEED)
            self._map.madvise(mmap.MADV_RANDOM)
        directory = json.loads(bytes(self._data[HEADER.size : HEADER.size + length]))
        assert isinstance(directory, dict)
        return directory

    def _array(self, arrays: Mapping[str, Any], name: str) -> memoryview[int]:
        start, length = arrays[name]
        return self._data[start : start + length].cast("i")

    def close(self) -> None:
        """Unmap. Nobody may use the segment any more."""
        for name in (
            "stream",
            "order",
            "first",
            "shape",
            "shape_order",
            "_shape_first",
            "_table",
            "_word_at",
            "_words",
        ):
            view = getattr(self, name, None)
            if view is not None:
                view.release()
        self._data.release()
        self._map.close()

    # --- words ---

    def word(self, token: int) -> str:
        """The text of a token; "" for the reserved ones."""
        index = token - FIRST_WORD
        if index < 0:
            return ""
        return str(self._words[self._word_at[index] : self._word_at[index + 1]], "utf-8")

    def _word_bytes(self, index: int) -> bytes:
        return bytes(self._words[self._word_at[index] : self._word_at[index + 1]])

    def find(self, word: str) -> int:
        """The token of a word, or -1."""
        wanted = word.encode("utf-8", "replace")
        table = self._table
        slot = zlib.crc32(wanted) % len(table)
        while (index := table[slot]) >= 0:
            if self._word_bytes(index) == wanted:
                return index + FIRST_WORD
            slot = (slot + 1) % len(table)
        return -1

    def starting_with(self, prefix: str) -> range:
        """The tokens whose text starts with `prefix`."""
        wanted = prefix.encode("utf-8", "replace")
        words = range(len(self._word_at) - 1)
        low = bisect_left(words, wanted, key=self._word_bytes)
        high = bisect_left(words, wanted + b"\xff", low, key=self._word_bytes)
        return range(low + FIRST_WORD, high + FIRST_WORD)

    def frequency(self, token: int) -> int:
        """How often the token stands in the stream."""
        return self.first[token + 1] - self.first[token] if token < self.vocabulary else 0

    # --- contexts ---

    def intervals(self, context: Sequence[int], longest: int = CONTEXT) -> list[tuple[int, int]]:
        """For k = 1, 2, … the interval of `order` that ends with the last k tokens, while it is not empty.

        `context` is reversed: the last token first.
        """
        stream = self.stream

        def at(position: int) -> int:
            return stream[position]

        return self._intervals(context[:longest], self.order, self.first, at)

    def shape_intervals(self, context: Sequence[int], longest: int = CONTEXT) -> list[tuple[int, int]]:
        """The same for shapes and `shape_order`."""
        stream, shape = self.stream, self.shape

        def at(position: int) -> int:
            return shape[stream[position]]

        return self._intervals(context[:longest], self.shape_order, self._shape_first, at)

    def _intervals(
        self, context: Sequence[int], order: memoryview[int], first: memoryview[int], at: Callable[[int], int]
    ) -> list[tuple[int, int]]:
        token = context[0]
        if token >= self.vocabulary:
            return []
        low, high = first[token], first[token + 1]
        if low == high:
            return []
        found = [(low, high)]
        for back in range(1, len(context)):
            token = context[back]
            if high - low == 1:
                if at(order[low] - back) != token:
                    break
            else:

                def key(position: int, back: int = back) -> int:
                    return at(position - back)

                low = bisect_left(order, token, low, high, key=key)
                if low == high or at(order[low] - back) != token:
                    break
                high = bisect_right(order, token, low, high, key=key)
            found.append((low, high))
        return found

    def texts(self, start: int, end: int) -> tuple[str, str]:
        """The tokens and the shapes of a part of the stream, one character for each."""
        part = self.stream[start:end]
        shapes = array("i", map(self.shape.__getitem__, part))
        return bytes(part).decode(_UTF32, "surrogatepass"), shapes.tobytes().decode(_UTF32, "surrogatepass")
