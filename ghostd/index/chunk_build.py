"""The worker's side of chunk search: segments are written, joined and taken away.

What no segment has yet is searched from the contents' own blobs, which is quick for some hundred files. So a segment
is written when a complete pass ends, and whenever enough has gathered. Each segment costs every query something;
small ones are therefore joined with what comes, so that their sizes grow geometrically.
"""

# numpy is imported when a segment is written: most starts of the worker need none.

from __future__ import annotations

import json
import logging
import resource
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ghostd.index.segment_file import SegmentInvalid, map_checked, segment_path
from ghostd.index.store import Store

_log = logging.getLogger(__name__)

MAX_CHUNKS = 65_536
"""Of one segment."""
_FULL_CHUNKS = 49_152
"""A segment of so many is not joined with others."""
_GATHERED_POSTINGS = 1_500_000
"""Postings in no segment from which on one is written during a pass; bounds the worker's memory (some 60 MB)."""
_DELTA_POSTINGS = 50_000
"""Postings in no segment that are left to the readers: about 100 files."""
_BATCH = 256


@dataclass(slots=True)
class ChunkBuilder:
    """Keeps one store's segments."""

    store: Store
    max_postings: int
    """Of all segments together; the chunks of further files are not found."""

    def check(self) -> None:
        """Forget segments that are damaged or missing, and remove files that belong to none."""
        db = self.store.db
        names = set()
        for (segment,) in db.execute("SELECT id FROM segment").fetchall():
            path = segment_path(self.store.path, segment)
            problem = _problem(path)
            if problem:
                _log.warning("%s is built again: %s", path, problem)
                self._forget([segment])
            else:
                names.add(path.name)
        for path in self.store.path.parent.glob(f"{self.store.path.stem}.chunks-*"):
            if path.name not in names:
                with suppress(OSError):
                    path.unlink()

    def waiting(self) -> int:
        """Postings of contents in use that are in no segment."""
        query = "SELECT coalesce(sum(postings), 0) FROM content WHERE segment IS NULL AND postings > 0 AND size > 0"
        return int(self.store.db.execute(query).fetchone()[0])

    def gathered(self) -> Iterator[None]:
        """Write segments while too much for the worker's memory has gathered; call it during a pass."""
        if self.waiting() >= _GATHERED_POSTINGS:
            yield from self.write()

    def settle(self, *, everything: bool) -> Iterator[None]:
        """Write segments if there is more than readers should deal with; call it when there is time."""
        waiting = self.waiting()
        if waiting >= _DELTA_POSTINGS or (everything and waiting):
            yield from self.write()

    def write(self) -> Iterator[None]:
        """Put what is in no segment into one, with small segments; yields after each."""
        while True:
            joined = self._to_join()
            contents = self._contents(joined)
            if not contents:
                if joined:
                    self._forget(joined)
                return
            before = self.waiting()
            self._write(joined, contents)
            yield
            if not 0 < self.waiting() < before:  # all are done, or the others are too much
                return

    def left_out(self) -> int:
        """Files whose chunks are too much; right after `settle`."""
        if self.waiting() < _DELTA_POSTINGS:
            return 0
        query = (
            "SELECT count(*) FROM content JOIN file ON file.content_id = content.id"
            " WHERE segment IS NULL AND content.postings > 0"
        )
        return int(self.store.db.execute(query).fetchone()[0])

    def _to_join(self) -> list[int]:
        """The small segments that are written anew together with what is in none."""
        query = "SELECT coalesce(sum(chunks), 0) FROM content WHERE segment IS NULL AND postings > 0 AND size > 0"
        size = int(self.store.db.execute(query).fetchone()[0])
        joined: list[int] = []
        for segment, chunks in self.store.db.execute("SELECT id, chunks FROM segment ORDER BY chunks").fetchall():
            if chunks > max(2 * size, 1024) or chunks >= _FULL_CHUNKS or size + chunks > MAX_CHUNKS:
                break
            joined.append(segment)
            size += chunks
        return joined

    def _contents(self, joined: Sequence[int]) -> list[int]:
        """What one new segment shall hold."""
        db = self.store.db
        listed = (json.dumps(joined),)
        room = (
            self.max_postings
            - db.execute(
                "SELECT coalesce(sum(postings), 0) FROM segment WHERE id NOT IN (SELECT value FROM json_each(?))",
                listed,
            ).fetchone()[0]
        )
        found: list[int] = []
        chunks = 0
        rows = db.execute(
            "SELECT id, chunks, postings FROM content WHERE segment IN (SELECT value FROM json_each(?)) AND size > 0"
            " UNION ALL SELECT id, chunks, postings FROM content WHERE segment IS NULL AND postings > 0 AND size > 0",
            listed,
        ).fetchall()
        for content_id, count, postings in rows:
            room -= postings
            if chunks + count > MAX_CHUNKS or room < 0:
                break
            chunks += count
            found.append(content_id)
        return found

    def _write(self, joined: Sequence[int], contents: Sequence[int]) -> None:
        db = self.store.db
        blobs = []
        for content_id in contents:
            row = db.execute("SELECT chunks FROM parsed WHERE content_id = ?", (content_id,)).fetchone()
            if row is not None:
                blobs.append((content_id, row[0]))
        with _without_memory_limit():
            self._write_blobs(joined, contents, blobs)

    def _write_blobs(self, joined: Sequence[int], contents: Sequence[int], blobs: list[tuple[int, bytes]]) -> None:
        from ghostd.index.chunk_segment import gather, write_segment

        db = self.store.db
        postings = gather(blobs)
        with self.store.transaction():
            counts = (len(postings.first_lines), len(postings.chunks))
            segment = db.execute("INSERT INTO segment (chunks, postings) VALUES (?, ?)", counts).lastrowid
            assert segment is not None
            write_segment(segment_path(self.store.path, segment), postings)
            self._forget_rows(joined)
            db.executemany("UPDATE content SET segment = ? WHERE id = ?", [(segment, number) for number in contents])
        self._unlink(joined)

    def _forget(self, segments: Sequence[int]) -> None:
        with self.store.transaction():
            self._forget_rows(segments)
        self._unlink(segments)

    def _forget_rows(self, segments: Sequence[int]) -> None:
        db = self.store.db
        numbers = [(number,) for number in segments]
        db.executemany("DELETE FROM segment WHERE id = ?", numbers)
        # What is gone was kept for the segment's sake only.
        db.executemany("DELETE FROM content WHERE segment = ? AND size = 0", numbers)
        db.executemany("UPDATE content SET segment = NULL WHERE segment = ?", numbers)

    def _unlink(self, segments: Sequence[int]) -> None:
        for segment in segments:
            with suppress(OSError):
                segment_path(self.store.path, segment).unlink()


@contextmanager
def _without_memory_limit() -> Iterator[None]:
    """Lift the limit that is meant for parsers: loading numpy and a bounded sort may need more.

    What is still taken afterwards is added to it.
    """
    if sys.platform != "linux":
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        yield
    finally:
        if soft != resource.RLIM_INFINITY:
            soft += max(_address_space() - before, 0)
            if hard != resource.RLIM_INFINITY:
                soft = min(soft, hard)
            resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _problem(path: Path) -> str:
    """Why the file cannot be a segment; "" when it can."""
    try:
        map_checked(path)[0].close()
    except (SegmentInvalid, OSError) as error:
        return str(error)
    return ""
