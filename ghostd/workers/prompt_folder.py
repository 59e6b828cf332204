"""The folder of prompts that outlive the processes that read them. Standard library only.

It is ghostd's own and may be deleted at any time. As prompts are the user's text, nobody else may read them.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_NAME = re.compile(r"(\.?)[0-9a-f]{16}-[0-9a-f]{16}-[0-9a-f]{8}-[0-9a-f]{16}\.prompt")
"""With a dot in front while it is written."""
_MAX_AGE_S = 30 * 24 * 3600.0


def prepare(folder: Path, limit_bytes: int) -> None:
    """Make the folder, and drop what broke off, is old, or is more than the limit allows; for a time at which no
    worker runs. Raises OSError where the folder cannot be used."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise NotADirectoryError("it is no folder of this user's")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    remove(names(folder, unfinished=True))
    oldest_s = time.time() - _MAX_AGE_S
    remove(path for path, status in entries(folder) if status.st_mtime < oldest_s)
    shrink(folder, limit_bytes, ())


def remove_all(folder: Path) -> None:
    """Delete every prompt. Raises OSError where one cannot be deleted."""
    if folder.is_symlink() or not folder.is_dir():
        return
    for path in [*names(folder, unfinished=True), *names(folder)]:
        path.unlink(missing_ok=True)
    with suppress(OSError):  # somebody else's files are in it
        folder.rmdir()


def names(folder: Path, *, unfinished: bool = False) -> Iterator[Path]:
    """Files that have names of ours: whole ones, or those that are, or were, being written. Raises OSError."""
    for path in folder.iterdir():
        match = _NAME.fullmatch(path.name)
        if match is not None and bool(match[1]) == unfinished:
            yield path


def entries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The whole ones, and what the system knows of each, the oldest first. Raises OSError."""
    found: list[tuple[Path, os.stat_result]] = []
    for path in names(folder):
        with suppress(FileNotFoundError):  # another worker has just deleted it
            found.append((path, path.lstat()))
    return sorted(found, key=lambda entry: entry[1].st_mtime_ns)


def shrink(folder: Path, limit_bytes: int, spared: Collection[Path]) -> bool:
    """Delete the oldest files until all of them have `limit_bytes` at most; nothing, and False, where those that are
    spared have more. Raises OSError."""
    found = entries(folder)
    total = sum(status.st_size for _, status in found)
    if sum(status.st_size for path, status in found if path in spared) > limit_bytes:
        return False
    for path, status in found:
        if total <= limit_bytes:
            break
        if path not in spared:
            remove((path,))
            total -= status.st_size
    return True


def remove(paths: Iterable[Path]) -> None:
    """Delete what can be deleted."""
    for path in paths:
        with suppress(OSError):
            path.unlink()
