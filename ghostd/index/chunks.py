"""A file → its chunks, and which terms stand in each, as one blob.

Chunks are whole lines, cut where definitions start (with the comments and attributes above them), so that a chunk is
one thing rather than the end of one and the start of another. 16 lines found most of what hidden lines needed, at
1,000 and 2,000 tokens of context (56 and 67 % of the identifiers; 10 lines 53 and 63, 24 lines 53 and 65, 40 lines 45
and 58). A term counts once in a chunk: in so few lines, how often it stands there tells nothing (with counts the
mean share found was the same within noise). Words in comments and strings count: without them a point less was found.
"""

from __future__ import annotations

import re
import struct
import zlib
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from typing import Any

from ghostd.index.blobs import inflate
from ghostd.index.terms import KEY_BYTES, TermKeys, only_words

MAX_LINES = 16
MAX_CHUNKS = 65_000
"""Chunks of one file; a segment numbers its chunks in 16 bits."""
_MAX_TERMS = 65_535
"""Of one chunk, whose number of them has 16 bits; only lines made for it have more."""
HEADER = struct.Struct("=II")
"""Chunks, and terms of all of them. Then, compressed and the widest numbers first: the chunks' first lines, one chunk's
terms after the other's, and how many terms and lines each has. A term that several of a chunk's words have stands there
several times: to find such terms takes less time when a segment is made."""
_LEVEL = 1

_STARTS = frozenset(
    (
        *("class", "function", "method", "test", "enum", "interface", "struct", "trait", "union", "module"),
        *("macro", "type"),
    )
)
"""Kinds of symbols at which a file is cut."""
_ABOVE = re.compile(rb"\s*(//|/\*|\*|#|@|--|;|\[)")
"""How a line begins that belongs to the definition below it: a comment, an attribute or a decorator."""
_MAX_ABOVE = 8
_SECTIONS = {
    "markdown": re.compile(rb"#{1,6}\s"),
    "toml": re.compile(rb"\["),
    "ini": re.compile(rb"\["),
}
"""What a section's first line looks like, where a blank line is not what tells."""


@dataclass(frozen=True, slots=True)
class Chunked:
    """The chunks of one content."""

    blob: bytes = b""
    chunks: int = 0
    postings: int = 0


def chunk_file(
    source: bytes, lines: Sequence[bytes], symbols: Iterable[Sequence[Any]] | None, language: str, keys: TermKeys
) -> Chunked:
    """The chunks of a file and their terms; `symbols` as `parse` gives them, None where there is no grammar.

    `lines` are the source's without their line feeds.
    """
    starts = _sections(lines, language) if symbols is None else _definitions(source, lines, symbols)
    first_lines, sizes, line_counts = array("I"), array("H"), bytearray()
    found: list[bytes] = []
    terms_in = keys.__getitem__
    text = only_words(source)
    begins = [0, *accumulate(map(len, lines))]  # without the line feeds before them
    for first, last in pieces(lines, starts):
        words = text[begins[first] + first : begins[last] + last].split()
        terms = b"".join(dict.fromkeys(map(terms_in, words)))[: _MAX_TERMS * KEY_BYTES]
        if terms and len(found) < MAX_CHUNKS:
            first_lines.append(first + 1)
            line_counts.append(last - first)
            sizes.append(len(terms) // KEY_BYTES)
            found.append(terms)
    if not found:
        return Chunked()
    count = sum(sizes)
    body = b"".join((first_lines.tobytes(), *found, sizes.tobytes(), line_counts))
    return Chunked(HEADER.pack(len(found), count) + zlib.compress(body, _LEVEL), len(found), count)


def chunk_lines(blob: bytes) -> list[tuple[int, int]]:
    """First and last line, from 1, of each chunk in a blob."""
    if not blob:
        return []
    count, _ = HEADER.unpack_from(blob)
    body = inflate(blob[HEADER.size :])
    first_lines = array("I", body[: 4 * count])
    return [(first, first + lines - 1) for first, lines in zip(first_lines, body[-count:], strict=True)]


def pieces(lines: Sequence[bytes], starts: Iterable[int]) -> list[tuple[int, int]]:
    """Half-open ranges of lines, from 0, of at most MAX_LINES, without blank edges; cut at `starts` where one is.

    Neighbours that fit into one piece together are joined.
    """
    found: list[tuple[int, int]] = []

    def add(first: int, last: int) -> None:
        while first < last and not lines[first].strip():
            first += 1
        while first < last and not lines[last - 1].strip():
            last -= 1
        if first < last:
            found.append((first, last))

    begin = end = 0
    for bound in chain(starts, (len(lines),)):
        if bound - begin > MAX_LINES and end > begin:
            add(begin, end)
            begin = end
        while bound - begin > MAX_LINES:
            add(begin, begin + MAX_LINES)
            begin += MAX_LINES
        end = bound
    add(begin, end)
    return found


def _definitions(source: bytes, lines: Sequence[bytes], symbols: Iterable[Sequence[Any]]) -> list[int]:
    """The lines at which definitions start, ascending."""
    found = set()
    for symbol in symbols:
        if symbol[1] in _STARTS:
            line = symbol[6] - 1 - source.count(b"\n", symbol[2], symbol[4])
            top = max(line - _MAX_ABOVE, 0)
            while line > top and _ABOVE.match(lines[line - 1]):
                line -= 1
            found.add(line)
    return sorted(found)


def _sections(lines: Sequence[bytes], language: str) -> list[int]:
    """The lines at which paragraphs, headings, tables or statements start."""
    heading = _SECTIONS.get(language)
    found = []
    blank = True
    for number, line in enumerate(lines):
        if not line or line.isspace():
            blank = True
        elif blank or (heading is not None and heading.match(line)):
            found.append(number)
            blank = False
    return found
