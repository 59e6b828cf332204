"""One root's way to its vectors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.config.embeddings import EmbeddingsConfig
from ghostd.embedded import SimilarState, Vector
from ghostd.indexed import Chunk, Symbol
from ghostd.vectors.asking import Asking
from ghostd.vectors.codes import Coded, NotVectors, coded
from ghostd.vectors.store import KnownTexts, NewContent, VectorStore, open_store
from ghostd.vectors.texts import text_hash, texts_of


@dataclass(frozen=True, slots=True)
class _Piece:
    """A content that is to be embedded."""

    content_hash: bytes
    lines: tuple[tuple[int, int], ...]
    texts: tuple[str, ...]


@dataclass(slots=True)
class EmbeddedRoot:
    """What is known of one root, and the work on it."""

    root: Path
    index: Index
    folder: Path
    config: EmbeddingsConfig
    asking: Asking
    store: VectorStore | None = None
    key: str = ""
    """What decided on the vectors when this was brought up last."""
    covered: int = -1
    """The generation whose chunks have vectors."""
    paths: dict[bytes, tuple[PurePosixPath, ...]] = field(default_factory=dict)
    """Content → the files that have it, by path."""
    contents: dict[PurePosixPath, bytes] = field(default_factory=dict)
    """The other way round."""
    edited: set[PurePosixPath] = field(default_factory=set)
    """Files that come first, since they were changed lately."""
    problem: str = ""
    refused: bool = False
    tries: int = 0
    rest_until: float = 0.0
    """On the event loop's clock."""
    _working: bool = False
    _embedded: int = 0
    _chunks: int = 0
    _left_out: int = 0
    _counts: dict[bytes, int] = field(default_factory=dict)
    """Content without vectors → how many chunks it has."""

    def state(self) -> SimilarState:
        """For people."""
        detail = self.problem
        if not detail and self._left_out:
            detail = (
                f"{self._left_out} files have none"
                f" (settings embeddings.max_chunks = {self.config.max_chunks},"
                f" embeddings.max_bytes = {self.config.max_bytes})"
            )
        kind = "refused" if self.refused else "failed" if self.problem else "ready" if self.covered >= 0 else "waiting"
        if self._working and not self.problem:
            kind = "embedding"
        return SimilarState(
            kind,  # type: ignore[arg-type]
            self.config.model,
            self._embedded,
            self._chunks,
            self._left_out,
            detail,
        )

    def close(self) -> None:
        """Close what is open on the disk; it blocks while a thread still writes."""
        store, self.store = self.store, None
        if store is not None:
            store.close()

    async def bring_up(self, generation: int, key: str, is_current: Callable[[], bool]) -> bool:
        """Embed what has no vectors; whether all of `generation` has. Raises GhostdError, NotVectors or StoreFailure.

        Ends with False, having done a part, when the root is no longer `is_current`, and when the first vectors have
        told their length, by which the limits count.
        """
        self._working = True
        try:
            return await self._bring_up(key, is_current)
        finally:
            self._working = False

    async def _bring_up(self, key: str, is_current: Callable[[], bool]) -> bool:
        store = self.store
        if store is None:
            store = self.store = await asyncio.to_thread(open_store, self.folder)
        await asyncio.to_thread(store.use, key)
        if key != self.key:
            self.key, self.covered = key, -1
        paths: dict[bytes, list[PurePosixPath]] = {}
        for file in await self.index.files(self.root):
            paths.setdefault(file.content_hash, []).append(file.path)
        self.paths = {content_hash: tuple(files) for content_hash, files in paths.items()}
        self.contents = {path: content_hash for content_hash, files in paths.items() for path in files}
        have = await asyncio.to_thread(store.hashes)
        first = {self.contents[path] for path in self.edited & self.contents.keys()}
        missing = [content_hash for content_hash in self.paths if content_hash not in have]
        missing.sort(key=lambda content_hash: content_hash not in first)
        counts = {each: self._counts[each] for each in missing if each in self._counts}
        for content_hash in missing:
            if content_hash not in counts:
                counts[content_hash] = len(await self.index.chunks(self.root, self.paths[content_hash][0]))
        self._counts = counts
        missing = await self._within_limits(store, have & self.paths.keys(), missing)
        limits_known = store.dimensions > 0
        known = await asyncio.to_thread(store.known_texts) if missing else None
        for lot in _lots(missing, counts, self.config.batch_chunks):
            pieces = [piece for piece in [await self._piece(content_hash) for content_hash in lot] if piece]
            self._embedded += await self._embed(store, known, pieces)
            if not is_current() or (not limits_known and store.dimensions):
                return False
        await asyncio.to_thread(store.keep_only, self.paths.keys())
        self._embedded = self._chunks = await asyncio.to_thread(lambda: store.rows)
        self.edited.clear()
        return is_current()

    async def _within_limits(self, store: VectorStore, have: frozenset[bytes], missing: Sequence[bytes]) -> list[bytes]:
        """What of the missing contents is to be embedded."""
        present = await asyncio.to_thread(store.rows_of, have)
        most = self.config.max_chunks
        if store.dimensions:
            most = min(most, self.config.max_bytes // store.dimensions)
        self._embedded = self._chunks = present
        self._left_out = 0
        chosen = []
        for content_hash in missing:
            count = self._counts[content_hash]
            if not count:
                continue
            if self._chunks + count > most:
                self._left_out += len(self.paths[content_hash])
                continue
            self._chunks += count
            chosen.append(content_hash)
        return chosen

    async def _piece(self, content_hash: bytes) -> _Piece | None:
        """A content's chunks as texts; None where no file has it any more."""
        remote = self.asking.model().remote
        for path in self.paths[content_hash]:
            # The text last: if it is still that content, so were the chunks.
            chunks = await self.index.chunks(self.root, path)
            outline = await self.index.outline(self.root, path)
            source = await self.index.text(self.root, path)
            if source is not None:
                found = await asyncio.to_thread(self._texts, content_hash, source, chunks, outline, remote)
                if found is not None:
                    return found
        return None

    def _texts(
        self, content_hash: bytes, source: bytes, chunks: Sequence[Chunk], outline: Sequence[Symbol], remote: bool
    ) -> _Piece | None:
        if blake2b(source, digest_size=16).digest() != content_hash:
            return None  # it has just changed: the index will say so
        redact = self.asking.redact if remote else None
        texts = texts_of(source, chunks, outline, self.config.max_chunk_chars, redact)
        return _Piece(content_hash, tuple((one.first_line, one.last_line) for one in chunks), tuple(texts))

    async def _embed(self, store: VectorStore, known_texts: KnownTexts | None, pieces: Sequence[_Piece]) -> int:
        """Give these contents vectors; how many chunks they have."""
        texts = [text for piece in pieces for text in piece.texts]
        if not texts:
            return 0
        hashes = [text_hash(text) for text in texts]
        known = known_texts.find(hashes) if known_texts is not None else None
        new = [number for number in range(len(texts)) if known is None or known.scales[number] < 0]
        vectors: list[Vector | None] = []
        for start in range(0, len(new), self.config.batch_chunks):
            batch = new[start : start + self.config.batch_chunks]
            vectors += await self.asking.documents([texts[number] for number in batch])
        await asyncio.to_thread(_keep, store, pieces, hashes, known, dict(zip(new, vectors, strict=True)))
        return len(texts)


def _lots(contents: Sequence[bytes], counts: dict[bytes, int], least: int) -> list[list[bytes]]:
    """Contents in lots of at least so many chunks together, but for the last one."""
    found: list[list[bytes]] = []
    size = least
    for content_hash in contents:
        if size >= least:
            found.append([])
            size = 0
        found[-1].append(content_hash)
        size += counts[content_hash]
    return found


def _keep(
    store: VectorStore,
    pieces: Sequence[_Piece],
    hashes: Sequence[bytes],
    known: Coded | None,
    vectors: dict[int, Vector | None],
) -> None:
    """Put the vectors, those that were known and the new ones, into the store."""
    import numpy as np

    made = {number: vector for number, vector in vectors.items() if vector is not None}
    new = coded(list(made.values())) if made else None
    dimensions = new.codes.shape[1] if new is not None else store.dimensions
    if not dimensions:
        raise NotVectors("it takes none of the texts")
    if store.dimensions not in (0, dimensions):
        was = store.dimensions
        store.forget()
        raise NotVectors(f"their length was {was} and is {dimensions} now; all are made anew")
    codes, scales = np.zeros((len(hashes), dimensions), np.int8), np.zeros(len(hashes), np.float32)
    if known is not None:
        there = known.scales >= 0
        codes[there], scales[there] = known.codes[there], known.scales[there]
    if new is not None:
        places = list(made)
        codes[places], scales[places] = new.codes, new.scales
    contents, row = [], 0
    for piece in pieces:
        part = slice(row, row + len(piece.lines))
        contents.append(NewContent(piece.content_hash, piece.lines, hashes[part], Coded(codes[part], scales[part])))
        row = part.stop
    store.add(contents)
