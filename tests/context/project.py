"""A project of files, indexed for real, and what is found for places in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from index_harness import Followed, following, write

from ghostd.code_ports import GitHistory
from ghostd.context.retriever import Retriever
from ghostd.context.selection import Context, ContextRequest
from ghostd.resolve.resolver import Resolver


@dataclass
class Project:
    """A retriever over one root."""

    followed: Followed
    retriever: Retriever

    @property
    def root(self) -> Path:
        return self.followed.root

    async def request(self, path: str, after: str, **more: Any) -> ContextRequest:
        """A request for the cursor behind the first `after` in a file; "" for its start."""
        data = await self.followed.index.text(self.root, PurePosixPath(path))
        assert data is not None
        text = data.decode()
        at = text.index(after) + len(after)
        return ContextRequest(self.root, PurePosixPath(path), text[:at], text[at:], **{"deadline_s": 30.0, **more})

    async def at(self, path: str, after: str, **more: Any) -> Context:
        """What is quoted there."""
        return await self.retriever.select(await self.request(path, after, **more))


def texts(context: Context, source: str = "") -> str:
    """All that is quoted, or what comes from one source."""
    return "\n".join(chunk.text for chunk in context.chunks if not source or chunk.source == source)


@asynccontextmanager
async def project(folder: Path, files: dict[str, str], history: GitHistory | None = None) -> AsyncIterator[Project]:
    """A project of these files."""
    root = folder / "project"
    root.mkdir()
    write(root, files)
    async with following(root, folder / "store") as followed:
        resolver = Resolver(followed.index)
        retriever = Retriever(followed.index, resolver, history)
        try:
            yield Project(followed, retriever)
        finally:
            retriever.close()
            resolver.close()
