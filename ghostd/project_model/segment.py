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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ghostd.project_model.tokens import BREAKS, EDGE, END_OF_LINE, FIRST_WORD

MAGIC = b"GHOSTDPM"
VERSION = 1
"""Raised when the format, or the tokenizer, changes: older files are then built anew."""
CONTEXT = 16
"""Tokens of context that the order distinguishes."""
HEADER = struct.Struct("<8sIIQ")
"""Magic, version, CRC-32 of all that follows, length of the JSON directory that comes next."""

_FEW = 16
"""Positions from which on they are listed, not bisected."""
_MEMO_INTERVALS = 8_000
_MEMO_FREQUENT = 2_000
"""What is remembered of frequent contexts: some 1 and 2 MB at most."""

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
        self._narrowed: dict[tuple[int, int, int, int], tuple[int, int]] = {}
        self._shapes_narrowed: dict[tuple[int, int, int, int], tuple[int, int]] = {}
        self._frequent: dict[tuple[int, int, int, bool], dict[int, int]] = {}
        self._frequent_without: Sequence[int] = ()
        """What is outdated in them; it changes with the document that is written in."""
        self.vocabulary = len(self._word_at) - 1 + FIRST_WORD

    def _checked_directory(self) -> dict[str, Any]:
        magic, version, checksum, length = HEADER.unpack(self._data[: HEADER.size])
        if magic != MAGIC:
            raise SegmentInvalid("not a segment")
        if version != VERSION:
            raise SegmentInvalid(f"version {version}, not {VERSION}")
        if zlib.crc32(self._data[HEADER.size :]) != checksum:
            raise SegmentInvalid("wrong checksum")
        self.rest()  # the check has read every page
        if hasattr(mmap, "MADV_RANDOM"):
            self._map.madvise(mmap.MADV_RANDOM)
        directory = json.loads(bytes(self._data[HEADER.size : HEADER.size + length]))
        assert isinstance(directory, dict)
        return directory

    def _array(self, arrays: Mapping[str, Any], name: str) -> memoryview[int]:
        start, length = arrays[name]
        return self._data[start : start + length].cast("i")

    def rest(self) -> None:
        """Take the file's pages out of this process's memory; the kernel's page cache still has them.

        One read may map 2 MB where the file system caches in large folios, so that a single answer maps most of the
        file. To map again what the next answer needs takes it some 0.3 ms.
        """
        if hasattr(mmap, "MADV_DONTNEED"):
            self._map.madvise(mmap.MADV_DONTNEED)

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
        return self._intervals(context[:longest], self.order, self.first, None, self._narrowed)

    def shape_intervals(self, context: Sequence[int], longest: int = CONTEXT) -> list[tuple[int, int]]:
        """The same for shapes and `shape_order`."""
        return self._intervals(
            context[:longest], self.shape_order, self._shape_first, self.shape, self._shapes_narrowed
        )

    def _intervals(
        self,
        context: Sequence[int],
        order: memoryview[int],
        first: memoryview[int],
        shape: memoryview[int] | None,
        narrowed: dict[tuple[int, int, int, int], tuple[int, int]],
    ) -> list[tuple[int, int]]:
        token = context[0]
        if token >= self.vocabulary:
            return []
        low, high = first[token], first[token + 1]
        if low == high:
            return []
        found = [(low, high)]
        stream = self.stream
        for back in range(1, len(context)):
            token = context[back]
            if high - low > _FEW:
                key = (low, high, back, token)
                known = narrowed.get(key)
                if known is None:
                    if len(narrowed) >= _MEMO_INTERVALS:
                        narrowed.clear()
                    known = narrowed[key] = _narrow(order, stream, shape, low, high, back, token)
                low, high = known
                if low == high:
                    break
                found.append(known)
                continue
            found += self._among_few(order[low:high].tolist(), low, context, back, shape)
            break
        return found

    def _among_few(
        self, places: list[int], low: int, context: Sequence[int], back: int, shape: memoryview[int] | None
    ) -> Iterator[tuple[int, int]]:
        """The intervals from `context[back]` on inside these places, which start at `low` of the order."""
        stream = self.stream
        for distance in range(back, len(context)):
            token = context[distance]
            values = [stream[place - distance] for place in places]
            if shape is not None:
                values = [shape[value] for value in values]
            start = bisect_left(values, token)
            stop = bisect_right(values, token, start)
            if start == stop:
                break
            places = places[start:stop]
            low += start
            yield low, low + len(places)

    # --- what follows ---

    def followers(
        self,
        intervals: Sequence[tuple[int, int]],
        most: int,
        outdated: Sequence[int],
        shapes: bool = False,
    ) -> Iterator[Mapping[int, int]]:
        """For each of these nested intervals of `order` or `shape_order`: the tokens that follow, and how often.

        They come from the smallest to the largest. Of one with more than `most` places only so many, or fewer, are
        looked at, evenly spread. Line breaks count as END_OF_LINE, edges not at all. `outdated`: see
        RootMemory.outdated.
        """
        order = self.shape_order if shapes else self.order
        small = [interval for interval in intervals if interval[1] - interval[0] <= most]
        if small:
            start, stop = small[-1]
            following = self._following(order[start:stop].tolist(), outdated)
            for low, high in small:
                yield count_followers(following[low - start : high - start])
        if outdated != self._frequent_without:
            self._frequent.clear()
            self._frequent_without = outdated
        for low, high in intervals[len(small) :]:
            key = (low, high, most, shapes)
            known = self._frequent.get(key)
            if known is None:
                if len(self._frequent) >= _MEMO_FREQUENT:
                    self._frequent.clear()
                places = order[low : high : 1 + (high - low - 1) // most].tolist()
                known = self._frequent[key] = count_followers(self._following(places, outdated))
            yield known

    def _following(self, places: Sequence[int], outdated: Sequence[int]) -> list[int]:
        """The token after each of these places; an EDGE for an outdated one."""
        stream = self.stream
        if not outdated:
            return [stream[place + 1] for place in places]
        if len(outdated) == 2:
            start, stop = outdated
            return [EDGE if start <= place < stop else stream[place + 1] for place in places]
        return [EDGE if bisect_right(outdated, place) & 1 else stream[place + 1] for place in places]

    def texts(self, start: int, end: int) -> tuple[str, str]:
        """The tokens and the shapes of a part of the stream, one character for each."""
        part = self.stream[start:end]
        shape = self.shape
        shapes = array("i", [shape[token] for token in part.tolist()])
        return bytes(part).decode(_UTF32, "surrogatepass"), shapes.tobytes().decode(_UTF32, "surrogatepass")


def count_followers(tokens: Iterable[int]) -> dict[int, int]:
    """How often each token stands here; line breaks count as END_OF_LINE, edges not at all."""
    counts: dict[int, int] = {}
    for token in tokens:
        if token in counts:
            counts[token] += 1
        elif token >= FIRST_WORD:
            counts[token] = 1
        elif token < BREAKS:
            counts[END_OF_LINE] = counts.get(END_OF_LINE, 0) + 1
    return counts


def _narrow(
    order: memoryview[int],
    stream: memoryview[int],
    shape: memoryview[int] | None,
    low: int,
    high: int,
    back: int,
    token: int,
) -> tuple[int, int]:
    """The part of this interval in which `token` stands `back` positions earlier; bisection, both ends in one."""
    stop, end = high, high  # the part's end lies in low … end
    while low < stop:
        middle = (low + stop) >> 1
        value = stream[order[middle] - back]
        if shape is not None:
            value = shape[value]
        if value < token:
            low = middle + 1
        else:
            stop = middle
            if value > token:
                end = middle
    start = low
    while low < end:
        middle = (low + end) >> 1
        value = stream[order[middle] - back]
        if shape is not None:
            value = shape[value]
        if value > token:
            end = middle
        else:
            low = middle + 1
    return start, low
