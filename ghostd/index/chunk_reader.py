"""A root's chunk search in the daemon, whose numpy is loaded by the first search."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ghostd.indexed import FoundChunk

if TYPE_CHECKING:
    from ghostd.index.chunk_search import ChunkSearch


@dataclass(slots=True)
class ChunkReader:
    """See ChunkSearch. `search` is called in threads."""

    store: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _search: ChunkSearch | None = None

    def search(
        self, db: sqlite3.Connection, words: Mapping[str, float], limit: int, leave_out: PurePosixPath | None
    ) -> list[FoundChunk]:
        """The chunks that fit these words best."""
        with self._lock:
            if self._search is None:
                from ghostd.index.chunk_search import ChunkSearch

                self._search = ChunkSearch(self.store)
            search = self._search
        return search.search(db, words, limit, leave_out)

    def reset(self) -> None:
        """The store has been replaced by another, or is closed."""
        self._search = None
