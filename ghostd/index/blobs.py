"""The store's compressed blobs, which carry a checksum each."""

from __future__ import annotations

import sqlite3
import zlib


class DamagedBlob(sqlite3.DatabaseError):
    """A blob is not as it was written: the store is damaged where SQLite does not look."""


def inflate(blob: bytes | memoryview) -> bytes:
    """What a blob holds; raises DamagedBlob."""
    try:
        return zlib.decompress(blob)
    except zlib.error as error:
        raise DamagedBlob(str(error)) from None
