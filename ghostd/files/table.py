"""What is known of files, in SQLite. Blocking; use from one thread at a time. Raises sqlite3.Error."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ghostd.batch import UPLOAD_PART, StoredFile
from ghostd.database import transaction

_COLUMNS = "id, purpose, filename, size_bytes, created_s, expires_s"
_PRUNED_AT_ONCE = 500


class FileTable:
    """The rows."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def total_bytes(self) -> int:
        """Of all files, those that have expired but were not deleted yet included."""
        total: int = self._db.execute("SELECT COALESCE(SUM(size_bytes), 0) FROM file").fetchone()[0]
        return total

    def ids(self) -> set[str]:
        """Of all files, likewise."""
        return {found for (found,) in self._db.execute("SELECT id FROM file")}

    def put(self, file: StoredFile) -> int:
        """Add a row, or replace the one of the same id; the size of the file that was replaced."""
        with transaction(self._db):
            before = self._size(file.id)
            self._db.execute("DELETE FROM file WHERE id = ?", (file.id,))
            self._db.execute(
                f"INSERT INTO file ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608
                (file.id, file.purpose, file.filename, file.size_bytes, file.created_s, file.expires_s),
            )
        return before

    def get(self, file_id: str, now: float) -> StoredFile | None:
        """The row, unless it has expired."""
        row = self._db.execute(
            f"SELECT {_COLUMNS} FROM file WHERE id = ? AND (expires_s IS NULL OR expires_s > ?)",  # noqa: S608
            (file_id, now),
        ).fetchone()
        return StoredFile(*row) if row else None

    def list(
        self, after: str | None, limit: int, *, descending: bool, purpose: str | None, now: float
    ) -> list[StoredFile] | None:
        """Up to `limit` rows by age; None where there is no file named `after`."""
        order, sign = ("DESC", "<") if descending else ("ASC", ">")
        where, values = ["(expires_s IS NULL OR expires_s > ?)"], [now]
        if after is not None:
            seq = self._db.execute("SELECT seq FROM file WHERE id = ?", (after,)).fetchone()
            if seq is None:
                return None
            where.append(f"seq {sign} ?")
            values.append(seq[0])
        parameters: list[object] = [*values]
        where.append("purpose != ?" if purpose is None else "purpose = ?")
        parameters.append(UPLOAD_PART if purpose is None else purpose)
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM file WHERE {' AND '.join(where)} ORDER BY seq {order} LIMIT ?",  # noqa: S608
            (*parameters, limit),
        ).fetchall()
        return [StoredFile(*row) for row in rows]

    def delete(self, file_id: str) -> int | None:
        """The size of the file whose row is gone now; None if there was none."""
        with transaction(self._db):
            row = self._db.execute("SELECT size_bytes FROM file WHERE id = ?", (file_id,)).fetchone()
            if row is None:
                return None
            self._db.execute("DELETE FROM file WHERE id = ?", (file_id,))
        size: int = row[0]
        return size

    def expired(self, now: float) -> Sequence[str]:
        """Some of the files whose time is over."""
        rows = self._db.execute("SELECT id FROM file WHERE expires_s <= ? LIMIT ?", (now, _PRUNED_AT_ONCE)).fetchall()
        return [found for (found,) in rows]

    def _size(self, file_id: str) -> int:
        row = self._db.execute("SELECT size_bytes FROM file WHERE id = ?", (file_id,)).fetchone()
        return row[0] if row else 0
