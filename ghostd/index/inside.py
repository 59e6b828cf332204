"""Reading a file of a root without following any link on the way to it."""

# ruff: noqa: PTH115
# (A Path object for each file would cost more than the question.)

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
OPEN_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Not blocking: opening a FIFO that took the file's place must not wait for a writer."""


def open_folder(root: str, path: str) -> int:
    """A descriptor of a folder of the root ("" for itself); raises OSError, also where a link leads to it."""
    descriptor = os.open(f"{root}/{path}" if path else root, _FOLDER if path else _FOLDER & ~os.O_NOFOLLOW)
    if path and not lies_at(descriptor, root, path):
        os.close(descriptor)
        raise FileNotFoundError(errno.ENOENT, "it was replaced by a link", path)
    return descriptor


def lies_at(descriptor: int, root: str, path: str) -> bool:
    """Whether what was opened lies where its path says, and no link took a folder's place on the way to it."""
    try:
        found = os.readlink(f"/proc/self/fd/{descriptor}").removesuffix(" (deleted)")
    except OSError:  # not Linux
        found = os.path.realpath(f"{root}/{path}")
    return found == f"{root}/{path}" or found == f"{os.path.realpath(root).rstrip('/')}/{path}"


@dataclass(slots=True)
class RootFiles:
    """Opens files of a root. The last one's folder is kept open, since the next one mostly lies there, too.

    A folder that is moved meanwhile is read where it has gone: close it before you look for what has changed.
    """

    root: str
    _folder: str = ""
    _descriptor: int = -1

    def open(self, path: str) -> int:
        """A descriptor of the file; raises OSError, also where a link leads to it."""
        folder, _, name = path.rpartition("/")
        if self._descriptor < 0 or folder != self._folder:
            self.close()
            self._folder, self._descriptor = folder, open_folder(self.root, folder)
        return os.open(name, OPEN_FLAGS, dir_fd=self._descriptor)

    def close(self) -> None:
        """Close the folder; the next file opens its own."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def read_several(root: Path, paths: Iterable[PurePosixPath], max_bytes: int) -> dict[PurePosixPath, bytes]:
    """`read_inside` of several files, without those that give None."""
    found = ((path, read_inside(root, path, max_bytes)) for path in paths)
    return {path: data for path, data in found if data is not None}


def read_inside(root: Path, path: PurePosixPath, max_bytes: int) -> bytes | None:
    """The file's bytes; None when it is gone, unreadable, too large or no regular file, or a link leads to it."""
    if path.is_absolute() or ".." in path.parts:
        return None
    with ExitStack() as opened:

        def enter(name: str, flags: int, folder: int | None) -> int:
            descriptor = os.open(name, flags, dir_fd=folder)
            opened.callback(os.close, descriptor)
            return descriptor

        try:
            folder = enter(str(root), _FOLDER & ~os.O_NOFOLLOW, None)
            for part in path.parts[:-1]:
                folder = enter(part, _FOLDER, folder)
            descriptor = enter(path.name, OPEN_FLAGS, folder)
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > max_bytes:
                return None
            pieces: list[bytes] = []
            left = max_bytes
            while left > 0 and (piece := os.read(descriptor, min(left, status.st_size + 1))):
                pieces.append(piece)
                left -= len(piece)
            return b"".join(pieces)
        except (OSError, ValueError):
            return None
