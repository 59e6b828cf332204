"""An index that follows a folder, for the tests of this package."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ghostd.config.projects import IndexConfig
from ghostd.index.service import SqliteIndex, open_index
from ghostd.index.watch import Watch
from ghostd.indexed import ChangeBatch

WAIT_S = 40.0
"""Without any progress; a busy machine takes as long as it takes."""


@dataclass
class Followed:
    """An index of one root, and the batches it has committed."""

    index: SqliteIndex
    root: Path
    batches: list[ChangeBatch] = field(default_factory=list)
    _grew: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, batch: ChangeBatch) -> None:
        """Called on each commit."""
        self.batches.append(batch)
        self._grew.set()

    async def paths(self) -> list[str]:
        """The indexed files."""
        return [str(file.path) for file in await self.index.files(self.root)]

    async def skips(self) -> dict[str, str]:
        """What is left out."""
        return {str(skip.path): skip.reason for skip in await self.index.skips(self.root)}

    async def hashes(self) -> dict[str, bytes]:
        """The indexed contents."""
        return {str(file.path): file.content_hash for file in await self.index.files(self.root)}

    async def until(self, paths: list[str]) -> None:
        """Wait until exactly these files are indexed."""
        await self.until_true(lambda: self._same(paths))

    async def _same(self, paths: list[str]) -> bool:
        return await self.paths() == paths

    async def until_defined(self, name: str, count: int = 1) -> None:
        """Wait until so many definitions have this name."""

        async def found() -> bool:
            return len(await self.index.definitions(self.root, name)) == count

        await self.until_true(found)

    async def until_true(self, check: Callable[[], object]) -> None:
        """Wait, commit by commit, until `check` (may be a coroutine function) holds."""
        loop = asyncio.get_running_loop()
        before = self._progress()
        last = loop.time()
        while True:
            self._grew.clear()
            answer = check()
            if asyncio.iscoroutine(answer):
                answer = await answer
            if answer:
                return
            if (now := self._progress()) != before:
                before, last = now, loop.time()
            assert loop.time() - last < WAIT_S, f"nothing has happened for {WAIT_S:g} s: {self.index.roots()}"
            # States and skips change without a commit; they are looked at again after a while.
            try:
                async with asyncio.timeout(0.1):
                    await self._grew.wait()
            except TimeoutError:
                continue

    def _progress(self) -> tuple[object, ...]:
        return len(self.batches), self.index.roots(), self.index.worker_pid


@asynccontextmanager
async def following(
    root: Path, store: Path, config: IndexConfig | None = None, watch: Watch | None = None
) -> AsyncIterator[Followed]:
    """An index that has made its first pass over `root`."""
    async with open_index(store, config or IndexConfig(), watch) as index:
        followed = Followed(index, root)
        index.subscribe(followed.hear)
        await index.add_root(root)
        async with asyncio.timeout(WAIT_S):
            await index.wait_ready(root)
        yield followed


def write(root: Path, files: dict[str, str]) -> None:
    """Write files below `root`."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
