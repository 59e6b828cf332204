"""The graph of a root's imports, kept in step by reading again what has changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

from ghostd.indexed import Import
from ghostd.resolve.families import Family, family_of
from ghostd.resolve.project import Project
from ghostd.resolve.resolution import LanguageResolver
from ghostd.resolve.resolved import ModuleGraph

_SLICE = 500
"""Files that are resolved at a time, in a thread."""
_MAX_CHANGED = 200


class _Edges(NamedTuple):
    """What one file imports."""

    targets: tuple[str, ...]
    external: tuple[str, ...]
    unresolved: int
    total: int


@dataclass(slots=True)
class GraphKeeper:
    """One root's graph. Use from the event loop's thread."""

    project: Project
    _edges: dict[str, _Edges] = field(default_factory=dict)
    _complete: bool = False
    _changed: set[str] = field(default_factory=set)
    _graph: ModuleGraph | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.project.on_structure = self.forget
        self.project.on_content = self._note

    def forget(self) -> None:
        """Make the graph anew when it is next asked for."""
        self._edges.clear()
        self._changed.clear()
        self._complete = False
        self._graph = None

    async def graph(self) -> ModuleGraph:
        """The graph as of the last commit, or of one that came meanwhile."""
        async with self._lock:
            await self.project.up_to_date()
            if self._graph is not None and not self._changed:
                return self._graph
            generation = self.project.generation
            if not self._complete or len(self._changed) > _MAX_CHANGED:
                await self._read_all()
            else:
                await self._read_changed()
            edges = dict(self._edges)
            graph = await asyncio.to_thread(_assemble, generation, edges)
            if self._complete and not self._changed:
                self._graph = graph
            return graph

    def _note(self, paths: Sequence[str]) -> None:
        if self._complete:
            self._changed.update(path for path in paths if family_of(path))

    async def _read_all(self) -> None:
        self.forget()
        self._complete = True  # a commit from here on says otherwise
        found: dict[str, _Edges] = {}
        resolvers: dict[Family, LanguageResolver] = {}
        last = ""
        while rows := await self.project.index.imports_after(self.project.root, last, _SLICE):
            last = str(rows[-1][0])
            for family in {family for path, _ in rows if (family := family_of(path.name))}:
                if family not in resolvers:
                    resolvers[family] = await self.project.resolver(family)
            found.update(await asyncio.to_thread(_resolve, rows, resolvers))
        self._edges = found

    async def _read_changed(self) -> None:
        changed, self._changed = self._changed, set()
        for path in changed:
            family = family_of(path)
            if family is None or path not in self.project.tree.files:
                self._edges.pop(path, None)
                continue
            place = PurePosixPath(path)
            imports = await self.project.imports(place)
            resolver = await self.project.resolver(family)
            self._edges.update(_resolve([(place, imports)], {family: resolver}))


def _resolve(
    rows: Iterable[tuple[PurePosixPath, Sequence[Import]]], resolvers: Mapping[Family, LanguageResolver]
) -> dict[str, _Edges]:
    found: dict[str, _Edges] = {}
    for place, imports in rows:
        path = str(place)
        family = family_of(path)
        if family is None:
            continue
        resolver = resolvers[family]
        targets: dict[str, None] = {}
        external: dict[str, None] = {}
        unresolved = total = 0
        for statement in imports:
            if is_listed(statement):
                resolution = resolver.resolve(path, statement)
                total += 1
                if resolution.external:
                    external[dependency_name(family, statement.module)] = None
                elif resolution.targets:
                    targets.update(dict.fromkeys(resolution.targets))
                elif not resolution.submodules:
                    unresolved += 1
        targets.pop(path, None)
        found[path] = _Edges(tuple(targets), tuple(external), unresolved, total)
    return found


def is_listed(statement: Import) -> bool:
    """Whether this is an import, and not a list of exports or a module that stands in place."""
    return statement.kind != "exports" and bool(statement.module)


def dependency_name(family: Family, module: str) -> str:
    """What a dependency is called, by the module that is imported of it."""
    if family == "python":
        return module.partition(".")[0]
    if family == "rust":
        return module.removeprefix("::").partition("::")[0]
    if family == "node":
        return "/".join(module.split("/")[: 2 if module.startswith("@") else 1])
    return module


def _assemble(generation: int, edges: Mapping[str, _Edges]) -> ModuleGraph:
    paths = sorted(edges)
    place = {path: number for number, path in enumerate(paths)}
    importers: list[list[int]] = [[] for _ in paths]
    imports: list[tuple[int, ...]] = []
    external: Counter[str] = Counter()
    for number, path in enumerate(paths):
        found = edges[path]
        targets = sorted(place[target] for target in found.targets if target in place)
        imports.append(tuple(targets))
        for target in targets:
            importers[target].append(number)
        external.update(found.external)
    return ModuleGraph(
        generation,
        tuple(map(PurePosixPath, paths)),
        tuple(imports),
        tuple(map(tuple, importers)),
        dict(external.most_common()),
        sum(found.unresolved for found in edges.values()),
        sum(found.total for found in edges.values()),
    )
