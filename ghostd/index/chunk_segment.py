"""An inverted index of some contents' chunks in one immutable file, mapped into memory.

Numpy arrays: the terms' keys ascending, where each one's postings start, the postings (chunks), the chunks' lines and
lengths, and which content has which chunks. A file that is damaged is told by its checksum; it is built again from
the contents' own blobs in the store.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ghostd.index.blobs import DamagedBlob, inflate
from ghostd.index.chunks import HEADER as BLOB_HEADER
from ghostd.index.segment_file import HEADER, MAGIC, VERSION, SegmentInvalid, map_checked

MAX_CHUNKS = 65_536
_FREQUENT = 4_000
"""Chunks from which on a term may be too frequent to tell chunks apart …"""
_FREQUENT_SHARE = 0.33
"""… when it stands in more than this share of them: its postings are not kept."""

Numbers = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Postings:
    """Chunks and where each term stands; the arrays of a segment, or of contents that are in none yet."""

    contents: npt.NDArray[np.uint32]
    """Identifiers of the contents, in the order of their chunks."""
    content_starts: npt.NDArray[np.uint32]
    """Each content's first chunk, and the number of all chunks."""
    first_lines: npt.NDArray[np.uint32]
    line_counts: npt.NDArray[np.uint8]
    lengths: npt.NDArray[np.uint16]
    """Terms in each chunk."""
    terms: npt.NDArray[np.uint32]
    starts: npt.NDArray[np.uint32]
    """Each term's first posting, and the number of all postings."""
    chunks: npt.NDArray[np.uint16]
    frequent: npt.NDArray[np.uint32]
    """Pairs of a term that is too frequent to have postings and the number of its chunks."""

    @property
    def arrays(self) -> tuple[Numbers, ...]:
        """In the order of the file: the widest elements first, so that all are aligned."""
        return (
            *(self.contents, self.content_starts, self.first_lines, self.terms, self.starts, self.frequent),
            *(self.lengths, self.chunks, self.line_counts),
        )


def gather(blobs: Sequence[tuple[int, bytes]]) -> Postings:
    """The postings of contents, from (content, blob); they must have MAX_CHUNKS chunks at most. Raises ValueError."""
    keys: list[Numbers] = []
    places: list[Numbers] = []
    first_lines: list[Numbers] = []
    line_counts: list[Numbers] = []
    starts = [0]
    for _, blob in blobs:
        found = _decoded(blob, starts[-1]) if blob else None
        if found is None:
            starts.append(starts[-1])
            continue
        keys.append(found[0])
        places.append(found[1])
        first_lines.append(found[2])
        line_counts.append(found[3])
        starts.append(starts[-1] + len(found[2]))
    if starts[-1] > MAX_CHUNKS:
        raise ValueError(f"{starts[-1]} chunks do not fit into one segment")
    # One sort of 64-bit numbers instead of an indirect one: key and chunk fit side by side; in place.
    packed = _joined(keys, np.uint64)
    keys.clear()
    packed <<= np.uint64(16)
    place = _joined(places, np.uint16)
    places.clear()
    packed |= place
    packed.sort()
    is_first = np.ones(len(packed), np.bool_)
    np.not_equal(packed[1:], packed[:-1], out=is_first[1:])
    packed = packed[is_first]  # a chunk has each term once
    place = packed.astype(np.uint16)
    lengths = np.bincount(place, minlength=starts[-1])
    packed >>= np.uint64(16)
    key = packed.astype(np.uint32)
    del packed
    edges = np.flatnonzero(key[1:] != key[:-1]) + 1 if len(key) else np.zeros(0, np.int64)
    first = np.concatenate((np.zeros(min(len(key), 1), np.int64), edges))
    terms = key[first]
    how_many = np.diff(np.append(first, len(key)))
    limit = max(_FREQUENT, _FREQUENT_SHARE * starts[-1])
    is_frequent = how_many > limit
    frequent = np.stack((terms[is_frequent], how_many[is_frequent].astype(np.uint32)), axis=1).ravel()
    if is_frequent.any():
        kept = np.repeat(~is_frequent, how_many)
        place = place[kept]
        terms, how_many = terms[~is_frequent], how_many[~is_frequent]
    return Postings(
        np.array([content for content, _ in blobs], np.uint32),
        np.array(starts, np.uint32),
        _joined(first_lines, np.uint32),
        _joined(line_counts, np.uint8),
        np.minimum(lengths, 65_535).astype(np.uint16),
        terms,
        np.concatenate((np.zeros(1, np.int64), np.cumsum(how_many))).astype(np.uint32),
        place,
        frequent,
    )


def write_segment(path: Path, postings: Postings) -> int:
    """Write the file in place of any other of its name; its size in bytes. Raises OSError."""
    body = b"".join(array.tobytes() for array in postings.arrays)
    sizes = (len(postings.contents), len(postings.first_lines), len(postings.terms), len(postings.chunks))
    header = HEADER.pack(MAGIC, VERSION, zlib.crc32(body), *sizes, len(postings.frequent) // 2)
    unfinished = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(header + body)
        unfinished.replace(path)
    except OSError:
        with suppress(OSError):
            unfinished.unlink()
        raise
    return len(header) + len(body)


def open_segment(path: Path) -> Postings:
    """Map and check the file; raises SegmentInvalid or OSError. It is unmapped with the last array of it."""
    mapped, (contents, chunks, terms, postings, frequent) = map_checked(path)
    position = HEADER.size

    def take(kind: type[np.generic], length: int) -> Numbers:
        nonlocal position
        array = np.frombuffer(mapped, kind, length, position)
        position += array.nbytes
        return array

    shape: Iterable[tuple[type[np.generic], int]] = (
        *((np.uint32, contents), (np.uint32, contents + 1), (np.uint32, chunks), (np.uint32, terms)),
        *((np.uint32, terms + 1), (np.uint32, 2 * frequent), (np.uint16, chunks), (np.uint16, postings)),
        (np.uint8, chunks),
    )
    try:
        (content, starts, first, term, term_start, often, lengths, place, lines) = (take(*part) for part in shape)
    except ValueError as error:
        raise SegmentInvalid(f"damaged header: {error}") from None
    return Postings(content, starts, first, lines, lengths, term, term_start, place, often)


def _decoded(blob: bytes, before: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Term and chunk of each posting, and the chunks' first lines and numbers of lines."""
    try:
        chunks, terms = BLOB_HEADER.unpack_from(blob)
    except struct.error as error:
        raise DamagedBlob(str(error)) from None
    body = inflate(memoryview(blob)[BLOB_HEADER.size :])
    position = 0
    parts: list[Numbers] = []
    for kind, length in ((np.uint32, chunks), (np.uint32, terms), (np.uint16, chunks), (np.uint8, chunks)):
        part = np.frombuffer(body, kind, length, position)
        parts.append(part)
        position += part.nbytes
    first_lines, keys, sizes, line_counts = parts
    chunk = np.repeat(np.arange(before, before + chunks, dtype=np.uint32).astype(np.uint16), sizes)
    return keys, chunk, first_lines, line_counts


def _joined(parts: list[Numbers], kind: type[np.generic]) -> Numbers:
    return np.concatenate(parts, dtype=kind, casting="unsafe") if parts else np.zeros(0, kind)
