"""Git's index file: versions 2 to 4, split ones and sparse ones."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from ghostd.history.locate import Location, read_small
from ghostd.history.objects import HistoryError

_MAX_INDEX_BYTES = 256 * 1024 * 1024
_MAX_BITS = 10_000_000
_CONFLICT, _EXTENDED = 0x3000, 0x4000
_SKIP_WORKTREE = 0x4000


@dataclass(frozen=True, slots=True)
class Staged:
    """One file in git's index file; of a sparse one also a folder, whose path ends with a slash."""

    path: bytes
    blob: str
    mode: int
    size: int
    mtime_s: int
    mtime_ns: int
    conflict: bool
    absent: bool
    """It is left out of the working tree on purpose (a sparse checkout)."""


def staged(location: Location) -> list[Staged]:
    """What git's index file holds, of conflicts nothing; empty where there is none. Raises HistoryError."""
    data = read_small(location.git_dir / "index", _MAX_INDEX_BYTES)
    if data is None:
        return []
    try:
        found, link = _read(data)
        if link and any(link[:20]):
            shared = read_small(location.git_dir / f"sharedindex.{link[:20].hex()}", _MAX_INDEX_BYTES)
            if shared is None:
                raise HistoryError("the file that its split index refers to is missing")
            found = _joined(_read(shared)[0], found, link[20:])
    except (struct.error, IndexError, ValueError):
        raise HistoryError("its index file is damaged") from None
    return [entry for entry in found if not entry.conflict]


def _read(data: bytes) -> tuple[list[Staged], bytes]:
    """(entries, what the extension `link` of a split index says)."""
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise ValueError
    entries, at, previous = [], 12, b""
    for _ in range(count):
        entry, at = _entry(data, at, version, previous)
        previous = entry.path
        entries.append(entry)
    while at + 8 <= len(data) - 20:
        name, size = struct.unpack_from(">4sI", data, at)
        if not re.fullmatch(rb"[A-Za-z]{4}", name):
            raise ValueError
        if name == b"link":
            return entries, data[at + 8 : at + 8 + size]
        at += 8 + size
    return entries, b""


def _entry(data: bytes, begin: int, version: int, previous: bytes) -> tuple[Staged, int]:
    fields = struct.unpack_from(">10I20sH", data, begin)
    flags, at, more = fields[11], begin + 62, 0
    if flags & _EXTENDED:
        more = struct.unpack_from(">H", data, at)[0]
        at += 2
    if version == 4:
        drop, at = _number(data, at)
        if drop > len(previous):
            raise ValueError
        end = data.index(b"\0", at)
        path = previous[: len(previous) - drop] + data[at:end]
        after = end + 1
    else:
        end = data.index(b"\0", at)
        path = data[at:end]
        after = begin + (end - begin + 8) // 8 * 8
    conflict, absent = bool(flags & _CONFLICT), bool(more & _SKIP_WORKTREE)
    return Staged(path, fields[10].hex(), fields[6], fields[9], fields[2], fields[3], conflict, absent), after


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = data[at] & 0x7F
    while data[at] & 0x80:
        if value > len(data):
            raise ValueError
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1


def _joined(shared: list[Staged], own: list[Staged], bitmaps: bytes) -> list[Staged]:
    """The shared file's entries without the deleted ones, the replaced ones as `own` has them, and its new ones."""
    deleted, at = _bits(bitmaps, 0)
    replaced, _ = _bits(bitmaps, at)
    new = iter(own)
    result = []
    for number, entry in enumerate(shared):
        current = replace(next(new), path=entry.path) if number in replaced else entry
        if number not in deleted:
            result.append(current)
    return result + list(new)


def _bits(data: bytes, at: int) -> tuple[set[int], int]:
    """The numbers that an EWAH-compressed bitmap has set, and where it ends."""
    size, count = struct.unpack_from(">II", data, at)
    if size > _MAX_BITS:
        raise ValueError
    words = struct.unpack_from(f">{count}Q", data, at + 8)
    return {bit for bit in _set_bits(words, size) if bit < size}, at + 8 + 8 * count + 4


def _set_bits(words: tuple[int, ...], size: int) -> Iterator[int]:
    position = at = 0
    while at < len(words):
        marker = words[at]
        length, literals = 64 * ((marker >> 1) & 0xFFFFFFFF), marker >> 33
        if marker & 1:
            yield from range(position, min(position + length, size))
        position += length
        for word in words[at + 1 : at + 1 + literals]:
            yield from (position + bit for bit in range(64) if word >> bit & 1)
            position += 64
        at += 1 + literals
