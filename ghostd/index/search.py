"""Reads of one root's store, in threads, each on a connection of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ghostd.index.blobs import DamagedBlob
from ghostd.index.chunks import chunk_lines
from ghostd.index.rows import all_uses, decode_imports, decode_outline, find_symbols, find_uses, name_crc
from ghostd.index.store import BUSY_TIMEOUT_S
from ghostd.indexed import Chunk, Import, IndexedFile, Reference, Skip, Span, Symbol, path_of

T = TypeVar("T")

_CACHE_KB = 512
"""Of each connection, beside the kernel's page cache: the upper levels of the tables' trees."""
_LAST_CHARACTER = chr(0x10FFFF)
_IN_USE = "EXISTS (SELECT 1 FROM file WHERE file.content_id = definition.content_id)"
"""What no file has any more is kept for a while."""


@dataclass(slots=True)
class Reader:
    """Connections to a store that are free now; reads see its last committed generation."""

    path: Path
    executor: Executor
    _free: list[sqlite3.Connection] = field(default_factory=list)
    """Never more than the executor has threads: each takes one when it begins, not when it is asked to."""
    age: int = 0
    """How often all connections have been given up."""
    _lock: threading.Lock = field(default_factory=threading.Lock)
    """Around `_free` and `age`."""

    async def run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """The query's answer; raises sqlite3.Error. A caller that is cancelled before its turn costs nothing."""
        return await asyncio.get_running_loop().run_in_executor(self.executor, self._ask, query)

    def reopen(self) -> None:
        """Forget all connections: the file has been replaced, or reading ends."""
        with self._lock:
            self.age += 1
            free, self._free = self._free, []
        for connection in free:
            self._close(connection)

    def _ask(self, query: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            age = self.age
            connection = self._free.pop() if self._free else None
        kept = False
        try:
            connection = connection or self._open()
            answer = query(connection)
        except UnicodeDecodeError as error:  # in what SQLite says of a damaged schema
            raise DamagedBlob(str(error)) from None
        else:
            with self._lock:
                if kept := age == self.age:
                    self._free.append(connection)
            return answer
        finally:
            if connection is not None and not kept:
                connection.close()

    def _open(self) -> sqlite3.Connection:
        # Not mode=ro: a read-only connection cannot take part in WAL's shared memory in every case.
        uri = f"{self.path.as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
        connection.execute("PRAGMA query_only = 1")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
        return connection

    def _close(self, connection: sqlite3.Connection) -> None:
        try:
            self.executor.submit(connection.close)
        except RuntimeError:  # the index is closed, and with it the executor
            connection.close()


def files(db: sqlite3.Connection) -> list[IndexedFile]:
    """All indexed files by path."""
    rows = db.execute("SELECT path, language, size, changed_ns, hash FROM file WHERE problem IS NULL ORDER BY path")
    found = [IndexedFile(PurePosixPath(row[0]), row[1], row[2], row[3], row[4]) for row in rows]
    return sorted(found, key=lambda file: file.path)


def skips(db: sqlite3.Connection) -> list[Skip]:
    """What is left out, by path."""
    found = dict(db.execute("SELECT path, problem FROM file WHERE problem IS NOT NULL"))
    found.update(db.execute("SELECT path, reason FROM skip"))
    return [Skip(PurePosixPath(path), reason) for path, reason in sorted(found.items())]


def which_indexed(db: sqlite3.Connection, paths: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """Those of these files that are indexed."""
    return [path for path in paths if is_indexed(db, path)]


def is_indexed(db: sqlite3.Connection, path: PurePosixPath) -> bool:
    """Whether the file is indexed."""
    query = "SELECT 1 FROM file WHERE path = ? AND problem IS NULL"
    return db.execute(query, (storable(str(path)),)).fetchone() is not None


def outline(db: sqlite3.Connection, path: PurePosixPath) -> list[Symbol]:
    """The file's definitions."""
    blob = _outline_of(db, path)
    return [symbol_of(path, row) for row in decode_outline(blob)[0]] if blob else []


def imports(db: sqlite3.Connection, path: PurePosixPath) -> list[Import]:
    """The file's imports."""
    blob = _outline_of(db, path)
    return [import_of(path, row) for row in decode_imports(blob)] if blob else []


def imports_after(db: sqlite3.Connection, after: str, limit: int) -> list[tuple[PurePosixPath, list[Import]]]:
    """The imports of the next `limit` parsed files, as (path, imports)."""
    rows = db.execute(
        "SELECT file.path, parsed.outline FROM file JOIN parsed USING (content_id)"
        " WHERE file.path > ? AND parsed.outline IS NOT NULL ORDER BY file.path LIMIT ?",
        (storable(after), max(limit, 0)),
    )
    found = []
    for name, blob in rows:
        path = PurePosixPath(name)
        found.append((path, [import_of(path, row) for row in decode_imports(blob)]))
    return found


def definitions(db: sqlite3.Connection, name: str, limit: int) -> list[Symbol]:
    """Definitions of exactly this name."""
    rows = db.execute(
        "SELECT file.path, content_id FROM definition JOIN file USING (content_id) WHERE definition.name = ?",
        (storable(name),),
    ).fetchall()
    found: list[Symbol] = []
    for path, content_id in _by_path(rows):
        if len(found) >= limit:
            break
        blob = db.execute("SELECT outline FROM parsed WHERE content_id = ?", (content_id,)).fetchone()
        if blob is not None:
            found.extend(symbol_of(path, row) for row in decode_outline(blob[0])[0] if row[0] == name)
    return found[:limit]


def symbols(db: sqlite3.Connection, prefix: str, limit: int) -> list[Symbol]:
    """Definitions by the start of their name."""
    if limit <= 0:
        return []  # SQLite takes a negative limit for none
    names = db.execute(
        f"SELECT DISTINCT name FROM definition WHERE name >= ? AND name < ? AND {_IN_USE} ORDER BY name LIMIT ?",  # noqa: S608
        (storable(prefix), storable(prefix) + _LAST_CHARACTER, limit),
    ).fetchall()
    found: list[Symbol] = []
    for (name,) in names:
        found.extend(definitions(db, name, limit - len(found)))
        if len(found) >= limit:
            break
    return found


def references(db: sqlite3.Connection, name: str, limit: int) -> list[Reference]:
    """Uses of exactly this name."""
    encoded = name.encode("utf-8", "replace")
    rows = db.execute(
        "SELECT file.path, content_id FROM use JOIN file USING (content_id) WHERE use.name_crc = ?",
        (name_crc(encoded),),
    ).fetchall()
    found: list[Reference] = []
    for path, content_id in _by_path(rows):
        blob = db.execute("SELECT uses FROM parsed WHERE content_id = ?", (content_id,)).fetchone()
        if blob is None:
            continue
        for start, line in find_uses(blob[0], encoded):
            if len(found) >= limit:
                return found
            found.append(Reference(name, path, Span(start, start + len(encoded)), line))
    return found


def names(db: sqlite3.Connection, limit: int) -> list[str]:
    """The names of all definitions."""
    # SQLite compares UTF-8 byte by byte, which orders as code points do.
    rows = db.execute(f"SELECT DISTINCT name FROM definition WHERE {_IN_USE} ORDER BY name LIMIT ?", (max(limit, 0),))  # noqa: S608
    return [name for (name,) in rows]


def files_defining(db: sqlite3.Connection, names: Sequence[str]) -> list[tuple[str, PurePosixPath]]:
    """Which files define these names."""
    return [(name, path) for name, path, _ in defined_within(db, names)]


def defined_within(
    db: sqlite3.Connection, names: Sequence[str]
) -> list[tuple[str, PurePosixPath, tuple[str, ...] | None]]:
    """Which files define these names, and in what."""
    query = (
        "SELECT name, path, containers FROM (SELECT DISTINCT value FROM json_each(?))"
        " JOIN definition ON name = value JOIN file USING (content_id)"
    )
    return [
        (name, path_of(path), None if containers is None else tuple(containers.split("\n")))
        for name, path, containers in db.execute(query, (json.dumps([storable(name) for name in names]),))
    ]


def definitions_in(db: sqlite3.Connection, places: Sequence[tuple[str, PurePosixPath]]) -> list[Symbol]:
    """The definitions of names in files; each file is read once."""
    names_in: dict[str, set[str]] = {}
    for name, path in places:
        names_in.setdefault(storable(str(path)), set()).add(name)
    query = (
        "SELECT file.path, parsed.outline FROM file JOIN parsed USING (content_id)"
        " WHERE file.path IN (SELECT value FROM json_each(?)) AND parsed.outline IS NOT NULL"
    )
    rows = {path: find_symbols(blob, names_in[path]) for path, blob in db.execute(query, (json.dumps([*names_in]),))}
    return [symbol_of(path, row) for name, path in places for row in rows.get(storable(str(path)), {}).get(name, ())]


def uses(db: sqlite3.Connection, path: PurePosixPath) -> list[Reference]:
    """One file's uses of names."""
    row = db.execute(
        "SELECT parsed.uses FROM file JOIN parsed USING (content_id) WHERE path = ? AND outline IS NOT NULL",
        (storable(str(path)),),
    ).fetchone()
    return [
        Reference(name.decode("utf-8", "replace"), path, Span(start, end), line)
        for name, start, end, line in (all_uses(row[0]) if row else ())
    ]


def chunks(db: sqlite3.Connection, path: PurePosixPath) -> list[Chunk]:
    """One file's chunks."""
    query = "SELECT parsed.chunks FROM file JOIN parsed USING (content_id) WHERE path = ? AND problem IS NULL"
    row = db.execute(query, (storable(str(path)),)).fetchone()
    return [Chunk(path, first, last) for first, last in chunk_lines(row[0])] if row else []


def _outline_of(db: sqlite3.Connection, path: PurePosixPath) -> bytes | None:
    row = db.execute(
        "SELECT parsed.outline FROM file JOIN parsed USING (content_id) WHERE file.path = ?",
        (storable(str(path)),),
    ).fetchone()
    return row[0] if row else None


def _by_path(rows: list[tuple[str, int]]) -> list[tuple[PurePosixPath, int]]:
    return sorted((path_of(path), file_id) for path, file_id in rows)


def storable(text: str) -> str:
    """`text` without lone surrogates, which SQLite refuses and no stored name has."""
    return text.encode("utf-8", "replace").decode()


def import_of(path: PurePosixPath, row: list[Any]) -> Import:
    """An import from its row in an outline."""
    module, names, line, as_names, kind, container = row
    return Import(path, module, tuple(names), line, tuple(as_names), kind, container)


def symbol_of(path: PurePosixPath, row: list[Any]) -> Symbol:
    """A definition from its row in an outline."""
    name, kind, start, end, name_start, name_end, line, container, signature = row
    return Symbol(name, kind, path, Span(start, end), Span(name_start, name_end), line, container, signature)
