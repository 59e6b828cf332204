"""The batches in SQLite, each a record of JSON. Blocking; use from one thread at a time. Raises sqlite3.Error."""

from __future__ import annotations

import sqlite3

import msgspec

from ghostd.batch import Batch
from ghostd.database import transaction

_DECODER = msgspec.json.Decoder(Batch)
_ENCODER = msgspec.json.Encoder()


class BatchTable:
    """The rows."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._db = database

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def put(self, batch: Batch) -> None:
        """Add a row, or change the one of the same id."""
        with transaction(self._db):
            self._db.execute(
                "INSERT INTO batch (id, ended_s, record) VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET ended_s = excluded.ended_s, record = excluded.record",
                (batch.id, batch.ended_s, _ENCODER.encode(batch)),
            )

    def get(self, batch_id: str) -> Batch | None:
        """The row."""
        row = self._db.execute("SELECT record FROM batch WHERE id = ?", (batch_id,)).fetchone()
        return _DECODER.decode(row[0]) if row else None

    def page(self, after: str | None, limit: int) -> list[Batch] | None:
        """Up to `limit` rows, the newest first; None where there is no batch named `after`."""
        before = 2**62
        if after is not None:
            row = self._db.execute("SELECT seq FROM batch WHERE id = ?", (after,)).fetchone()
            if row is None:
                return None
            before = row[0]
        rows = self._db.execute(
            "SELECT record FROM batch WHERE seq < ? ORDER BY seq DESC LIMIT ?", (before, limit)
        ).fetchall()
        return [_DECODER.decode(record) for (record,) in rows]

    def active(self) -> list[Batch]:
        """Those that have not ended, the oldest first."""
        rows = self._db.execute("SELECT record FROM batch WHERE ended_s IS NULL ORDER BY seq").fetchall()
        return [_DECODER.decode(record) for (record,) in rows]

    def prune(self, before_s: float) -> None:
        """Forget those that ended before."""
        self._db.execute("DELETE FROM batch WHERE ended_s < ?", (before_s,))
