"""Contents in the store: what is known of a text, whichever files hold it, and for how long it is kept without one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import itemgetter

from ghostd.index.rows import decode_outline, name_crc, names_used

_KEY = itemgetter(0, 1)


@dataclass(frozen=True, slots=True)
class Content:
    """What was found in a text."""

    outline: bytes | None = None
    """None where there is no grammar."""
    uses: bytes = b""
    chunks: bytes = b""
    defined: Mapping[str, str | None] = field(default_factory=dict)
    """Name → the containers of its definitions, a line each; None where that is too much."""
    used: frozenset[int] = frozenset()
    """CRCs of names."""
    symbol_count: int = 0
    use_count: int = 0
    import_count: int = 0
    chunk_count: int = 0
    posting_count: int = 0

    @property
    def size(self) -> int:
        """Bytes of its blobs and its row, roughly; never 0."""
        return 100 + len(self.outline or b"") + len(self.uses) + len(self.chunks)


@dataclass(frozen=True, slots=True)
class Linked:
    """A content's row."""

    content_id: int
    symbols: int
    uses: int
    imports: int


@dataclass(slots=True)
class NewRows:
    """What a transaction adds at its end, table by table and in the order of their keys, which takes the least time."""

    parsed: list[tuple[int, bytes | None, bytes, bytes]] = field(default_factory=list)
    definitions: list[tuple[str, int, str | None]] = field(default_factory=list)
    uses: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Contents:
    """The rows of contents; all changes happen inside the store's transactions."""

    db: sqlite3.Connection
    keep_bytes: int
    """Contents without a file that are kept, by their blobs' size."""
    _promised: set[tuple[bytes, str]] = field(default_factory=set)
    """Contents that a waiting record counts on."""

    def promise(self, digest: bytes, language: str) -> bool:
        """Whether this content is known; then it is kept at least until it is linked."""
        if (digest, language) not in self._promised:
            if self._find(digest, language) is None:
                return False
            self._promised.add((digest, language))
        return True

    def link(self, digest: bytes, language: str, content: Content | None, rows: NewRows) -> Linked | None:
        """The content's row, made from `content` when it is new; what it has in other tables goes into `rows`.

        None: it is not known, and `content` is None.
        """
        self._promised.discard((digest, language))
        if content is not None:
            added = self._add(digest, language, content, rows)
            if added is not None:
                return added
        found = self._find(digest, language)
        if found is not None:
            self.db.execute(
                "UPDATE content SET released = NULL WHERE id = ? AND released IS NOT NULL", (found.content_id,)
            )
        return found

    def add(self, rows: NewRows) -> None:
        """Write what `link` has gathered."""
        self.db.executemany("INSERT INTO parsed VALUES (?, ?, ?, ?)", rows.parsed)
        self.db.executemany("INSERT INTO definition VALUES (?, ?, ?)", sorted(rows.definitions, key=_KEY))
        self.db.executemany("INSERT INTO use VALUES (?, ?)", sorted(rows.uses))

    def _add(self, digest: bytes, language: str, content: Content, rows: NewRows) -> Linked | None:
        """A new row; None where there is one."""
        counts = (content.symbol_count, content.use_count, content.import_count)
        cursor = self.db.execute(
            "INSERT OR IGNORE INTO content (hash, language, symbols, uses, imports, chunks, postings, size)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (digest, language, *counts, content.chunk_count, content.posting_count, content.size),
        )
        content_id = cursor.lastrowid
        if not cursor.rowcount or content_id is None:
            return None
        rows.parsed.append((content_id, content.outline, content.uses, content.chunks))
        rows.definitions += [(name, content_id, containers) for name, containers in content.defined.items()]
        rows.uses += [(crc, content_id) for crc in content.used]
        return Linked(content_id, *counts)

    def release(self, content_ids: Iterable[int], generation: int) -> None:
        """Note which of these contents no file has any more, and drop what is too much."""
        self.db.executemany(
            "UPDATE content SET released = ? WHERE id = ? AND NOT EXISTS"
            " (SELECT 1 FROM file WHERE content_id = content.id)",
            [(generation, content_id) for content_id in content_ids],
        )
        size = self.db.execute("SELECT coalesce(sum(size), 0) FROM content WHERE released IS NOT NULL").fetchone()[0]
        # What another extractor made is of no use to anybody.
        outdated = "SELECT id, size, language FROM content WHERE released IS NOT NULL AND hash IS NULL AND size > 0"
        for content_id, freed, _ in self.db.execute(outdated).fetchall():
            size -= freed
            self._drop(content_id)
        if size <= self.keep_bytes:
            return
        query = (
            "SELECT id, size, hash, language FROM content WHERE released IS NOT NULL AND size > 0 ORDER BY released, id"
        )
        for content_id, freed, digest, language in self.db.execute(query).fetchall():
            if (digest, language) in self._promised:
                continue
            self._drop(content_id)
            size -= freed
            if size <= self.keep_bytes:
                return

    def outdate(self) -> None:
        """Another extractor reads from now on: what is known still answers, but stands for no file read anew."""
        self._promised.clear()
        self.db.execute("UPDATE content SET hash = NULL")

    def _find(self, digest: bytes, language: str) -> Linked | None:
        row = self.db.execute(
            "SELECT id, symbols, uses, imports FROM content WHERE hash = ? AND language = ?", (digest, language)
        ).fetchone()
        return Linked(*row) if row else None

    def _drop(self, content_id: int) -> None:
        row = self.db.execute("SELECT outline, uses FROM parsed WHERE content_id = ?", (content_id,)).fetchone()
        if row is not None and row[0] is not None:
            names = {symbol[0] for symbol in decode_outline(row[0])[0]}
            self.db.executemany(
                "DELETE FROM definition WHERE name = ? AND content_id = ?", [(name, content_id) for name in names]
            )
            crcs = {name_crc(name) for name in names_used(row[1])}
            self.db.executemany(
                "DELETE FROM use WHERE name_crc = ? AND content_id = ?", [(crc, content_id) for crc in crcs]
            )
        self.db.execute("DELETE FROM parsed WHERE content_id = ?", (content_id,))
        # A segment may go on naming it.
        self.db.execute("UPDATE content SET hash = NULL, size = 0 WHERE id = ? AND segment IS NOT NULL", (content_id,))
        self.db.execute("DELETE FROM content WHERE id = ? AND segment IS NULL", (content_id,))
