"""The SQLite file of one root: schema, migrations, and its one writer.

The file is a cache: one that is damaged, or was written by a newer ghostd, is set aside and built again. Each batch
is one transaction, in WAL mode, so that a kill at any moment leaves the last committed generation.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ghostd.index.contents import Content, Contents, NewRows

_log = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 10.0
_CACHE_KB = 8 * 1024
KEEP_BYTES = 16 * 1024 * 1024
"""Of contents that no file has any more, where no setting says otherwise."""
_IN_THE_WAY = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_NOMEM)
)
"""What says nothing about the file's content."""
_INSERT_FILE = (
    "INSERT INTO file (language, size, changed_ns, settled, hash, problem, symbols, uses, imports, content_id, path)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_FILE = (
    "UPDATE file SET language = ?, size = ?, changed_ns = ?, settled = ?, hash = ?, problem = ?,"
    " symbols = ?, uses = ?, imports = ?, content_id = ? WHERE path = ?"
)


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a file without reading it."""

    file_id: int
    size: int
    changed_ns: int
    settled: bool
    hash: bytes | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A file's new row."""

    path: str
    language: str
    size: int
    changed_ns: int
    settled: bool
    hash: bytes | None
    problem: str | None = None
    content: Content | None = None
    """None: there is a problem, or the store has it already (`Store.promise`)."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A file whose content is as the store has it, with its new status."""

    file_id: int
    size: int
    changed_ns: int
    settled: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all indexed files."""

    files: int
    symbols: int
    uses: int
    imports: int
    size_bytes: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Commit:
    """What one transaction changed."""

    generation: int
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def store_path(folder: Path, root: Path) -> Path:
    """Where the index of `root` lies in `folder`."""
    digest = hashlib.blake2b(os.fsencode(root), digest_size=12).hexdigest()
    return folder / f"{digest}.sqlite3"


def migrations() -> list[str]:
    """The SQL of every schema version, the first one first."""
    found = [item for item in (files("ghostd.index") / "migrations").iterdir() if item.name.endswith(".sql")]
    return [item.read_text(encoding="utf-8") for item in sorted(found, key=lambda item: item.name)]


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file's content is wrong, rather than a full disk or a lock in the way.

    A text that is not UTF-8 is an OperationalError, too; only that it comes without SQLite's code tells it apart.
    """
    return not isinstance(error, sqlite3.OperationalError) or not hasattr(error, "sqlite_errorcode")


class Store:
    """The writer's side. Use from one thread; close it."""

    def __init__(self, path: Path, steps: Sequence[str] | None = None, keep_bytes: int = KEEP_BYTES) -> None:
        self.path = path
        self.keep_bytes = keep_bytes
        self.rebuilt = ""
        """Why the previous file was set aside; "" when it was not."""
        self._steps = migrations() if steps is None else steps
        try:
            self._db = self._open()
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # the latter: SQLite's own message is no text
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _IN_THE_WAY or not path.exists():
                raise
            self._set_aside(f"it is damaged ({error})")
            self._db = self._open()
        self._contents = Contents(self._db, keep_bytes)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def rebuild(self, reason: str) -> None:
        """Set the file aside and start with an empty one."""
        with suppress(sqlite3.Error):
            self._db.close()
        self._set_aside(reason)
        self._db = self._open()
        self._contents = Contents(self._db, self.keep_bytes)

    @property
    def db(self) -> sqlite3.Connection:
        """The writer's connection; another one after `rebuild`."""
        return self._db

    @property
    def generation(self) -> int:
        """The last committed generation; 0 for a new store."""
        return int(self._meta("generation") or 0)

    def prepare(self, root: str, extractor: str, limits: str) -> None:
        """Make rows stale that were made by another extractor or under other limits."""
        with self.transaction():
            if self._meta("extractor") != extractor:
                self._db.execute("UPDATE file SET size = -1, hash = iif(problem IS NULL, zeroblob(16), NULL)")
                self._contents.outdate()
            elif self._meta("limits") != limits:
                self._db.execute("UPDATE file SET size = -1, hash = iif(problem IS NULL, hash, NULL)")
            for key, value in (("root", root), ("extractor", extractor), ("limits", limits)):
                self._set_meta(key, value)

    def known(self, folder: str = "") -> dict[str, Known]:
        """What is stored of the files below `folder` ("" for all)."""
        query = "SELECT path, id, size, changed_ns, settled, hash, problem FROM file"
        if folder:
            # "0" is the character after "/".
            rows = self._db.execute(f"{query} WHERE path > ? AND path < ?", (f"{folder}/", f"{folder}0"))
        else:
            rows = self._db.execute(query)
        return {row[0]: Known(row[1], row[2], row[3], bool(row[4]), row[5], row[6]) for row in rows}

    def known_file(self, path: str) -> Known | None:
        """What is stored of one file."""
        row = self._db.execute(
            "SELECT id, size, changed_ns, settled, hash, problem FROM file WHERE path = ?", (path,)
        ).fetchone()
        return Known(row[0], row[1], row[2], bool(row[3]), row[4], row[5]) if row else None

    def commit(
        self,
        records: Iterable[Record] = (),
        touched: Iterable[Touched] = (),
        removed: Iterable[str] = (),
        skips: Mapping[str, str | None] | None = None,
    ) -> Commit:
        """Replace, refresh and remove rows in one transaction; the generation rises if any content changed.

        `skips` says why paths are left out, or, with None, that they are not; nothing below them is any more.
        """
        changed: list[str] = []
        gone: list[str] = []
        left: set[int] = set()
        with self.transaction():
            self._db.executemany(
                "UPDATE file SET size = ?, changed_ns = ?, settled = ? WHERE id = ?",
                [(t.size, t.changed_ns, t.settled, t.file_id) for t in touched],
            )
            self._set_skips(skips or {})
            for path in removed:
                known = self.known_file(path)
                if known is not None:
                    self._leave_content(known.file_id, left)
                    self._db.execute("DELETE FROM file WHERE id = ?", (known.file_id,))
                    if known.problem is None:
                        gone.append(path)
            rows = NewRows()
            new_files: list[tuple[object, ...]] = []
            replaced = {record.path: record for record in records}
            known_files = self._known_files(list(replaced))
            for record in replaced.values():
                known = known_files.get(record.path)
                row = self._row(record, rows)
                if known is None:
                    new_files.append(row)
                else:
                    self._leave_content(known.file_id, left)
                    self._db.execute(_UPDATE_FILE, row)
                if record.problem is None:
                    changed.append(record.path)
                elif known is not None and known.problem is None:
                    gone.append(record.path)
            self._contents.add(rows)
            self._db.executemany(_INSERT_FILE, new_files)
            if changed or gone:
                self._set_meta("generation", self.generation + 1)
            if left:
                self._contents.release(left, self.generation)
            return Commit(self.generation, tuple(changed), tuple(gone))

    def promise(self, digest: bytes, language: str) -> bool:
        """Whether what is in this content is known; a record that counts on that is committed later."""
        return self._contents.promise(digest, language)

    def replace_skips(self, skips: dict[str, str], folder: str = "") -> None:
        """Record what a walk of `folder` ("" for all) left out."""
        with self.transaction():
            if folder:
                self._db.execute("DELETE FROM skip WHERE path > ? AND path < ?", (f"{folder}/", f"{folder}0"))
            else:
                self._db.execute("DELETE FROM skip")
            self._db.executemany("INSERT OR REPLACE INTO skip VALUES (?, ?)", skips.items())

    def skips(self) -> dict[str, str]:
        """Every path that is left out, with its reason."""
        rows = self._db.execute("SELECT path, problem FROM file WHERE problem IS NOT NULL").fetchall()
        return dict(rows) | self.folder_skips()

    def folder_skips(self) -> dict[str, str]:
        """Those of them that only a look at their folder shows: no file that was read."""
        return dict(self._db.execute("SELECT path, reason FROM skip").fetchall())

    def totals(self) -> Totals:
        """Sums over the indexed files."""
        row = self._db.execute(
            "SELECT files, symbols, uses, imports, size, problems + (SELECT count(*) FROM skip) FROM totals"
        ).fetchone()
        return Totals(*map(int, row))

    def _set_skips(self, skips: Mapping[str, str | None]) -> None:
        for path, reason in skips.items():
            self._db.execute(
                "DELETE FROM skip WHERE path = ? OR (path > ? AND path < ?)", (path, f"{path}/", f"{path}0")
            )
            if reason is not None:
                self._db.execute("INSERT INTO skip VALUES (?, ?)", (path, reason))

    def _known_files(self, paths: list[str]) -> dict[str, Known]:
        query = (
            "SELECT path, id, size, changed_ns, settled, hash, problem FROM file"
            " WHERE path IN (SELECT value FROM json_each(?))"
        )
        rows = self._db.execute(query, (json.dumps(paths),))
        return {row[0]: Known(row[1], row[2], row[3], bool(row[4]), row[5], row[6]) for row in rows}

    def _row(self, record: Record, rows: NewRows) -> tuple[object, ...]:
        """The values for a file's row."""
        digest, settled, linked = record.hash, record.settled, None
        if record.problem is None and digest is not None:
            linked = self._contents.link(digest, record.language, record.content, rows)
            if linked is None:
                # Only after a rebuild in between: have the next pass read the file.
                digest, settled = bytes(16), False
        return (
            *(record.language, record.size, record.changed_ns, settled, digest, record.problem),
            *((linked.symbols, linked.uses, linked.imports, linked.content_id) if linked else (0, 0, 0, None)),
            record.path,
        )

    def _leave_content(self, file_id: int, left: set[int]) -> None:
        row = self._db.execute("SELECT content_id FROM file WHERE id = ?", (file_id,)).fetchone()
        if row[0] is not None:
            left.add(row[0])

    def _meta(self, key: str) -> str | int | None:
        row = self._db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _set_meta(self, key: str, value: str | int) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _open(self) -> sqlite3.Connection:
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        db = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > len(self._steps):
                db.close()
                self._set_aside(f"its schema {version} is newer than this ghostd's {len(self._steps)}")
                return self._open()
            db.execute("PRAGMA journal_mode = WAL").fetchone()
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
            for number in range(version, len(self._steps)):
                # executescript would commit between statements.
                db.executescript(f"BEGIN; {self._steps[number]}; PRAGMA user_version = {number + 1}; COMMIT;")
            db.execute("SELECT count(*) FROM meta").fetchone()
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            db.close()
            raise
        return db

    def _set_aside(self, reason: str) -> None:
        aside = self.path.with_name(self.path.name + ".aside")
        self.rebuilt = f"{reason}; the old file is kept as {aside.name}"
        _log.warning("%s is set aside and built again: %s", self.path, reason)
        for suffix in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).unlink()
        with suppress(FileNotFoundError):
            self.path.replace(aside)
