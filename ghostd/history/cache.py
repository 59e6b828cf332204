"""What was read of one repository's commits, in a SQLite file that can be deleted at any time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_VERSION = 4
_SCHEMA = """
CREATE TABLE head (id TEXT NOT NULL, complete INTEGER NOT NULL, detail TEXT NOT NULL, reach TEXT NOT NULL);
CREATE TABLE commits (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, time_s INTEGER NOT NULL, subject TEXT NOT NULL,
    size INTEGER NOT NULL, live INTEGER NOT NULL
) STRICT;
CREATE INDEX commits_by_time ON commits (live, time_s DESC);
CREATE TABLE paths (number INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE) STRICT;
CREATE TABLE changes (
    path INTEGER NOT NULL, commit_number INTEGER NOT NULL, gone INTEGER NOT NULL, PRIMARY KEY (path, commit_number)
) STRICT, WITHOUT ROWID;
CREATE INDEX changes_by_commit ON changes (commit_number);
CREATE TABLE renames (
    old INTEGER NOT NULL, new INTEGER NOT NULL, commit_number INTEGER NOT NULL, PRIMARY KEY (old, new)
) STRICT, WITHOUT ROWID;
CREATE INDEX renames_by_commit ON renames (commit_number);
CREATE TABLE symbols (
    path INTEGER NOT NULL, name TEXT NOT NULL, commit_number INTEGER NOT NULL, PRIMARY KEY (path, name, commit_number)
) STRICT, WITHOUT ROWID;
CREATE INDEX symbols_by_commit ON symbols (commit_number);
CREATE TABLE symbols_read (commit_number INTEGER PRIMARY KEY) STRICT;
CREATE TABLE blames (key BLOB PRIMARY KEY, spans TEXT NOT NULL) STRICT;
"""
"""`live` commits are in the current head's history. Paths are bytes, as git has them; `gone` ones were deleted.

`symbols` are read when they are asked for, once for each commit in `symbols_read`.

`reach` says under which limits all of a head's history was read; "" where reading was ended before."""


def open_cache(path: Path) -> sqlite3.Connection:
    """The cache; one that is damaged, or of another version, is set aside as `*.old` and begun anew."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        return _open(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
    set_aside(path)
    return _open(path)


def set_aside(path: Path) -> None:
    """Move a cache file out of the way, over the one that was set aside before."""
    with suppress(FileNotFoundError):
        path.replace(path.with_name(path.name + ".old"))
    for end in ("-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=5, isolation_level=None)
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"schema {version}")
        database.execute("PRAGMA journal_mode = WAL").fetchone()
        database.execute("PRAGMA synchronous = NORMAL")
        if version == 0:
            database.executescript(f"BEGIN; {_SCHEMA}; PRAGMA user_version = {_VERSION}; COMMIT;")
        database.execute("SELECT count(*) FROM head").fetchone()
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def path_number(database: sqlite3.Connection, path: bytes) -> int:
    """The path's row, made if there is none."""
    row = database.execute("SELECT number FROM paths WHERE path = ?", (path,)).fetchone()
    if row is not None:
        return int(row[0])
    number = database.execute("INSERT INTO paths (path) VALUES (?)", (path,)).lastrowid
    assert number is not None
    return number
