"""The Analyst: what the indexed projects are made of. Made once for each daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from ghostd.analysis.found import RepoMap
from ghostd.analysis.history import history_report
from ghostd.analysis.sizes import LineCounts
from ghostd.analysis.tokens import TokenCounter, estimate
from ghostd.code_ports import GitHistory, Index
from ghostd.errors import RootError
from ghostd.indexed import RootStatus, Symbol
from ghostd.project_reports import ProjectReport
from ghostd.resolve.resolver import Resolver

if TYPE_CHECKING:  # numpy is loaded with the first question only
    from ghostd.analysis.relevance import Surroundings

MAX_FOCUS = 64
"""Files that a map is made for."""
_MAX_ROOTS = 4
"""Roots of which something is kept; the longest unused one is forgotten."""
_SLICE = 200
"""Files that are read at a time."""


@dataclass(slots=True)
class _Kept:
    """What is kept of one generation of a root."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    generation: int = -1
    around: Surroundings | None = None
    project: ProjectReport | None = None
    sizes: dict[str, int] = field(default_factory=dict)
    """Bytes of the indexed files, by path."""
    lines: LineCounts = field(default_factory=LineCounts)

    def renew(self, generation: int) -> None:
        """Forget what was found of another generation."""
        if self.generation != generation:
            self.generation, self.around, self.project = generation, None, None


class Analyst:
    """Answers from what the index has committed, and keeps what it found until the next commit.

    All work is done in threads, a bounded part of the project at a time. Use from the event loop's thread. Methods
    raise RootError for a folder that is not indexed.
    """

    def __init__(self, index: Index, resolver: Resolver, history: GitHistory | None = None) -> None:
        self.index = index
        self._resolver = resolver
        self._history = history
        self._kept: dict[Path, _Kept] = {}

    async def project(self, root: Path) -> ProjectReport:
        """What a root is made of."""
        kept = self._of(root)
        async with kept.lock:
            status = self._status(root)
            kept.renew(status.generation)
            if kept.project is None:
                await asyncio.to_thread(import_module, "ghostd.analysis.project")
                from ghostd.analysis.project import structure

                files = await self.index.files(root)
                modules = await self._resolver.graph(root)
                kept.project = await structure(self.index, status, files, modules, kept.lines)
                kept.sizes = await asyncio.to_thread(lambda: {str(file.path): file.size_bytes for file in files})
            found, sizes = kept.project, kept.sizes
        return msgspec.structs.replace(found, history=await history_report(self._history, root, sizes))

    async def repo_map(
        self,
        root: Path,
        focus: Sequence[PurePosixPath],
        max_tokens: int,
        count: TokenCounter = estimate,
        seen: Index | None = None,
    ) -> RepoMap:
        """The definitions of most use to one who works in these files, of which none are shown.

        `seen` is a session's view of the index: what the focus files use is read through it. Only the first MAX_FOCUS
        of them count.
        """
        around = await self.surroundings(root)
        from ghostd.analysis.mapping import choose, files_of, written

        view = self.index if seen is None else seen
        paths = focus[:MAX_FOCUS]
        uses: dict[str, None] = {}
        for path in paths:
            uses.update(dict.fromkeys(use.name for use in await view.uses(root, path)))
        order = await asyncio.to_thread(choose, around, paths, uses, max_tokens)
        outlines: dict[PurePosixPath, Sequence[Symbol]] = {}
        for path in files_of(around, order):
            outlines[path] = await self.index.outline(root, path)
        return await asyncio.to_thread(written, around, order, outlines, max_tokens, count)

    async def surroundings(self, root: Path) -> Surroundings:
        """What maps of a root are made from, as of the last commit."""
        kept = self._of(root)
        async with kept.lock:
            kept.renew(self._status(root).generation)
            if kept.around is None:
                await asyncio.to_thread(import_module, "ghostd.analysis.mapping")
                from ghostd.analysis.names import NameGraphBuilder
                from ghostd.analysis.relevance import surroundings

                builder = NameGraphBuilder()
                last = ""
                while rows := await self.index.names_after(root, last, _SLICE):
                    last = str(rows[-1].path)
                    await asyncio.to_thread(builder.add, rows)
                modules = await self._resolver.graph(root)
                kept.around = await asyncio.to_thread(lambda: surroundings(builder.graph(), modules))
            return kept.around

    def _status(self, root: Path) -> RootStatus:
        for status in self.index.roots():
            if status.root == root:
                return status
        raise RootError(root, "it is not one of the indexed folders")

    def _of(self, root: Path) -> _Kept:
        self._status(root)
        kept = self._kept.pop(root, None) or _Kept()
        self._kept[root] = kept  # the last one used is the last one forgotten
        if len(self._kept) > _MAX_ROOTS:
            del self._kept[next(iter(self._kept))]
        return kept
