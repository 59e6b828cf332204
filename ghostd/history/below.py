"""Files below a folder, opened without following a link."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def open_below(folder: Path, path: bytes) -> int | bytes | None:
    """A descriptor of a regular file below a folder, a link's target, or None where neither is; no link is followed."""
    names = path.split(b"/")
    if any(name in (b"", b".", b"..") for name in names):
        return None
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names[:-1]:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
        kind = os.stat(names[-1], dir_fd=at, follow_symlinks=False).st_mode
        if stat.S_ISLNK(kind):
            return os.readlink(names[-1], dir_fd=at)
        if not stat.S_ISREG(kind):
            return None
        return os.open(names[-1], os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
    except OSError:
        return None
    finally:
        os.close(at)


def read_below(folder: Path, path: bytes, max_bytes: int) -> bytes | None:
    """A regular file's bytes; None where it is none, or too large."""
    found = open_below(folder, path)
    if not isinstance(found, int):
        return None
    with os.fdopen(found, "rb") as file:
        status = os.fstat(file.fileno())
        return file.read(max_bytes) if stat.S_ISREG(status.st_mode) and status.st_size <= max_bytes else None
