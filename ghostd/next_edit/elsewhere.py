"""Finds the other files of a project that may use what one file defines."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ghostd.navigation.families import family_of
from ghostd.navigation.found import distance
from ghostd.next_edit.aside import Aside
from ghostd.next_edit.asked import Texts
from ghostd.next_edit.document import Source
from ghostd.next_edit.uses import Site, giving_files
from ghostd.resolve.resolver import Resolver

_MAX_REFERENCES = 1000
_MAX_IMPORTERS = 200
"""Files that import the defining one, of which the index has no use of the name."""
_MAX_OVERRIDING = 20


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Other files, the closest first."""

    resolver: Resolver
    texts: Texts
    aside: Aside
    max_files: int

    async def sites(self, source: Source, name: str, *, member: bool) -> AsyncIterator[Site]:
        """Those that may use a name; of a member only where nothing else in the project has its name."""
        asked = self.texts.asked
        paths = await self._files(source, name)
        if member:
            defined = await asked.view.definitions(asked.root, name)
            if any(s.path != source.path and family_of(s.path) == source.family for s in defined):
                return
        imports = {path: await self.resolver.imports(asked.root, path, asked.view) for path in paths}
        giving = await self.aside.run(giving_files, source.path, name, imports)
        for path in paths:
            other = await self.texts.source(path)
            if other is not None:
                yield Site(other, name, member, imports[path], giving)

    async def overriding(self, source: Source, name: str) -> AsyncIterator[Source]:
        """The asked file, and those that define a method of this name."""
        asked = self.texts.asked
        paths = {symbol.path for symbol in await asked.view.definitions(asked.root, name)} | {source.path}
        for path in sorted(paths, key=lambda path: (path != source.path, path))[:_MAX_OVERRIDING]:
            other = await self.texts.source(path)
            if other is not None and other.family == source.family:
                yield other

    async def _files(self, source: Source, name: str) -> Sequence[PurePosixPath]:
        asked = self.texts.asked

        def near(path: PurePosixPath) -> tuple[int, PurePosixPath]:
            return distance(source.path, path), path

        found = {use.path for use in await asked.view.references(asked.root, name, _MAX_REFERENCES)}
        importers = set(await self.resolver.importers(asked.root, source.path)) - found
        for path in sorted(importers, key=near)[:_MAX_IMPORTERS]:
            other = await self.texts.source(path)
            if other is not None and name in other.text:
                found.add(path)
        found.discard(source.path)
        return sorted((path for path in found if family_of(path) == source.family), key=near)[: self.max_files]
