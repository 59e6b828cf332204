"""The Resolver: what imports and names of the indexed projects mean."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.indexed import ChangeBatch, Symbol, path_of
from ghostd.resolve.docs import doc_of
from ghostd.resolve.families import family_of
from ghostd.resolve.graph import GraphKeeper, is_listed
from ghostd.resolve.impls import all_bases
from ghostd.resolve.members import members_of
from ghostd.resolve.names import behind
from ghostd.resolve.project import Project
from ghostd.resolve.resolved import ModuleGraph, ResolvedImport
from ghostd.resolve.testing import tests_of

_MAX_ROOTS = 16
"""Roots of which something is kept; the longest unused one is forgotten."""


class Resolver:
    """Answers from what the index has committed; made once for each daemon. Use from the event loop's thread.

    Nothing outside the root is read, and nothing is asked but the index. A file of a language whose imports are not
    resolved gives empty answers. `seen` is a session's view of the index (`Index.seen_by`): the asked file itself is
    then read through it.
    """

    def __init__(self, index: Index) -> None:
        self._index = index
        self._graphs: dict[Path, GraphKeeper] = {}
        self._unsubscribe = index.subscribe(self._hear)

    def close(self) -> None:
        """Stop to listen to the index, and forget all."""
        self._unsubscribe()
        self._graphs.clear()

    async def imports(self, root: Path, path: PurePosixPath, seen: Index | None = None) -> Sequence[ResolvedImport]:
        """A file's imports in source order, each with the files it means."""
        family = family_of(path.name)
        if family is None:
            return ()
        project = self._project(root)
        resolver = await project.resolver(family)
        statements = await (seen.imports(root, path) if seen is not None else project.imports(path))
        found = []
        for statement in statements:
            if is_listed(statement):
                resolution = resolver.resolve(str(path), statement)
                targets = tuple(map(path_of, resolution.targets))
                found.append(ResolvedImport(statement, targets, resolution.external, resolution.detail))
        return found

    async def importers(self, root: Path, path: PurePosixPath) -> Sequence[PurePosixPath]:
        """The files that import this one, ordered by path."""
        return (await self.graph(root)).importers_of(path)

    async def behind(self, root: Path, path: PurePosixPath, name: str, seen: Index | None = None) -> Sequence[Symbol]:
        """The definitions that a name means in that file: its own, imported, re-exported. `a.b` goes into `a`.

        A name that means a whole module gives nothing here; `module_of` gives its file.
        """
        return (await behind(self._project(root), path, name, seen)).symbols

    async def module_of(
        self, root: Path, path: PurePosixPath, name: str, seen: Index | None = None
    ) -> Sequence[PurePosixPath]:
        """The files of the module that a name means in that file; none where it is no module."""
        project = self._project(root)
        found = await behind(project, path, name, seen)
        return [PurePosixPath(file) for file in found.modules if file in project.tree.files]

    async def members(self, root: Path, symbol: Symbol, limit: int = 200) -> Sequence[Symbol]:
        """What a class, struct, trait or module has, its own first, then what it inherits."""
        return await members_of(self._project(root), symbol, limit)

    async def bases(self, root: Path, symbol: Symbol) -> Sequence[Symbol]:
        """The types of the project that a type is made from, as it names them."""
        project = self._project(root)
        named = [await behind(project, symbol.path, base) for base in await all_bases(project, symbol)]
        return [base for found in named for base in found.symbols]

    async def doc(self, root: Path, symbol: Symbol) -> str:
        """The first paragraph of a definition's documentation, on one line, at most 400 characters."""
        source = await self._index.text(root, symbol.path)
        return "" if source is None else doc_of(symbol, source)

    async def tests_of(self, root: Path, path: PurePosixPath, name: str = "", limit: int = 50) -> Sequence[Symbol]:
        """The tests of a file, or of one of its definitions, the closest first."""
        if family_of(path.name) is None:
            return ()
        importers = await self.importers(root, path)
        return await tests_of(self._project(root), path, name, importers, limit)

    async def graph(self, root: Path) -> ModuleGraph:
        """Every resolved import of a root. Made in threads, a bounded number of files at a time, and then kept."""
        self._project(root)
        return await self._graphs[root].graph()

    def _project(self, root: Path) -> Project:
        keeper = self._graphs.pop(root, None)
        if keeper is None:
            generation = next((status.generation for status in self._index.roots() if status.root == root), 0)
            keeper = GraphKeeper(Project(self._index, root, generation))
        self._graphs[root] = keeper  # the last one used is the last one forgotten
        if len(self._graphs) > _MAX_ROOTS:
            del self._graphs[next(iter(self._graphs))]
        return keeper.project

    def _hear(self, batch: ChangeBatch) -> None:
        keeper = self._graphs.get(batch.root)
        if keeper is not None:
            keeper.project.hear(batch)
