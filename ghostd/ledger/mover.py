"""Moves the journal's segments into the database, and deletes what is too old. Runs in one thread of its own."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from ghostd.ledger.complaints import Complaint
from ghostd.ledger.journal import Segment, keep_rejected, open_segment, read_batches, segments
from ghostd.ledger.lines import decode
from ghostd.ledger.store import NewerSchema, Store, is_damage, set_aside, store_path
from ghostd.records import LedgerRow, Outcome

_log = logging.getLogger(__name__)

_DAY_S = 86_400.0
_CHECK_S = 3_600.0
"""Between two looks for rows that are too old."""
_JUMP_S = 30 * _DAY_S
_DOUBT_S = _DAY_S
"""After the clock has gone ahead by _JUMP_S since the last look, nothing is deleted for so long: it may be wrong."""


class Mover:
    """The only writer of the database."""

    def __init__(self, folder: Path, retention_days: int) -> None:
        self._folder = folder
        self._retention_s = retention_days * _DAY_S
        self._store: Store | None = None
        self._trouble = Complaint()
        self._checked_s: float | None = None

    def fresh_segment(self) -> Segment | None:
        """A new segment for the journal; None if the disk does not give one."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return open_segment(self._folder)
        except OSError as error:
            self._trouble.say(f"{self._folder}: cannot begin a segment of the journal: {error.strerror}")
            return None

    def move(self, complete: Segment | None, current: Path | None) -> bool:
        """Bring every segment but the current one into the database; `complete` is closed.

        False where that must be tried again later: the rows stay in the journal, and the log says why.
        """
        if complete is not None:
            os.close(complete.descriptor)
        try:
            waiting = [path for path in segments(self._folder) if path != current]
            if not waiting and not store_path(self._folder).exists():
                return True
            return self._into_store(waiting)
        except NewerSchema as error:
            self._trouble.say(f"{store_path(self._folder)}: {error}; rows wait in the journal for a newer ghostd")
        except sqlite3.Error as error:
            self._close_store()
            self._trouble.say(f"{store_path(self._folder)}: {error}; rows wait in the journal")
        except OSError as error:
            self._trouble.say(f"{error.filename or self._folder}: {error.strerror}; rows wait in the journal")
        return False

    def prune(self) -> bool:
        """Delete some of what is older than the retention, now and then; whether there may be more."""
        now = time.monotonic()
        if self._store is None or (self._checked_s is not None and now - self._checked_s < _CHECK_S):
            return False
        try:
            more = not self._clock_in_doubt(self._store) and self._store.prune(time.time() - self._retention_s)
        except sqlite3.Error as error:
            self._close_store()
            self._trouble.say(f"{store_path(self._folder)}: {error}; old rows are not deleted")
            more = False
        if not more:
            self._checked_s = now
        return more

    def close(self, current: Segment | None) -> None:
        """Close all files; an empty segment goes."""
        self._close_store()
        if current is not None:
            os.close(current.descriptor)
            if current.size_bytes == 0:
                with suppress(OSError):
                    current.path.unlink()

    def _into_store(self, waiting: list[Path]) -> bool:
        try:
            for path in waiting:
                self._move_segment(self._opened(), path)
            self._opened()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._close_store()
            aside = set_aside(store_path(self._folder))
            _log.error(
                "the ledger's database is damaged (%s): kept as %s, a new one is begun; `sqlite3 %s .recover` may "
                "bring its rows back",
                *(error, aside, aside),
            )
            for path in segments(self._folder):
                if path in waiting:
                    self._move_segment(self._opened(), path)
        return True

    def _move_segment(self, store: Store, path: Path) -> None:
        for batch in read_batches(path):
            rejected: list[bytes] = []
            requests: list[LedgerRow] = []
            outcomes: list[Outcome] = []
            for line in batch:
                row = decode(line)
                if isinstance(row, LedgerRow):
                    requests.append(row)
                elif row is not None:
                    outcomes.append(row)
                else:
                    rejected.append(line)
            store.insert(requests, outcomes)
            if rejected:
                kept = keep_rejected(self._folder, rejected)
                _log.warning("%s: lines that are no rows (torn or damaged): %d, kept in %s", path, len(rejected), kept)
        path.unlink()

    def _clock_in_doubt(self, store: Store) -> bool:
        """Whether the clock has just gone ahead so far that it, rather than the rows' age, may be the reason."""
        now = time.time()
        looked = store.note("looked_s")
        if looked is not None and now - looked > _JUMP_S:
            store.keep_note("doubt_until_s", now + _DOUBT_S)
        store.keep_note("looked_s", now)
        until = store.note("doubt_until_s")
        return until is not None and now < until <= now + _DOUBT_S

    def _opened(self) -> Store:
        """The database; a new one if somebody has deleted the file."""
        if self._store is not None and not self._store.in_place():
            self._close_store()
        if self._store is None:
            self._store = Store(store_path(self._folder))
        return self._store

    def _close_store(self) -> None:
        if self._store is not None:
            with suppress(sqlite3.Error):
                self._store.close()
            self._store = None
