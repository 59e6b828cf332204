"""SQLite files of ghostd's own: made, brought up to date, and set aside when they are damaged."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from ghostd.errors import ConfigError

log = logging.getLogger(__name__)

_BUSY_TIMEOUT_S = 5.0
_WAL_BYTES = 4 * 1024 * 1024
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))


def migrations(package: str) -> list[str]:
    """The SQL of every schema version in a package's folder `migrations`, the first one first."""
    found = [item for item in (files(package) / "migrations").iterdir() if item.name.endswith(".sql")]
    return [item.read_text(encoding="utf-8") for item in sorted(found, key=lambda item: item.name)]


def open_in_folder(folder: Path, name: str, steps: Sequence[str]) -> sqlite3.Connection:
    """The database `name` of a folder that belongs to it, to be used by one thread at a time.

    A damaged one is set aside with its whole folder, since nobody knows any more what lies there. Raises ConfigError
    for one that a newer ghostd has written, OSError or sqlite3.Error.
    """
    try:
        return _open(folder, name, steps)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        aside = _set_aside(folder)
        log.error("%s is damaged (%s); it is now %s, and an empty one takes its place", folder / name, error, aside)  # noqa: TRY400
    return _open(folder, name, steps)


def _open(folder: Path, name: str, steps: Sequence[str]) -> sqlite3.Connection:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / name
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version > len(steps):
            raise ConfigError(
                f"{path}: its schema {version} is newer than this ghostd's {len(steps)}; use a newer ghostd"
            )
        database.execute("PRAGMA journal_mode = WAL").fetchone()
        database.execute("PRAGMA synchronous = FULL")
        database.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        for number in range(version, len(steps)):
            # executescript would commit between statements.
            database.executescript(f"BEGIN; {steps[number]}; PRAGMA user_version = {number + 1}; COMMIT;")
        if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise _damaged()
    except BaseException:
        database.close()
        raise
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All or nothing of what the block writes."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            database.execute("ROLLBACK")
        raise


def _damaged() -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError("a page is not what it should be")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file's content is wrong, rather than a full disk or a lock in the way."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def _set_aside(folder: Path) -> Path:
    number = 1
    while (aside := folder.with_name(f"{folder.name}.damaged-{number}")).exists():
        number += 1
    return folder.rename(aside)
