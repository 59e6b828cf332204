"""A root's chunk search in the daemon, whose numpy is loaded by the first search."""

from __future__ import annotations

import os
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
        self,
        db: sqlite3.Connection,
        words: Mapping[str, float],
        limit: int,
        leave_out: PurePosixPath | None,
        documents: Mapping[PurePosixPath, bytes],
    ) -> list[FoundChunk]:
        """The chunks that fit these words best; those of `documents` stand in for their files'."""
        with self._lock:
            if self._search is None:
                # Else numpy's linear algebra, which nothing here uses, takes memory for each core.
                os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
                from ghostd.index.chunk_search import ChunkSearch

                self._search = ChunkSearch(self.store)
            search = self._search
        return search.search(db, words, limit, leave_out, documents)

    def reset(self) -> None:
        """The store has been replaced by another, or is closed."""
        self._search = None
