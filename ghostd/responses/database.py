"""The SQLite file of responses and conversations: opening, migrations.

It holds what users have said: mode 0600. A damaged file is set aside under a name of its own, and one that a newer
ghostd has written is left alone.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ghostd.database import migrations

_BUSY_TIMEOUT_S = 5.0
_WAL_BYTES = 4 * 1024 * 1024


class NewerSchema(Exception):
    """A newer ghostd has written the file."""


def open_database(path: Path) -> sqlite3.Connection:
    """The file, made or brought up to date; raises sqlite3.Error, OSError or NewerSchema.

    A transaction is in the write-ahead log before it is told to anybody, so that it survives the process's death;
    what a power cut takes is the last of them, never the file.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        _prepare(database, migrations("ghostd.responses"))
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection, steps: Sequence[str]) -> None:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(steps):
        raise NewerSchema(f"its schema {version} is newer than this ghostd's {len(steps)}")
    database.execute("PRAGMA journal_mode = WAL").fetchone()
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("PRAGMA secure_delete = ON")  # what a user deletes is gone from the file, too
    database.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
    for number in range(version, len(steps)):
        # executescript would commit between statements.
        database.executescript(f"BEGIN; {steps[number]}; PRAGMA user_version = {number + 1}; COMMIT;")
    database.execute("SELECT COUNT(*) FROM response, conversation, item LIMIT 0")


def set_aside(path: Path) -> Path:
    """Rename a damaged database, with its write-ahead log, to a name that is free; returns the new name."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for suffix in ("-wal", "-shm", ""):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).replace(aside.with_name(aside.name + suffix))
    return aside
