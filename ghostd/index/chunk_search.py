"""Chunk search in the daemon: BM25 over the mapped segments and what is in none yet. Runs in the readers' threads."""

from __future__ import annotations

import heapq
import json
import sqlite3
import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from ghostd.index.chunk_segment import MAX_CHUNKS, Postings, gather, open_segment
from ghostd.index.search import storable
from ghostd.index.segment_file import DamagedChunks, SegmentInvalid, segment_path
from ghostd.index.terms import weighted
from ghostd.indexed import Chunk, FoundChunk, path_of

K1 = 1.2
B = 0.75
_NAMES_AT_ONCE = 500
_LAST_CONTENT = 2**32 - 1
MAX_TERMS = 1_000
"""Terms of one search; the heaviest ones."""
_SHARES = (0.5, 0.35, 0.2, 0.0)
_DELTA_POSTINGS = 200_000
"""What is searched of contents in no segment, the newest first: more only waits while a pass is running."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment, or the contents in none, as of one generation."""

    postings: Postings
    factors: npt.NDArray[np.float64]
    """What BM25 makes of a chunk's length: by so much each of its terms counts."""
    dead: npt.NDArray[np.int64]
    """Places of the contents that no file has any more."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    generation: tuple[object, ...] = ()
    parts: tuple[_Part, ...] = ()
    chunks: int = 0
    average: float = 1.0
    """Terms in a chunk."""


@dataclass(slots=True)
class ChunkSearch:
    """The searcher of one root's store."""

    store: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _segments: dict[int, Postings] = field(default_factory=dict)
    _loose: dict[int, bytes] = field(default_factory=dict)
    """The chunks of contents in no segment."""
    _delta: Postings | None = None
    """The same, to be searched."""
    _snapshot: _Snapshot = field(default_factory=_Snapshot)
    _opened: tuple[tuple[bytes, ...], Postings] | None = None
    """The chunks of the documents last searched, and the same gathered."""

    def search(
        self,
        db: sqlite3.Connection,
        words: Mapping[str, float],
        limit: int,
        leave_out: PurePosixPath | None,
        documents: Mapping[PurePosixPath, bytes],
    ) -> list[FoundChunk]:
        """See the port `Index`; the chunks of `documents` stand in for their files'.

        Raises sqlite3.Error, or DamagedChunks.
        """
        terms = weighted(words)
        if not terms or limit <= 0:
            return []
        if len(terms) > MAX_TERMS:
            terms = dict(heapq.nlargest(MAX_TERMS, terms.items(), key=itemgetter(1)))
        db.execute("BEGIN")  # one generation for all of it
        try:
            snapshot = self._current(db)
            hidden = documents.keys() if leave_out is None else {*documents, leave_out}
            opened = {path: blob for path, blob in documents.items() if blob and path != leave_out}
            parts = (
                (*snapshot.parts, self._of_documents(tuple(opened.values()), snapshot.average))
                if opened
                else snapshot.parts
            )
            rows = _best(parts, snapshot.chunks, terms, limit, _contents_only_of(db, hidden))
            return _named(db, rows, hidden, list(opened))
        finally:
            db.execute("COMMIT")

    def reset(self) -> None:
        """The store has been replaced by another."""
        with self._lock:
            self._segments, self._loose, self._delta, self._snapshot = {}, {}, None, _Snapshot()

    def _of_documents(self, blobs: tuple[bytes, ...], average: float) -> _Part:
        """The part of open documents; their contents are numbered from the largest number down."""
        with self._lock:
            if self._opened is None or self._opened[0] != blobs:
                self._opened = blobs, gather([(_LAST_CONTENT - place, blob) for place, blob in enumerate(blobs)])
            postings = self._opened[1]
        return _Part(postings, _factors(postings, average), np.zeros(0, np.int64))

    def _current(self, db: sqlite3.Connection) -> _Snapshot:
        """The snapshot of the connection's generation."""
        query = "SELECT (SELECT value FROM meta WHERE key = 'generation'), count(*), max(id) FROM segment"
        generation = db.execute(query).fetchone()
        with self._lock:
            if generation != self._snapshot.generation:
                try:
                    self._snapshot = self._read(db, generation)
                except (SegmentInvalid, OSError, ValueError) as error:
                    raise DamagedChunks(str(error)) from None
            return self._snapshot

    def _read(self, db: sqlite3.Connection, generation: tuple[object, ...]) -> _Snapshot:
        numbers = [number for (number,) in db.execute("SELECT id FROM segment ORDER BY id")]
        self._segments = {
            number: self._segments.get(number) or open_segment(segment_path(self.store, number)) for number in numbers
        }
        dead = np.array(
            [number for (number,) in db.execute("SELECT id FROM content WHERE released IS NOT NULL")], np.uint32
        )
        sources = list(self._segments.values())
        loose = self._read_loose(db)
        if loose.keys() != self._loose.keys():
            self._loose, self._delta = loose, None
        if self._loose:
            if self._delta is None:
                self._delta = gather(list(self._loose.items()))
            sources.append(self._delta)
        chunks = sum(len(source.first_lines) for source in sources)
        average = sum(int(source.lengths.sum(dtype=np.int64)) for source in sources) / max(chunks, 1)
        parts = [
            _Part(source, _factors(source, average), np.flatnonzero(np.isin(source.contents, dead)))
            for source in sources
        ]
        return _Snapshot(generation, tuple(parts), chunks, average)

    def _read_loose(self, db: sqlite3.Connection) -> dict[int, bytes]:
        query = (
            "SELECT id, chunks, postings FROM content WHERE segment IS NULL AND postings > 0 AND released IS NULL"
            " ORDER BY id DESC"
        )
        found: dict[int, bytes] = {}
        all_chunks = all_postings = 0
        for content_id, chunks, postings in db.execute(query):
            all_chunks += chunks
            all_postings += postings
            if all_chunks > MAX_CHUNKS or (all_postings > _DELTA_POSTINGS and found):
                break
            blob = self._loose.get(content_id)
            if blob is None:
                row = db.execute("SELECT chunks FROM parsed WHERE content_id = ?", (content_id,)).fetchone()
                blob = row[0] if row else b""
            found[content_id] = blob
        return found


def _factors(postings: Postings, average: float) -> npt.NDArray[np.float64]:
    """Every term stands once in a chunk, so the length alone decides how much it counts."""
    lengths = postings.lengths.astype(np.float64)
    factors: npt.NDArray[np.float64] = (K1 + 1) / (1 + K1 * (1 - B + B * lengths / max(average, 1.0)))
    return factors


def _best(
    parts: Sequence[_Part], chunks: int, terms: Mapping[int, float], limit: int, omitted: npt.NDArray[np.uint32]
) -> list[tuple[float, int, int, int]]:
    """(score, content, first line, last line) of the best chunks, the best first; `chunks` is the number of all."""
    keys = np.array(sorted(terms), np.uint32)
    weights = np.array([terms[key] for key in keys.tolist()])
    slices = [_slices(part.postings, keys) for part in parts]
    frequency = np.zeros(len(keys))
    for starts, stops in slices:
        frequency += stops - starts
    # A term without postings in one part must not count in the others either.
    for part in parts:
        weights[np.isin(keys, part.postings.frequent[::2])] = 0.0
    weights *= np.log(1 + np.maximum(chunks - frequency + 0.5, 0.5) / (frequency + 0.5))
    rows: list[tuple[float, int, int, int]] = []
    for part, (starts, stops) in zip(parts, slices, strict=True):
        counted = np.flatnonzero((stops > starts) & (weights > 0))
        if len(counted):
            rows += _best_of(part, weights[counted], starts[counted], stops[counted], limit, omitted)
    rows.sort(key=lambda row: (-row[0], row[1], row[2]))
    return rows[:limit]


def _slices(postings: Postings, keys: npt.NDArray[np.uint32]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each term's postings start and stop."""
    if not len(postings.terms):
        return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
    places = np.searchsorted(postings.terms, keys)
    places[places == len(postings.terms)] = 0
    there = postings.terms[places] == keys
    starts = np.where(there, postings.starts[places], 0).astype(np.int64)
    return starts, np.where(there, postings.starts[places + 1], 0).astype(np.int64)


def _best_of(
    part: _Part,
    weights: npt.NDArray[np.float64],
    starts: npt.NDArray[np.int64],
    stops: npt.NDArray[np.int64],
    limit: int,
    omitted: npt.NDArray[np.uint32],
) -> list[tuple[float, int, int, int]]:
    postings = part.postings
    scores = np.zeros(len(postings.first_lines))
    for weight, start, stop in zip(weights.tolist(), starts.tolist(), stops.tolist(), strict=True):
        scores[postings.chunks[start:stop]] += weight  # a term stands in a chunk once
    scores *= part.factors
    begins = postings.content_starts
    for place in part.dead.tolist():
        scores[begins[place] : begins[place + 1]] = 0.0
    if len(omitted):
        for place in np.flatnonzero(np.isin(postings.contents, omitted)).tolist():
            scores[begins[place] : begins[place + 1]] = 0.0
    best = _highest(scores, limit)
    best = best[np.argsort(-scores[best], kind="stable")][:limit]
    contents = postings.contents[np.searchsorted(begins, best, side="right") - 1]
    first_lines = postings.first_lines[best].astype(np.int64)
    last_lines = first_lines + postings.line_counts[best] - 1
    found = (scores[best].tolist(), contents.tolist(), first_lines.tolist(), last_lines.tolist())
    return list(zip(*found, strict=True))


def _highest(scores: npt.NDArray[np.float64], limit: int) -> npt.NDArray[np.int64]:
    """The places, ascending, of the `limit` highest scores above 0 and of all that equal the last one of them.

    So that ties are decided by their place. Few scores are near the highest one: a comparison with a share of it
    leaves less to look at than a partition of all.
    """
    highest = scores.max(initial=0.0)
    found = np.zeros(0, np.int64)
    for share in _SHARES if highest > 0 else ():
        found = np.flatnonzero(scores >= max(share * highest, np.nextafter(0, 1)))
        if len(found) >= limit:
            break
    if len(found) > limit:
        near = scores[found]
        least = np.partition(near, len(near) - limit)[len(near) - limit]
        found = found[near >= least]
    return found


def _contents_only_of(db: sqlite3.Connection, paths: Collection[PurePosixPath]) -> npt.NDArray[np.uint32]:
    """The contents that no other file has than these."""
    listed = (json.dumps([storable(str(path)) for path in paths]),)
    rows = db.execute(
        "SELECT DISTINCT content_id FROM file AS it WHERE path IN (SELECT value FROM json_each(?1))"
        " AND content_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM file"
        " WHERE content_id = it.content_id AND path NOT IN (SELECT value FROM json_each(?1)))",
        listed,
    )
    return np.array([number for (number,) in rows] if paths else [], np.uint32)


def _named(
    db: sqlite3.Connection,
    rows: Sequence[tuple[float, int, int, int]],
    hidden: Collection[PurePosixPath],
    documents: Sequence[PurePosixPath],
) -> list[FoundChunk]:
    """The chunks with their files' or documents' names; of equal files the first one that is not hidden."""
    paths = {_LAST_CONTENT - place: path for place, path in enumerate(documents)}
    contents = list({row[1] for row in rows} - paths.keys())
    other_than = json.dumps([storable(str(path)) for path in hidden])
    for start in range(0, len(contents), _NAMES_AT_ONCE):
        some = contents[start : start + _NAMES_AT_ONCE]
        marks = ", ".join("?" * len(some))
        query = (
            f"SELECT content_id, min(path) FROM file WHERE content_id IN ({marks})"  # noqa: S608
            " AND path NOT IN (SELECT value FROM json_each(?)) GROUP BY content_id"
        )
        paths.update((number, path_of(path)) for number, path in db.execute(query, (*some, other_than)))
    return [
        FoundChunk(Chunk(paths[content], first, last), score)
        for score, content, first, last in rows
        if content in paths
    ]
