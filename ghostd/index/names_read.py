"""Reads whole projects' names: for each file what it defines and uses."""

from __future__ import annotations

import sqlite3
from pathlib import PurePosixPath

from ghostd.index.rows import decode_outline, names_used
from ghostd.index.search import storable, symbol_of
from ghostd.indexed import FileNames


def names_after(db: sqlite3.Connection, after: str, limit: int) -> list[FileNames]:
    """The names of the next `limit` parsed files whose path is above `after`."""
    rows = db.execute(
        "SELECT file.path, parsed.outline, parsed.uses FROM file JOIN parsed USING (content_id)"
        " WHERE file.path > ? AND parsed.outline IS NOT NULL ORDER BY file.path LIMIT ?",
        (storable(after), max(limit, 0)),
    )
    found = []
    for text, outline, uses in rows:
        path = PurePosixPath(text)
        symbols = tuple(symbol_of(path, row) for row in decode_outline(outline)[0])
        used = b"\n".join(names_used(uses)).decode("utf-8", "replace")
        found.append(FileNames(path, symbols, tuple(used.split("\n")) if used else ()))
    return found
