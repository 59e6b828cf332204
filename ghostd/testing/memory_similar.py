"""A Similar in memory: hashes words instead of asking a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.embedded import SimilarState, Vector
from ghostd.errors import RootError
from ghostd.indexed import FoundChunk
from ghostd.testing.hashing_vectors import cosine, hashed


@dataclass(slots=True)
class MemorySimilar:
    """Compares with all chunks of the index at each question."""

    index: Index
    asked: list[str] = field(default_factory=list)
    """The texts that vectors were made of."""

    def state(self, root: Path) -> SimilarState:
        """Ready at once."""
        files = sum(status.files for status in self.index.roots() if status.root == root)
        return SimilarState("ready", "hashing", files, files)

    async def wait_embedded(self, root: Path) -> SimilarState:
        """Ready at once."""
        if all(status.root != root for status in self.index.roots()):
            raise RootError(root, "it is not one of the indexed folders")
        return self.state(root)

    async def vector(self, text: str) -> Vector:
        """The hashed words."""
        self.asked.append(text)
        return hashed(text)

    async def similar(
        self, root: Path, vector: Vector, limit: int = 30, *, leave_out: PurePosixPath | None = None
    ) -> Sequence[FoundChunk]:
        """All chunks, by their cosine."""
        found = []
        seen: set[bytes] = set()
        for file in await self.index.files(root):
            if file.path == leave_out or file.content_hash in seen:
                continue
            seen.add(file.content_hash)
            lines = (await self.index.text(root, file.path) or b"").decode("utf-8", "replace").split("\n")
            for chunk in await self.index.chunks(root, file.path):
                own = hashed(f"{file.path}\n" + "\n".join(lines[chunk.first_line - 1 : chunk.last_line]))
                if len(own) == len(vector) and (score := cosine(own, vector)) > 0:
                    found.append(FoundChunk(chunk, score))
        return sorted(found, key=lambda one: -one.score)[: max(limit, 0)]
