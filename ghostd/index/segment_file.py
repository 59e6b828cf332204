"""The file of a segment of chunks: where it lies, its header, and the check that it is whole. Needs no numpy."""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from pathlib import Path

MAGIC = b"GHOSTDCS"
VERSION = 1
HEADER = struct.Struct("=8sIIIIIII")
"""Magic, version, CRC-32 of what follows the header, contents, chunks, terms, postings, frequent terms."""


class SegmentInvalid(Exception):
    """The file is damaged, of another version, or not a segment."""


class DamagedChunks(Exception):
    """What chunk search needs cannot be read; a complete pass makes it anew."""


def segment_path(store: Path, segment: int) -> Path:
    """Where a segment of the store lies."""
    return store.with_name(f"{store.stem}.chunks-{segment}")


def map_checked(path: Path) -> tuple[mmap.mmap, tuple[int, ...]]:
    """The mapped file, and the counts in its header; raises SegmentInvalid or OSError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size < HEADER.size:
            raise SegmentInvalid("too short")
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    magic, version, checksum, *counts = HEADER.unpack_from(mapped)
    problem = ""
    if magic != MAGIC:
        problem = "not a segment"
    elif version != VERSION:
        problem = f"version {version}, not {VERSION}"
    else:
        with memoryview(mapped) as whole, whole[HEADER.size :] as body:
            if zlib.crc32(body) != checksum:
                problem = "wrong checksum"
    if problem:
        mapped.close()
        raise SegmentInvalid(problem)
    if hasattr(mmap, "MADV_DONTNEED"):
        # The check has read every page; only those that answers need should stay in memory.
        mapped.madvise(mmap.MADV_DONTNEED)
        mapped.madvise(mmap.MADV_RANDOM)
    return mapped, tuple(counts)
