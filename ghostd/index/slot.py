"""Which file the worker is parsing, written where a killed worker cannot take it along: an unlinked file."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

_LENGTH = struct.Struct("=II")


@dataclass(frozen=True, slots=True)
class Slot:
    """The file, shared by the daemon and its worker."""

    descriptor: int

    def write(self, root: str, path: str) -> None:
        """Say that this file is being parsed."""
        first, second = os.fsencode(root), os.fsencode(path)
        os.pwrite(self.descriptor, _LENGTH.pack(len(first), len(second)) + first + second, 0)

    def clear(self) -> None:
        """Say that none is."""
        os.pwrite(self.descriptor, _LENGTH.pack(0, 0), 0)

    def read(self) -> tuple[str, str] | None:
        """(root, path) of the file being parsed, or None."""
        header = os.pread(self.descriptor, _LENGTH.size, 0)
        if len(header) < _LENGTH.size:
            return None
        first, second = _LENGTH.unpack(header)
        if not second:
            return None
        data = os.pread(self.descriptor, first + second, _LENGTH.size)
        return os.fsdecode(data[:first]), os.fsdecode(data[first:])
