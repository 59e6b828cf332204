"""The contents of files: one file each, named by its id, mode 0600. Blocking. Raises OSError."""

from __future__ import annotations

import os
import threading
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 256 * 1024


class Contents:
    """A folder of complete contents, beside one of those that are still coming."""

    def __init__(self, folder: Path) -> None:
        self._kept = folder / "content"
        self._incoming = folder / "incoming"

    def prepare(self, known: Container[str]) -> None:
        """Make the folders; remove what a crash has left that nobody knows of."""
        for folder in (self._kept, self._incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in self._incoming.iterdir():
            path.unlink()
        for path in self._kept.iterdir():
            if path.name not in known:
                path.unlink()

    def begin(self, name: str) -> Upload:
        """A content that is still coming."""
        return Upload(self._incoming / name, self._kept)

    def open(self, file_id: str) -> BinaryIO:
        """A complete content, to be read."""
        return (self._kept / file_id).open("rb")

    def remove(self, file_id: str) -> None:
        """Delete a content, if it is there."""
        with suppress(FileNotFoundError):
            (self._kept / file_id).unlink()


class Upload:
    """A content on its way. Its methods may be called from several threads: a cancelled write may still go on."""

    def __init__(self, path: Path, kept: Path) -> None:
        self._path = path
        self._kept = kept
        self._lock = threading.Lock()
        self._descriptor: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, block: bytes) -> None:
        """Append a block, whole."""
        with self._lock:
            if self._descriptor is None:
                return  # discarded meanwhile
            view = memoryview(block)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def keep(self, file_id: str) -> None:
        """Have it on the disk under this name, whatever happens next."""
        with self._lock:
            assert self._descriptor is not None
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None
            self._path.replace(self._kept / file_id)
            folder = os.open(self._kept, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def discard(self) -> None:
        """Remove it, unless it is kept."""
        with self._lock:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            with suppress(FileNotFoundError):
                self._path.unlink()
