"""Reading the ledger, beside a running daemon or without one: the database together with what waits in the journal."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ghostd.errors import GhostdError
from ghostd.ledger.journal import read_batches, segments
from ghostd.ledger.lines import (
    OUTCOME_COLUMNS,
    REQUEST_COLUMNS,
    decode,
    outcome_values,
    request_values,
    within_sqlite,
)
from ghostd.ledger.store import is_damage, store_path
from ghostd.records import LedgerRow, Outcome

BUSY_TIMEOUT_S = 5.0
_NO_LOCK_FILE = frozenset((sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY))
_TABLES = (("request", REQUEST_COLUMNS), ("outcome", OUTCOME_COLUMNS))


@contextmanager
def open_reader(folder: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose views `requests` and `outcomes` hold every row of the ledger in `folder` once.

    It sees one state, writes nothing, and holds up no writer. Raises GhostdError if the ledger cannot be read.
    """
    try:
        # The journal first: a row that leaves it meanwhile is in the database by then, and counted once by its id.
        waiting = _waiting(folder)
        with closing(sqlite3.connect("file::memory:", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as db:
            path = store_path(folder)
            attached = path.exists() and _attach(db, path)
            _make_views(db, attached, waiting)
            yield db
    except sqlite3.DatabaseError as error:
        hint = "; the daemon sets a damaged database aside when it next writes" if is_damage(error) else ""
        raise GhostdError(f"{store_path(folder)}: the ledger cannot be read: {error}{hint}") from None
    except OSError as error:
        raise GhostdError(f"{error.filename or folder}: the ledger cannot be read: {error.strerror}") from None


def _waiting(folder: Path) -> list[LedgerRow | Outcome]:
    """What is in the journal."""
    found: list[LedgerRow | Outcome] = []
    for path in segments(folder):
        try:
            for batch in read_batches(path):
                found.extend(row for line in batch if (row := decode(line)) is not None)
        except FileNotFoundError:
            continue  # moved meanwhile
    return found


def _attach(db: sqlite3.Connection, path: Path) -> bool:
    """Attach the database as `ledger` and begin to read; whether it has tables yet."""
    # In a folder that may not be written SQLite cannot make its lock file, but then nobody is writing, either.
    modes = ("mode=ro",) if os.access(path.parent, os.W_OK) else ("mode=ro", "mode=ro&immutable=1")
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        for mode in modes:
            try:
                db.execute("ATTACH ? AS ledger", (f"{path.absolute().as_uri()}?{mode}",))
                return _begin(db)
            except sqlite3.OperationalError as error:
                _detach(db)
                # Also told for a moment while the daemon makes the file, or closes it.
                if error.sqlite_errorcode & 0xFF not in _NO_LOCK_FILE or time.monotonic() > deadline:
                    raise
        time.sleep(0.01)


def _detach(db: sqlite3.Connection) -> None:
    if db.in_transaction:
        db.execute("ROLLBACK")
    if any(name == "ledger" for _, name, _ in db.execute("PRAGMA database_list")):
        db.execute("DETACH ledger")


def _begin(db: sqlite3.Connection) -> bool:
    db.execute("BEGIN")
    names = {name for (name,) in db.execute("SELECT name FROM ledger.sqlite_schema WHERE type = 'table'")}
    return names.issuperset(table for table, _ in _TABLES)


def _make_views(db: sqlite3.Connection, attached: bool, waiting: list[LedgerRow | Outcome]) -> None:
    values = {
        "request": [request_values(row) for row in waiting if isinstance(row, LedgerRow)],
        "outcome": [outcome_values(row) for row in waiting if isinstance(row, Outcome)],
    }
    for table, columns in _TABLES:
        names = ", ".join(columns)
        db.execute(f"CREATE TEMP TABLE waiting_{table} ({names}, UNIQUE (id))")
        sql = f"INSERT OR IGNORE INTO waiting_{table} VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
        db.executemany(sql, (within_sqlite(row) for row in values[table]))
        sources = [f"SELECT {names} FROM waiting_{table}"]  # noqa: S608
        if attached:
            db.execute(f"DELETE FROM waiting_{table} WHERE id IN (SELECT id FROM ledger.{table})")  # noqa: S608
            # Without a UNION, SQLite uses its indexes and is twice as fast.
            if db.execute(f"SELECT NOT EXISTS (SELECT * FROM waiting_{table})").fetchone()[0]:  # noqa: S608
                sources.clear()
            sources.insert(0, f"SELECT {names} FROM ledger.{table}")  # noqa: S608
        db.execute(f"CREATE TEMP VIEW {table}s AS {' UNION ALL '.join(sources)}")
