"""The Resolver: what imports and names of the indexed projects mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ghostd.indexed import Symbol
from ghostd.ports import Index
from ghostd.resolve.resolved import ModuleGraph, ResolvedImport


class Resolver:
    """Answers from what the index has committed; made once for each daemon. Use from the event loop's thread.

    `seen` is a session's view of the index (`Index.seen_by`): the asked file itself is then read through it.
    """

    def __init__(self, index: Index) -> None:
        self._index = index

    def close(self) -> None:
        """Stop to listen to the index, and forget all."""
        raise NotImplementedError

    async def imports(self, root: Path, path: PurePosixPath, seen: Index | None = None) -> Sequence[ResolvedImport]:
        """A file's imports in source order, each with the files it means."""
        raise NotImplementedError

    async def importers(self, root: Path, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The files that import this one, ordered by path."""
        raise NotImplementedError

    async def behind(self, root: Path, path: PurePosixPath, name: str, seen: Index | None = None) -> Sequence[Symbol]:
        """The definitions that a name means in that file: its own, imported, re-exported. `a.b` goes into `a`.

        A name that means a whole module gives nothing here; `module_of` gives its file.
        """
        raise NotImplementedError

    async def module_of(
        self, root: Path, path: PurePosixPath, name: str, seen: Index | None = None
    ) -> Sequence[PurePosixPath]:
        """The files of the module that a name means in that file; none where it is no module."""
        raise NotImplementedError

    async def members(self, root: Path, symbol: Symbol, limit: int = 200) -> Sequence[Symbol]:
        """What a class, struct, trait or module has, its own first, then what it inherits."""
        raise NotImplementedError

    async def doc(self, root: Path, symbol: Symbol) -> str:
        """The first paragraph of a definition's documentation, on one line, at most 400 characters."""
        raise NotImplementedError

    async def tests_of(self, root: Path, path: PurePosixPath, name: str = "", limit: int = 50) -> Sequence[Symbol]:
        """The tests of a file, or of one of its definitions, the closest first."""
        raise NotImplementedError

    async def graph(self, root: Path) -> ModuleGraph:
        """Every resolved import of a root."""
        raise NotImplementedError
