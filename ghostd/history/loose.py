"""Loose objects, one compressed file each: what libgit2 asks for, read here.

libgit2's own reader (1.9.7) never returns from an object whose file ends too early, which is what a power cut leaves.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pygit2

from ghostd.history.below import read_below

_MAX_BYTES = 256 * 1024 * 1024
"""Of an object, and of its file."""
_MAX_HEAD_BYTES = 64
_KINDS = {
    b"commit": pygit2.enums.ObjectType.COMMIT,
    b"tree": pygit2.enums.ObjectType.TREE,
    b"blob": pygit2.enums.ObjectType.BLOB,
    b"tag": pygit2.enums.ObjectType.TAG,
}


class LooseObjects(pygit2.OdbBackend):
    """The objects below a folder; damaged ones are as if they were not there. No link is followed."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def read_cb(self, name: pygit2.Oid) -> tuple[int, bytes]:
        """(kind, content); raises KeyError. libgit2 compares the content with the name."""
        text, whole = self._inflated(name, _MAX_BYTES)
        head, end, content = text.partition(b"\0")
        kind, size = _read_head(name, head)
        if not whole or not end or len(content) != size:
            raise KeyError(str(name))
        return kind, content

    def read_header_cb(self, name: pygit2.Oid) -> tuple[int, int]:
        """(kind, size in bytes); raises KeyError."""
        text, _ = self._inflated(name, _MAX_HEAD_BYTES)
        return _read_head(name, text.partition(b"\0")[0])

    def read_prefix_cb(self, name: str) -> tuple[int, bytes, pygit2.Oid]:
        """(kind, content, name) of an object by its whole name, as pygit2 asks for it, too; raises KeyError."""
        whole = pygit2.Oid(hex=name)
        if str(whole) != name:
            raise KeyError(name)
        return (*self.read_cb(whole), whole)

    def exists_prefix_cb(self, name: str) -> pygit2.Oid:
        """The name, where it is whole and there is a file of it; raises KeyError."""
        whole = pygit2.Oid(hex=name)
        if str(whole) != name or not self.exists_cb(whole):
            raise KeyError(name)
        return whole

    def exists_cb(self, name: pygit2.Oid) -> bool:
        """Whether there is a file of this name."""
        return os.path.lexists(self._folder / os.fsdecode(_path(name)))

    def refresh_cb(self) -> None:
        """Nothing is kept."""

    def __iter__(self) -> Iterator[pygit2.Oid]:
        """None: nobody lists objects."""
        return iter(())

    def _inflated(self, name: pygit2.Oid, most: int) -> tuple[bytes, bool]:
        """(the first `most` bytes of the object with its head, whether that is all of it); raises KeyError."""
        data = read_below(self._folder, _path(name), _MAX_BYTES)
        if data is None:
            raise KeyError(str(name))
        stream = zlib.decompressobj()
        try:
            return stream.decompress(data, most), stream.eof
        except zlib.error:
            raise KeyError(str(name)) from None


def _path(name: pygit2.Oid) -> bytes:
    digits = str(name).encode()
    return digits[:2] + b"/" + digits[2:]


def _read_head(name: pygit2.Oid, head: bytes) -> tuple[int, int]:
    kind, _, size = head.partition(b" ")
    if kind not in _KINDS or not size.isdigit() or len(size) > len(str(_MAX_BYTES)):
        raise KeyError(str(name))
    return int(_KINDS[kind]), int(size)
