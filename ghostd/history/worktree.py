"""The working tree against the last commit, by git's index file and the files themselves; no filter runs."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ghostd.history.locate import Location, read_small
from ghostd.history.objects import HistoryError

_MAX_INDEX_BYTES = 256 * 1024 * 1024
_LINK, _MODULE = 0o120000, 0o160000


@dataclass(frozen=True, slots=True)
class Staged:
    """One file in git's index file."""

    path: bytes
    blob: str
    mode: int
    size: int
    mtime_s: int
    mtime_ns: int


def staged(location: Location) -> list[Staged]:
    """What git's index file holds; empty where there is none. Raises HistoryError."""
    data = read_small(location.git_dir / "index", _MAX_INDEX_BYTES)
    if data is None:
        return []
    try:
        return list(_entries(data))
    except (struct.error, IndexError, ValueError):
        raise HistoryError("its index file is damaged") from None


def _entries(data: bytes) -> Iterator[Staged]:
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise ValueError
    at, previous = 12, b""
    for _ in range(count):
        begin = at
        fields = struct.unpack_from(">10I20sH", data, at)
        at += 62
        if fields[11] & 0x4000:
            at += 2
        if version == 4:
            drop, at = _number(data, at)
            if drop > len(previous):
                raise ValueError
            end = data.index(b"\0", at)
            path = previous[: len(previous) - drop] + data[at:end]
            at = end + 1
        else:
            end = data.index(b"\0", at)
            path = data[at:end]
            at = begin + (end - begin + 8) // 8 * 8
        previous = path
        if not fields[11] & 0x3000:  # of a conflict there are three more
            yield Staged(path, fields[10].hex(), fields[6], fields[9], fields[2], fields[3])


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = data[at] & 0x7F
    while data[at] & 0x80:
        at += 1
        value = ((value + 1) << 7) | (data[at] & 0x7F)
    return value, at + 1


def content_if_changed(worktree: Path, entry: Staged, max_bytes: int) -> bytes | bool:  # noqa: PLR0911
    """The file's bytes where it differs from the index file, and False where it does not.

    True where it cannot be compared: gone, larger than `max_bytes`, no regular file.
    """
    if entry.mode == _MODULE:
        return False
    found = open_below(worktree, entry.path)
    if isinstance(found, str):
        return not (found == "link" and entry.mode == _LINK)
    with os.fdopen(found, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            return True
        if (status.st_size & 0xFFFFFFFF, int(status.st_mtime), status.st_mtime_ns % 10**9) == (
            *(entry.size, entry.mtime_s, entry.mtime_ns),
        ):
            return False
        if status.st_size > max_bytes:
            return True
        content = file.read(max_bytes + 1)
    # Where git turned line ends around at check-out, the file differs by them alone.
    if entry.blob in (blob_id(content), blob_id(content.replace(b"\r\n", b"\n"))):
        return False
    return content


def open_below(folder: Path, path: bytes) -> int | str:
    """A descriptor of a file below a folder, no link followed; else "gone" or "link"."""
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    names = path.split(b"/")
    if any(name in (b"", b".", b"..") for name in names):
        os.close(at)
        return "gone"
    try:
        for name in names[:-1]:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
        if stat.S_ISLNK(os.stat(names[-1], dir_fd=at, follow_symlinks=False).st_mode):
            return "link"
        return os.open(names[-1], os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    except OSError:
        return "gone"
    finally:
        os.close(at)


def blob_id(content: bytes) -> str:
    """The name that git gives to a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def read_below(folder: Path, path: bytes, max_bytes: int) -> bytes | None:
    """A regular file's bytes; None where it is none, or too large."""
    found = open_below(folder, path)
    if isinstance(found, str):
        return None
    with os.fdopen(found, "rb") as file:
        status = os.fstat(file.fileno())
        return file.read(max_bytes) if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes else None
