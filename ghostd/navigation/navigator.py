"""Navigation, for every front-end: one object for each daemon."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.navigation.calls import Calls
from ghostd.navigation.found import Place, place_of
from ghostd.navigation.meaning import Asked, Meanings, same_name
from ghostd.navigation.references import sort_places, uses_of
from ghostd.navigation.symbols import SymbolSearch
from ghostd.resolve.resolver import Resolver


@dataclass(frozen=True, slots=True)
class Navigator:
    """What people ask of a project's names. `view` is the index as the one who asks sees it."""

    index: Index
    resolver: Resolver
    symbols: SymbolSearch
    meanings: Meanings
    calls: Calls

    async def references(self, asked: Asked, view: Index, limit: int, *, declaration: bool) -> list[Place]:
        """The uses of a name at a place, the closest first, `limit` at most; with `declaration` what defines it."""
        meaning = await self.meanings.of(asked, view)
        within = meaning.within
        places = await uses_of(asked.root, asked.name, view, limit, near=asked.path, within=within)
        defined = meaning.definitions if within is not None or meaning.known else ()
        if within is None:
            defined = await same_name(asked.root, asked.path, asked.name, view) or defined
        names = {place_of(each.root, each.symbol) for each in defined}
        places = [place for place in places if place not in names]
        if declaration:
            places = sort_places([*names, *places], asked.path)
        return places[:limit]

    async def references_by_name(
        self, root: Path, name: str, view: Index, limit: int, near: PurePosixPath | None = None
    ) -> list[Place]:
        """The uses of a name in a whole root, in every language unless `near` names a file."""
        return await uses_of(root, name, view, limit, near=near)


def navigator(index: Index, resolver: Resolver) -> Navigator:
    """Over an index and what resolves its imports."""
    meanings = Meanings(resolver)
    return Navigator(index, resolver, SymbolSearch(index), meanings, Calls(meanings))
