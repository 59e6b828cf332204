"""Vectors over a real index, made by a model that a test scripts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from index_harness import Followed

from ghostd.config.embeddings import EmbeddingsConfig
from ghostd.config.projects import IndexConfig
from ghostd.context.secrets_in_text import without_secrets
from ghostd.embedded import EmbeddingModel, SimilarState, Vector
from ghostd.index.service import open_index
from ghostd.testing.hashing_vectors import DIMENSIONS, hashed
from ghostd.vectors.asking import Asking
from ghostd.vectors.service import Vectors, open_vectors

WAIT_S = 30.0


@dataclass
class Model:
    """Hashes words, unless a test says otherwise."""

    name: str = "hashing"
    remote: bool = False
    dimensions: int = DIMENSIONS
    failures: list[Exception] = field(default_factory=list)
    """Raised by the next requests, one after the other."""
    too_long: int | None = None
    """Texts of more characters are refused."""
    error: Exception | None = None
    """What they are refused with."""
    hold: asyncio.Event | None = None
    """Each request waits for it."""
    busy: bool = False
    asked: list[list[str]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    _grew: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def texts(self) -> list[str]:
        """All texts, in order."""
        return [text for batch in self.asked for text in batch]

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """The vectors, or what is scripted."""
        self.asked.append(list(texts))
        self._grew.set()
        self.running += 1
        self.most_running = max(self.running, self.most_running)
        try:
            if self.hold is not None:
                await self.hold.wait()
            await asyncio.sleep(0)
            if self.failures:
                raise self.failures.pop(0)
            if self.too_long is not None and any(len(text) > self.too_long for text in texts):
                assert self.error is not None
                raise self.error
            return [hashed(text, self.dimensions) for text in texts]
        finally:
            self.running -= 1

    async def until_asked(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with asyncio.timeout(WAIT_S):
            while len(self.asked) < count:
                self._grew.clear()
                await self._grew.wait()

    def asking(self, config: EmbeddingsConfig) -> Asking:
        """How it is reached."""
        return Asking(
            config,
            self.embed,
            lambda: EmbeddingModel(self.name, self.remote),
            lambda: self.busy,
            lambda text: without_secrets(text)[0],
        )


@dataclass
class World:
    """An index, a model, and the vectors."""

    followed: Followed
    model: Model
    vectors: Vectors

    @property
    def root(self) -> Path:
        """The project."""
        return self.followed.root

    async def embedded(self) -> SimilarState:
        """Wait until all is embedded."""
        async with asyncio.timeout(WAIT_S):
            return await self.vectors.wait_embedded(self.root)

    async def until(self, state: str) -> SimilarState:
        """Wait until the root is in this state."""
        async with asyncio.timeout(WAIT_S):
            while (found := self.vectors.state(self.root)).state != state:
                await asyncio.sleep(0.01)
            return found

    async def closest(self, text: str) -> list[str]:
        """The files of the closest chunks."""
        found = await self.vectors.similar(self.root, await self.vectors.vector(text))
        return [str(one.chunk.path) for one in found]


@asynccontextmanager
async def world(
    folder: Path,
    files: dict[str, str] | None = None,
    model: Model | None = None,
    config: EmbeddingsConfig | None = None,
) -> AsyncIterator[World]:
    """All of it while the block runs; `files` are written first, into a folder of which `folder` has one only."""
    root = folder / "project"
    await asyncio.to_thread(write, root, files or {})
    config = config or EmbeddingsConfig(model="hashing")
    model = model or Model()
    async with open_index(folder / "index", IndexConfig()) as index:
        followed = Followed(index, root)
        index.subscribe(followed.hear)
        await index.add_root(root)
        async with asyncio.timeout(WAIT_S):
            await index.wait_ready(root)
        async with open_vectors(index, folder / "vectors", config, model.asking(config), 0.01) as vectors:
            yield World(followed, model, vectors)


def write(root: Path, files: dict[str, str]) -> None:
    """Write files below `root`."""
    root.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
