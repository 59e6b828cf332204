"""The vectors of one root on the disk: a database of what there is, and a flat file of codes, mapped into memory.

Codes are written first, behind all that count, and made durable; then one transaction makes them count. A kill at any
moment leaves what was committed last. Codes that nothing needs any more stay in the file until they are a third of it;
then a new file takes its place, in one transaction as well.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import sqlite3
import threading
import zlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ghostd.database import migrations, open_in_folder, transaction
from ghostd.errors import ConfigError
from ghostd.vectors.codes import Coded, Codes, Scales
from ghostd.vectors.texts import TEXT_HASH_BYTES

log = logging.getLogger(__name__)

_DATABASE = "vectors.sqlite3"
_WASTE_ROWS = 1_000
"""Fewer are not worth a new file."""
_COPIED_ROWS = 4_096


@dataclass(frozen=True, slots=True)
class Rows:
    """One content's place among the codes, and what its rows are."""

    first_row: int
    lines: npt.NDArray[np.uint32]
    """Rows x (first line, last line)."""
    scales: Scales
    texts: npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class NewContent:
    """A content whose chunks have been embedded."""

    content_hash: bytes
    lines: Sequence[tuple[int, int]]
    texts: Sequence[bytes]
    vectors: Coded


@dataclass(frozen=True, slots=True)
class Table:
    """All vectors at one moment."""

    codes: Codes
    scales: Scales
    """0 for rows that count no more."""
    lines: npt.NDArray[np.uint32]
    owners: npt.NDArray[np.int32]
    """Row → its place in `hashes`; -1 for none."""
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class KnownTexts:
    """Vectors by the texts that they were made of, at one moment."""

    hashes: npt.NDArray[np.uint64]
    """Ascending."""
    rows: npt.NDArray[np.int64]
    table: Table

    def find(self, texts: Sequence[bytes]) -> Coded | None:
        """The vectors of these texts, with a scale of -1 for those that have none; None where none has one."""
        if not len(self.hashes):
            return None
        wanted = _texts(texts)
        places = np.searchsorted(self.hashes, wanted)
        places[places == len(self.hashes)] = 0
        there = self.hashes[places] == wanted
        if not there.any():
            return None
        rows = self.rows[places]
        return Coded(self.table.codes[rows], np.where(there, self.table.scales[rows], np.float32(-1)))


def store_folder(folder: Path, root: Path) -> Path:
    """Where the vectors of `root` lie in `folder`."""
    return folder / hashlib.blake2b(os.fsencode(root), digest_size=12).hexdigest()


class VectorStore:
    """Blocks; may be used from any thread. Raises OSError, sqlite3.Error or ConfigError."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lost = 0
        """Contents whose codes were damaged, and that have been forgotten."""
        self._lock = threading.Lock()
        self._db = open_in_folder(folder, _DATABASE, migrations("ghostd.vectors"))
        self._contents: dict[bytes, Rows] = {}
        self._model, self._dimensions, self._file, self._end = "", 0, 0, 0
        self._codes: Codes = np.zeros((0, 0), np.int8)
        self._table: Table | None = None
        try:
            self._load()
        except BaseException:
            self._db.close()
            raise

    @property
    def model(self) -> str:
        """Whose vectors they are; "" while there are none."""
        return self._model

    @property
    def dimensions(self) -> int:
        """0 while there are none."""
        return self._dimensions

    @property
    def rows(self) -> int:
        """How many chunks have vectors."""
        with self._lock:
            return sum(len(rows.scales) for rows in self._contents.values())

    def rows_of(self, hashes: Collection[bytes]) -> int:
        """How many chunks of these contents have vectors."""
        with self._lock:
            return sum(len(rows.scales) for content_hash, rows in self._contents.items() if content_hash in hashes)

    def hashes(self) -> frozenset[bytes]:
        """The contents that have vectors."""
        with self._lock:
            return frozenset(self._contents)

    def close(self) -> None:
        """Close the database; the mapped codes go with their last user."""
        with self._lock:
            self._db.close()

    def use(self, model: str) -> None:
        """Forget all that another model made."""
        with self._lock:
            if self._model != model:
                self._reset(model)

    def forget(self) -> None:
        """Forget everything."""
        with self._lock:
            self._reset(self._model)

    def known_texts(self) -> KnownTexts:
        """The vectors by their texts, as they are now."""
        with self._lock:
            table = self._current()
            hashes = np.zeros(len(table.scales), np.uint64)
            for rows in self._contents.values():
                hashes[rows.first_row : rows.first_row + len(rows.texts)] = rows.texts
            live = np.flatnonzero(table.owners >= 0)
            live = live[np.argsort(hashes[live], kind="stable")]
            return KnownTexts(hashes[live], live, table)

    def add(self, contents: Sequence[NewContent]) -> None:
        """Keep contents; their vectors must all be of one length, which is the store's."""
        with self._lock:
            self._add(contents)

    def keep_only(self, hashes: Collection[bytes]) -> None:
        """Forget all other contents."""
        with self._lock:
            gone = [each for each in self._contents if each not in hashes]
            if gone:
                with transaction(self._db):
                    self._db.executemany("DELETE FROM content WHERE hash = ?", [(each,) for each in gone])
                for each in gone:
                    del self._contents[each]
                self._table = None
            live = sum(len(rows.scales) for rows in self._contents.values())
            if self._end - live > max(_WASTE_ROWS, self._end // 3):
                self._rewrite()

    def table(self) -> Table:
        """All vectors as they are now; stays as it is, whatever becomes of the store."""
        with self._lock:
            return self._current()

    # --- with the lock held ----------------------------------------------------------------

    def _current(self) -> Table:
        if self._table is None:
            scales = np.zeros(self._end, np.float32)
            lines = np.zeros((self._end, 2), np.uint32)
            owners = np.full(self._end, -1, np.int32)
            for place, rows in enumerate(self._contents.values()):
                part = slice(rows.first_row, rows.first_row + len(rows.scales))
                scales[part], lines[part], owners[part] = rows.scales, rows.lines, place
            self._table = Table(self._codes[: self._end], scales, lines, owners, tuple(self._contents))
        return self._table

    def _load(self) -> None:
        meta = dict(self._db.execute("SELECT key, value FROM meta"))
        self._model, self._dimensions = meta.get("model", ""), meta.get("dimensions", 0)
        self._file = meta.get("file", 0)
        rows = self._db.execute("SELECT hash, first_row, rows, lines, scales, texts, checksum FROM content").fetchall()
        self._remove_others()
        self._end = max((first + count for _, first, count, *_ in rows), default=0)
        try:
            self._map()
        except (OSError, ValueError) as error:
            log.warning("the vectors in %s cannot be read (%s); they are made anew", self.folder, error)
            self.lost = len(rows)
            self._reset(self._model)
            return
        bad = []
        for content_hash, first, count, lines, scales, texts, checksum in rows:
            sizes = (len(lines) == 8 * count, len(scales) == 4 * count, len(texts) == TEXT_HASH_BYTES * count)
            if not all(sizes) or zlib.crc32(self._codes[first : first + count].tobytes()) != checksum:
                bad.append(content_hash)
                continue
            self._contents[content_hash] = Rows(
                first,
                np.frombuffer(lines, np.uint32).reshape(-1, 2),
                np.frombuffer(scales, np.float32),
                np.frombuffer(texts, np.uint64),
            )
        if bad:
            log.warning("the vectors of %d texts in %s are damaged; they are made anew", len(bad), self.folder)
            self.lost = len(bad)
            with transaction(self._db):
                self._db.executemany("DELETE FROM content WHERE hash = ?", [(each,) for each in bad])

    def _map(self) -> None:
        """Map the file as far as it counts; raises OSError, or ValueError where it is too short."""
        if not self._end or not self._dimensions:
            self._codes = np.zeros((0, self._dimensions), np.int8)
            return
        with self._path(self._file).open("rb") as file:
            # Longer than the file would be a bus error at the first look.
            if os.fstat(file.fileno()).st_size < self._end * self._dimensions:
                raise ValueError("the file of codes is too short")
            mapped = mmap.mmap(file.fileno(), self._end * self._dimensions, access=mmap.ACCESS_READ)
        self._codes = np.frombuffer(mapped, np.int8).reshape(self._end, self._dimensions)

    def _reset(self, model: str, dimensions: int = 0) -> None:
        with transaction(self._db):
            self._db.execute("DELETE FROM content")
            self._set_meta(model=model, dimensions=dimensions, file=self._file + 1)
        self._contents, self._table, self._end = {}, None, 0
        self._model, self._dimensions, self._file = model, dimensions, self._file + 1
        self._map()
        self._remove_others()

    def _add(self, contents: Sequence[NewContent]) -> None:
        dimensions = next((one.vectors.codes.shape[1] for one in contents if len(one.vectors.codes)), 0)
        if dimensions and dimensions != self._dimensions:
            self._reset(self._model, dimensions)
        codes = b"".join(one.vectors.codes.tobytes() for one in contents)
        descriptor = os.open(self._path(self._file), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _write(descriptor, codes, self._end * self._dimensions)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        row, added, records = self._end, {}, []
        for one in contents:
            lines = np.array(one.lines, np.uint32).reshape(-1, 2)
            texts = _texts(one.texts)
            added[one.content_hash] = Rows(row, lines, one.vectors.scales, texts)
            records.append(
                (
                    *(one.content_hash, row, len(lines), lines.tobytes(), one.vectors.scales.tobytes()),
                    *(texts.tobytes(), zlib.crc32(one.vectors.codes.tobytes())),
                )
            )
            row += len(lines)
        with transaction(self._db):
            self._db.executemany("INSERT OR REPLACE INTO content VALUES (?, ?, ?, ?, ?, ?, ?)", records)
        self._contents.update(added)
        self._end, self._table = row, None
        self._map()

    def _rewrite(self) -> None:
        """A new file of the codes that count."""
        number = self._file + 1
        moved: dict[bytes, Rows] = {}
        row = 0
        descriptor = os.open(self._path(number), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            for content_hash, rows in self._contents.items():
                count = len(rows.scales)
                for start in range(0, count, _COPIED_ROWS):
                    first = rows.first_row + start
                    part = self._codes[first : first + min(_COPIED_ROWS, count - start)]
                    _write(descriptor, part.tobytes(), (row + start) * self._dimensions)
                moved[content_hash] = Rows(row, rows.lines, rows.scales, rows.texts)
                row += count
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        with transaction(self._db):
            places = [(rows.first_row, content_hash) for content_hash, rows in moved.items()]
            self._db.executemany("UPDATE content SET first_row = ? WHERE hash = ?", places)
            self._set_meta(model=self._model, dimensions=self._dimensions, file=number)
        self._contents, self._file, self._end, self._table = moved, number, row, None
        self._map()
        self._remove_others()

    def _set_meta(self, **values: str | int) -> None:
        self._db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))

    def _path(self, number: int) -> Path:
        return self.folder / f"codes-{number}"

    def _remove_others(self) -> None:
        """Files of codes that are not in force; whoever has mapped one keeps it."""
        for path in self.folder.glob("codes-*"):
            if path != self._path(self._file):
                with suppress(OSError):
                    path.unlink()


def open_store(folder: Path) -> VectorStore:
    """The store in `folder`, made if there is none; one of a newer ghostd is set aside, as it can be made again."""
    try:
        return VectorStore(folder)
    except ConfigError as error:
        aside = folder.with_name(f"{folder.name}.newer")
        number = 1
        while aside.exists():
            number += 1
            aside = folder.with_name(f"{folder.name}.newer-{number}")
        folder.rename(aside)
        log.warning("%s; it is now %s", error, aside)
        return VectorStore(folder)


def _write(descriptor: int, data: bytes, offset: int) -> None:
    with memoryview(data) as rest:
        written = 0
        while written < len(rest):
            written += os.pwrite(descriptor, rest[written:], offset + written)


def _texts(texts: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    return np.frombuffer(b"".join(texts), np.uint64)


StoreFailure = (OSError, sqlite3.Error, ConfigError)
"""What a store raises."""
