"""The ledger's SQLite file: schema, migrations, and its one writer.

It holds what cannot be made again: a damaged file is set aside under a name of its own and never overwritten, and one
that a newer ghostd has written is left alone, while rows wait in the journal. Each batch is one transaction in WAL
mode, on the disk (fsync) before the journal's segment is deleted; a row that is there already is passed over, so that a
batch may be repeated after a kill.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from ghostd.ledger.lines import OUTCOME_COLUMNS, REQUEST_COLUMNS, outcome_values, request_values, within_sqlite
from ghostd.records import LedgerRow, Outcome

BUSY_TIMEOUT_S = 5.0
_PRUNE_ROWS = 2_000
_NOT_A_LEDGER = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_WAL_BYTES = 4 * 1024 * 1024


class NewerSchema(Exception):
    """A newer ghostd has written the file."""


def store_path(folder: Path) -> Path:
    """Where the database lies in the ledger's folder."""
    return folder / "ledger.sqlite3"


def migrations() -> list[str]:
    """The SQL of every schema version, the first one first."""
    found = [item for item in (files("ghostd.ledger") / "migrations").iterdir() if item.name.endswith(".sql")]
    return [item.read_text(encoding="utf-8") for item in sorted(found, key=lambda item: item.name)]


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file's content is wrong, rather than a full disk or a lock in the way."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _NOT_A_LEDGER


class Store:
    """The writer's side. Use from one thread; close it. Opening raises sqlite3.Error, OSError and NewerSchema."""

    def __init__(self, path: Path, steps: Sequence[str] | None = None) -> None:
        self.path = path
        steps = migrations() if steps is None else steps
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._file = os.fstat(descriptor)
        os.close(descriptor)
        self._db = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self._prepare(steps)
        except BaseException as error:
            self._db.close()
            if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR:
                problem = sqlite3.DatabaseError(f"it is no ledger: {error}")
                problem.sqlite_errorcode = sqlite3.SQLITE_NOTADB
                raise problem from None
            raise

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def in_place(self) -> bool:
        """Whether the open file is still the one of this name."""
        try:
            return os.path.samestat(self._file, self.path.stat())
        except OSError:
            return False

    def insert(self, requests: Sequence[LedgerRow], outcomes: Sequence[Outcome]) -> None:
        """Add rows in one transaction; those whose id is there already are passed over."""
        with self._transaction():
            for table, columns, values in (
                ("request", REQUEST_COLUMNS, [request_values(row) for row in requests]),
                ("outcome", OUTCOME_COLUMNS, [outcome_values(row) for row in outcomes]),
            ):
                sql = (
                    f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
                    " ON CONFLICT (id) DO NOTHING"
                )
                try:
                    self._db.executemany(sql, values)
                except OverflowError:
                    self._db.executemany(sql, [within_sqlite(row) for row in values])

    def prune(self, before_s: float) -> bool:
        """Delete some of the rows older than this; whether there may be more."""
        more = False
        with self._transaction():
            for table in ("request", "outcome"):
                done = self._db.execute(
                    f"DELETE FROM {table} WHERE rowid IN"  # noqa: S608
                    f" (SELECT rowid FROM {table} WHERE time_s < ? LIMIT {_PRUNE_ROWS})",
                    (before_s,),
                )
                more |= done.rowcount == _PRUNE_ROWS
        return more

    def note(self, key: str) -> float | None:
        """A number that was kept under this name."""
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def keep_note(self, key: str, value: float) -> None:
        """Keep a number."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def _prepare(self, steps: Sequence[str]) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version > len(steps):
            raise NewerSchema(f"its schema {version} is newer than this ghostd's {len(steps)}")
        self._db.execute("PRAGMA journal_mode = WAL").fetchone()
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        for number in range(version, len(steps)):
            # executescript would commit between statements.
            self._db.executescript(f"BEGIN; {steps[number]}; PRAGMA user_version = {number + 1}; COMMIT;")
        for table, columns in (("request", REQUEST_COLUMNS), ("outcome", OUTCOME_COLUMNS), ("meta", ("key", "value"))):
            self._db.execute(f"SELECT {', '.join(columns)} FROM {table} LIMIT 0")  # noqa: S608


def set_aside(path: Path) -> Path:
    """Rename a damaged database, with its write-ahead log, to a name that is free; returns the new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    return aside
