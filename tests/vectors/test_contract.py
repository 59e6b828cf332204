"""Both implementations of the port."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b
from pathlib import Path

from vectors_harness import world

from ghostd.indexed import IndexedFile
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.memory_similar import MemorySimilar
from ghostd.testing.similar_contract import SAMPLE, WAIT_S, Opened, SimilarContract


class TestVectors(SimilarContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Opened]:
        async with world(folder, {str(path): text for path, text in SAMPLE.items()}) as it:
            async with asyncio.timeout(WAIT_S):
                await it.embedded()
            yield Opened(it.vectors, it.root)


class TestMemorySimilar(SimilarContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Opened]:
        index = MemoryIndex()
        for path, text in SAMPLE.items():
            data = text.encode()
            index.texts[path] = data
            index.file_list.append(IndexedFile(path, "python", len(data), 0, blake2b(data, digest_size=16).digest()))
        await index.add_root(folder)
        yield Opened(MemorySimilar(index), folder)
