"""The working tree's files against git's index file; no filter runs, no link is followed."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path

from ghostd.history.below import open_below
from ghostd.history.staged import Staged

MODULE, FOLDER = 0o160000, 0o040000
_MAX_POINTER_BYTES = 1024
_POINTER = re.compile(rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\n")


def content_if_changed(worktree: Path, entry: Staged, max_bytes: int) -> bytes | bool:  # noqa: PLR0911
    """The file's bytes (a link's target) where it differs from the index file, and False where it does not.

    True where it cannot be compared: gone, larger than `max_bytes`, no regular file.
    """
    found = open_below(worktree, entry.path)
    if found is None:
        return not entry.absent
    if isinstance(found, bytes):
        return False if blob_id(found) == entry.blob else found
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


def stands_for(blob: bytes | None, content: bytes) -> bool | None:
    """Whether a blob is the pointer that Git LFS keeps in place of this content; None where it is no pointer."""
    found = _POINTER.match(blob) if blob is not None and len(blob) <= _MAX_POINTER_BYTES else None
    return None if found is None else hashlib.sha256(content).hexdigest().encode() == found[1]


def blob_id(content: bytes) -> str:
    """The name that git gives to a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
