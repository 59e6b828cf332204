"""The port Similar: follows the index, has the model embed what is new, and searches what it has."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.config.embeddings import EmbeddingsConfig
from ghostd.embedded import SimilarState, Vector
from ghostd.errors import GhostdError, RootError
from ghostd.indexed import ChangeBatch, Chunk, FoundChunk
from ghostd.vectors.asking import Asking, NotAllowed
from ghostd.vectors.codes import NotVectors, best, cosines
from ghostd.vectors.root import EmbeddedRoot
from ghostd.vectors.store import StoreFailure, VectorStore, store_folder

log = logging.getLogger(__name__)

_LOOK_S = 2.0
"""How often roots are looked for that came, went or were ready without a change."""
_EDITED_FILES = 20
"""A change of more files is not somebody's editing, whose files come first."""
_FIRST_REST_S = 2.0
_LONGEST_REST_S = 60.0


class Vectors:
    """See the port `Similar`. Made by `open_vectors`; use from the event loop's thread."""

    def __init__(
        self, index: Index, folder: Path, config: EmbeddingsConfig, asking: Asking, first_rest_s: float = _FIRST_REST_S
    ) -> None:
        self._index = index
        self._folder = folder
        self._config = config
        self._asking = asking
        self._first_rest_s = first_rest_s
        self._roots: dict[Path, EmbeddedRoot] = {}
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()

    def state(self, root: Path) -> SimilarState:
        """How far the root's chunks have vectors."""
        known = self._roots.get(root)
        return SimilarState("waiting", self._config.model) if known is None else known.state()

    async def wait_embedded(self, root: Path) -> SimilarState:
        """Wait until the chunks of the root's current generation have vectors, or never will by the settings."""
        self._wake.set()
        async with self._changed:
            while True:
                status = next((status for status in self._index.roots() if status.root == root), None)
                if status is None:
                    raise RootError(root, "it is not one of the indexed folders")
                known = self._roots.get(root)
                done = known is not None and status.state == "ready" and known.covered >= status.generation
                if known is not None and (known.refused or done):
                    return known.state()
                await self._changed.wait()

    async def vector(self, text: str) -> Vector:
        """A text's vector, to search for; raises GhostdError."""
        return await self._asking.query(text)

    async def similar(
        self, root: Path, vector: Vector, limit: int = 30, *, leave_out: PurePosixPath | None = None
    ) -> Sequence[FoundChunk]:
        """The chunks whose vectors are closest to this one."""
        known = self._roots.get(root)
        if known is None or known.store is None:
            return []
        paths = known.paths
        own = None if leave_out is None else known.contents.get(leave_out)
        omitted = own if own is not None and len(paths[own]) == 1 else None
        try:
            rows = await asyncio.to_thread(_search, known.store, vector, max(limit, 0), paths, omitted)
        except NotVectors:
            return []
        found = []
        for content_hash, first, last, score in rows:
            path = next((path for path in paths[content_hash] if path != leave_out), None)
            if path is not None:
                found.append(FoundChunk(Chunk(path, first, last), score))
        return found

    # --- following the index -----------------------------------------------------------------

    def hear(self, batch: ChangeBatch) -> None:
        """A root has changed."""
        known = self._roots.get(batch.root)
        if known is not None and len(batch.changed) <= _EDITED_FILES:
            known.edited.update(batch.changed)
        self._wake.set()

    async def run(self) -> None:
        """Follow the index until cancelled."""
        try:
            while True:
                await self._look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._pause()):
                        await self._wake.wait()
                self._wake.clear()
        finally:
            for known in self._roots.values():
                await asyncio.to_thread(known.close)

    def _pause(self) -> float:
        """Seconds until there may be something to do."""
        now = asyncio.get_running_loop().time()
        rests = [known.rest_until - now for known in self._roots.values() if known.problem]
        return max(0.0, min((_LOOK_S, *rests)))

    async def _look(self) -> None:
        statuses = {status.root: status for status in self._index.roots()}
        for root in [root for root in self._roots if root not in statuses]:
            await asyncio.to_thread(self._roots.pop(root).close)
            await self._tell()
        for root, status in statuses.items():
            known = self._roots.get(root)
            if known is None:
                known = EmbeddedRoot(root, self._index, store_folder(self._folder, root), self._config, self._asking)
                self._roots[root] = known
            if status.state != "ready" or not self._due(known, status.generation):
                continue
            await self._bring_up(known, status.generation)

    def _due(self, known: EmbeddedRoot, generation: int) -> bool:
        if asyncio.get_running_loop().time() < known.rest_until:
            return False
        return known.covered < generation or known.refused or known.key != self._key()

    def _key(self) -> str:
        """What decides on the vectors now; "" where it cannot be told."""
        try:
            return model_key(self._config, self._asking)
        except GhostdError:
            return ""

    async def _bring_up(self, known: EmbeddedRoot, generation: int) -> None:
        """One pass over a root. One that ends early is followed by another, which goes on from there."""
        try:
            key = model_key(self._config, self._asking)
            if await known.bring_up(generation, key, lambda: self._generation(known.root) == generation):
                known.covered = generation
            else:
                self._wake.set()
            known.tries, known.refused, known.problem = 0, False, ""
        except NotAllowed as error:
            self._rest(known, str(error), refused=True)
        except NotVectors as error:
            self._rest(known, f"The model '{self._config.model}' gives no usable vectors: {error}.")
        except GhostdError as error:
            self._rest(known, str(error), getattr(error, "retry_after_s", None))
        except StoreFailure as error:
            self._rest(known, f"The vectors in {known.folder} cannot be kept: {error}.")
            if not isinstance(error, OSError | sqlite3.OperationalError):
                await asyncio.to_thread(known.close)  # opened anew, and set aside, by the next try
        except Exception:
            log.exception("embedding %s failed", known.root)
            self._rest(known, "Internal error; the log says more.")
        await self._tell()

    def _rest(
        self, known: EmbeddedRoot, problem: str, retry_after_s: float | None = None, *, refused: bool = False
    ) -> None:
        if problem != known.problem:
            log.warning("embeddings of %s: %s", known.root, problem)
        known.problem, known.refused = problem, refused
        pause = min(self._first_rest_s * 2**known.tries, _LONGEST_REST_S)
        known.tries = min(known.tries + 1, 10)
        known.rest_until = asyncio.get_running_loop().time() + max(pause, retry_after_s or 0.0)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _generation(self, root: Path) -> int | None:
        return next((status.generation for status in self._index.roots() if status.root == root), None)


def model_key(config: EmbeddingsConfig, asking: Asking) -> str:
    """What decides on the vectors; raises GhostdError where nothing may or can make them."""
    model = asking.model()
    return "\n".join((model.name, str(config.dimensions or ""), config.document_prefix, str(model.remote)))


def _search(
    store: VectorStore, vector: Vector, limit: int, wanted: Collection[bytes], omitted: bytes | None
) -> list[tuple[bytes, int, int, float]]:
    """(content, first line, last line, cosine) of the closest rows of these contents but one, the closest first."""
    table = store.table()
    if not table.hashes:
        return []
    if len(vector) != table.codes.shape[1]:
        raise NotVectors("it is of another length")
    import numpy as np

    counted = np.array([each in wanted and each != omitted for each in table.hashes])
    scores = cosines(table.codes, table.scales, vector)
    scores[~counted[table.owners]] = 0.0
    rows = best(scores, limit)
    return [
        (table.hashes[owner], first, last, score)
        for owner, (first, last), score in zip(
            table.owners[rows].tolist(), table.lines[rows].tolist(), scores[rows].tolist(), strict=True
        )
    ]


@asynccontextmanager
async def open_vectors(
    index: Index, folder: Path, config: EmbeddingsConfig, asking: Asking, first_rest_s: float = _FIRST_REST_S
) -> AsyncIterator[Vectors]:
    """The vectors, kept in `folder`, while the block runs. `first_rest_s`: the pause after a first failure."""
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    vectors = Vectors(index, folder, config, asking, first_rest_s)
    unsubscribe = index.subscribe(vectors.hear)
    task = asyncio.create_task(vectors.run(), name="embeddings")
    try:
        yield vectors
    finally:
        unsubscribe()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
