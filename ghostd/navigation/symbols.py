"""The project's definitions whose names fit what somebody typed."""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.indexed import Symbol, SymbolKind
from ghostd.navigation.families import FAMILIES, family_of
from ghostd.navigation.found import Found, distance
from ghostd.navigation.matching import Fit, fit
from ghostd.navigation.names import MAX_QUERY_CHARS, Names, gather

MAX_KEPT_BYTES = 8 * 1024 * 1024
"""Memory for lists of names, of all roots together; a larger list is made anew for each search."""

_MEMBERS_OF = 20
"""How many types of a name are looked into for "Type."."""
_BATCH = 50
"""How many places of definitions are read at first."""
_LARGE_BATCH = 1000
"""And then, as most of them do not do: several names of one file are found by reading it once."""
_MAX_OF_KINDS = 1000
_MAX_QUALIFIED = 300
"""How many fitting names are looked at where a kind, or what encloses it, leaves most of them out."""
_SEPARATORS = re.compile(r"::|->|[.#/\s]")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for."""

    query: str
    """A name or some of it; "Type.method" or "module::function" narrows it. "" is whatever lies nearest."""
    kinds: frozenset[SymbolKind] | None = None
    """None: all."""
    leave_out: frozenset[str] = frozenset()
    """Families of languages that are not looked for."""
    near: Path | None = None
    """The file that somebody is in: of what fits equally well, the closest is the first."""
    fresh: tuple[Path, ...] = ()
    """Files whose names the index may not list yet: documents that are open in an editor."""


@dataclass(frozen=True, slots=True)
class _Ranked:
    fits: Fit
    vaguely: bool
    """Whether what encloses it is not called just as the query says."""
    found: Found


@dataclass(slots=True)
class SymbolSearch:
    """Looks in the names of each root, which it keeps in memory as long as nothing there has changed."""

    index: Index
    _kept: OrderedDict[Path, tuple[int, Names]] = field(default_factory=OrderedDict)

    async def search(self, wanted: Wanted, roots: Sequence[Path], view: Index, limit: int) -> list[Found]:
        """The definitions that fit best, the best first.

        How a name fits counts most, then how close the file is, then how little else the name has.
        """
        *qualifiers, name = _SEPARATORS.split(wanted.query.strip()[: 2 * MAX_QUERY_CHARS])
        qualifiers = [part for part in qualifiers if part]
        if limit <= 0 or wanted.leave_out >= FAMILIES:
            return []
        found: list[_Ranked] = []
        for root in roots:
            if name:
                found += await self._named(name, qualifiers, wanted, root, view, limit)
            elif qualifiers:
                found += await self._members(qualifiers, wanted, root, view)
            else:
                found += await _nearest(wanted, root, view, limit)
        found.sort(key=lambda each: _order(each, wanted.near))
        return [each.found for each in found[:limit]]

    async def _named(
        self, name: str, qualifiers: Sequence[str], wanted: Wanted, root: Path, view: Index, limit: int
    ) -> list[_Ranked]:
        here = _relative(root, wanted.near)
        fresh = [path for path in (_relative(root, file) for file in wanted.fresh) if path is not None]
        found: list[_Ranked] = []
        for path in dict.fromkeys([*fresh, here] if here is not None else fresh):
            symbols = [symbol for symbol in await view.outline(root, path) if _fits(symbol, wanted, qualifiers)]
            found += [_ranked(fits, qualifiers, root, s) for s in symbols if (fits := fit(name, s.name)) is not None]
        seen = {*fresh, here}
        most = _MAX_OF_KINDS if wanted.kinds is not None else _MAX_QUALIFIED if qualifiers else limit
        names = await self._names(root)
        best = await asyncio.to_thread(names.best, name, max(limit, most))
        fits_of = {each: fits for fits, each in best}
        places = [
            (each, path)
            for each, path in await self._places(root, list(fits_of), qualifiers)
            if path not in seen and not (wanted.leave_out and family_of(path) in wanted.leave_out)
        ]
        # Which of many files of a name to look into is known before any of them is read.
        places.sort(key=lambda place: _rank(fits_of[place[0]], place[0], place[1], here))
        listed = 0
        start, batch = 0, _BATCH
        while start < len(places) and listed < limit:
            for symbol in await self.index.definitions_in(root, places[start : start + batch]):
                if _fits(symbol, wanted, qualifiers):
                    found.append(_ranked(fits_of[symbol.name], qualifiers, root, symbol))
                    listed += 1
            start, batch = start + batch, _LARGE_BATCH
        return found

    async def _places(
        self, root: Path, names: Sequence[str], qualifiers: Sequence[str]
    ) -> Sequence[tuple[str, PurePosixPath]]:
        """Which files define these names, where the qualifiers may fit."""
        if not qualifiers:
            return await self.index.files_defining(root, names)
        return [
            (name, path)
            for name, path, containers in await self.index.defined_within(root, names)
            if containers is None or any(_lies_in(path, each, qualifiers) for each in containers)
        ]

    async def _members(self, qualifiers: Sequence[str], wanted: Wanted, root: Path, view: Index) -> list[_Ranked]:
        """What is defined in the definitions of a name."""
        *outer, holder = qualifiers
        names = await self._names(root)
        found: dict[tuple[PurePosixPath, int], _Ranked] = {}
        for fits, name in await asyncio.to_thread(names.best, holder, _MEMBERS_OF):
            for path in {
                each.path
                for each in await view.definitions(root, name, _MEMBERS_OF)
                if _lies_in(each.path, each.container, outer)
            }:
                for symbol in await view.outline(root, path):
                    if symbol.container.rpartition(".")[2] == name and _fits(symbol, wanted, ()):
                        found[path, symbol.name_span.start] = _ranked(fits, outer, root, symbol)
        return list(found.values())

    async def _names(self, root: Path) -> Names:
        generation = next((status.generation for status in self.index.roots() if status.root == root), -1)
        kept = self._kept.get(root)
        if kept is not None and kept[0] == generation:
            self._kept.move_to_end(root)
            return kept[1]
        names = await asyncio.to_thread(gather, await self.index.names(root))
        self._kept.pop(root, None)
        if names.size_bytes <= MAX_KEPT_BYTES:
            self._kept[root] = generation, names
            while sum(each.size_bytes for _, each in self._kept.values()) > MAX_KEPT_BYTES:
                self._kept.popitem(last=False)
        return names


async def _nearest(wanted: Wanted, root: Path, view: Index, limit: int) -> list[_Ranked]:
    """Definitions of the files that lie nearest."""
    here = _relative(root, wanted.near)
    paths = [file.path for file in await view.files(root)]
    if here is not None:
        paths.sort(key=lambda path: (distance(here, path), path))
    found: list[_Ranked] = []
    for path in paths:
        symbols = await view.outline(root, path)
        found += [_ranked(Fit(3, False, False, 0), (), root, s) for s in symbols if _fits(s, wanted, ())]
        if len(found) >= limit:
            break
    return found


def _relative(root: Path, file: Path | None) -> PurePosixPath | None:
    return PurePosixPath(file.relative_to(root)) if file is not None and file.is_relative_to(root) else None


def _fits(symbol: Symbol, wanted: Wanted, qualifiers: Sequence[str]) -> bool:
    if wanted.kinds is not None and symbol.kind not in wanted.kinds:
        return False
    if wanted.leave_out and family_of(symbol.path) in wanted.leave_out:
        return False
    return _lies_in(symbol.path, symbol.container, qualifiers)


def _lies_in(path: PurePosixPath, container: str, qualifiers: Sequence[str]) -> bool:
    """Whether the folders, the file and what encloses a definition there fit all of these names, in their order."""
    if not qualifiers:
        return True
    around = iter([*path.parts[:-1], path.stem, *filter(None, container.split("."))])
    return all(any(_is_fit(qualifier, part) for part in around) for qualifier in qualifiers)


@lru_cache(maxsize=2048)
def _is_fit(qualifier: str, part: str) -> bool:
    """Remembered, as files have many folders and types in common."""
    return fit(qualifier, part) is not None


def _ranked(fits: Fit, qualifiers: Sequence[str], root: Path, symbol: Symbol) -> _Ranked:
    around = {*symbol.path.parts[:-1], symbol.path.stem, *symbol.container.split(".")}
    return _Ranked(fits, not around.issuperset(qualifiers), Found(root, symbol))


def _rank(fits: Fit, name: str, path: PurePosixPath, here: PurePosixPath | None) -> tuple[object, ...]:
    far = 0 if here is None else distance(here, path)
    return *fits[:3], far, fits.extra, path.parts, name


def _order(ranked: _Ranked, near: Path | None) -> tuple[object, ...]:
    symbol, root = ranked.found.symbol, ranked.found.root
    here = _relative(root, near)
    *rank, _ = _rank(ranked.fits, symbol.name, symbol.path, here)
    return ranked.vaguely, near is not None and here is None, *rank, str(root), symbol.name_span.start
