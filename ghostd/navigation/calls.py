"""Who calls a function, and whom it calls: by name, and by what imports say where they say it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.indexed import Reference, Span, Symbol
from ghostd.navigation.families import family_of
from ghostd.navigation.found import CALLABLES, TYPES, Found, Place, place_of
from ghostd.navigation.meaning import Asked, Meanings
from ghostd.navigation.places import chain_before, is_called, locate
from ghostd.navigation.references import enclosing, uses_of
from ghostd.resolve.scopes import type_at

MAX_CALLS = 1000
"""How many uses of a name are looked at."""
_MAX_CALLEES = 200
_MAX_CHAINS = 50
"""How many different things, of which a name is a member, are looked at in one file."""
_UNSURE = 5
"""A name that nothing resolves, and that has more definitions than this, could mean anything: it is left out."""


@dataclass(frozen=True, slots=True)
class Caller:
    """What calls a function, and where."""

    root: Path
    path: PurePosixPath
    symbol: Symbol | None
    """None: the file itself, outside of every definition."""
    calls: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Callee:
    """What a function calls, and where it does."""

    found: Found
    calls: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Calls:
    """Finds calls."""

    meanings: Meanings

    async def incoming(self, called: Found, view: Index) -> list[Caller]:
        """The definitions whose text calls a function, the closest file's first."""
        root, symbol = called.root, called.symbol
        family = family_of(symbol.path)
        by_file: defaultdict[PurePosixPath, list[Place]] = defaultdict(list)
        for place in await uses_of(root, symbol.name, view, MAX_CALLS, near=symbol.path):
            by_file[place.path].append(place)
        callers: list[Caller] = []
        for path, uses in by_file.items():
            text = await view.text(root, path)
            places = uses if text is None else [use for use in uses if is_called(text, _now(text, use), family)]
            if not places:
                continue
            outline = await view.outline(root, path)
            if text is not None:
                places = await self._meaning_it(symbol, root, path, text, places, outline, view)
            by_symbol: defaultdict[Symbol | None, list[Place]] = defaultdict(list)
            for place in places:
                by_symbol[enclosing(outline, place.span.start)].append(place)
            callers += [Caller(root, path, each, tuple(calls)) for each, calls in by_symbol.items()]
        return callers

    async def _meaning_it(
        self,
        symbol: Symbol,
        root: Path,
        path: PurePosixPath,
        text: bytes,
        places: Sequence[Place],
        outline: Sequence[Symbol],
        view: Index,
    ) -> list[Place]:
        """The places in a file where the name is not known to mean another definition."""
        by_chain: defaultdict[str, list[Place]] = defaultdict(list)
        for place in places:
            chain = chain_before(text, _now(text, place).start)
            if chain in ("self", "Self") and family_of(path) == "rust":  # where no other type can be meant
                owner = type_at(outline, place.span.start)
                chain = chain if owner is None else owner.name
            by_chain[chain].append(place)
        others = {
            chain
            for chain in list(by_chain)[:_MAX_CHAINS]
            if (chain or path != symbol.path) and await self.meanings.is_another(symbol, root, path, chain, view)
        }
        return [place for chain, found in by_chain.items() if chain not in others for place in found]

    async def outgoing(self, caller: Found, view: Index) -> list[Callee]:
        """The functions and types that a definition's text calls, in the order of their first call."""
        root, symbol = caller.root, caller.symbol
        text = await view.text(root, symbol.path)
        if text is None:
            return []
        family = family_of(symbol.path)
        by_name: defaultdict[tuple[str, str], list[Reference]] = defaultdict(list)
        all_uses = await view.uses(root, symbol.path)
        for use in all_uses:
            if symbol.span.start <= use.span.start < symbol.span.end:
                now = _now(text, use)
                if is_called(text, now, family):
                    by_name[chain_before(text, now.start), use.name].append(use)
        callees: dict[tuple[PurePosixPath, int], Callee] = {}
        for uses in list(by_name.values())[:_MAX_CALLEES]:
            first = uses[0]
            asked = Asked(root, symbol.path, first.name, _now(text, first).start, text, all_uses)
            meaning = await self.meanings.of(asked, view)
            found = [each for each in meaning.definitions if each.symbol.kind in CALLABLES | TYPES]
            if meaning.within is not None or (not meaning.known and len(found) > _UNSURE):
                continue
            places = tuple(place_of(root, use) for use in uses)
            for each in found:
                key = each.symbol.path, each.symbol.name_span.start
                before = callees[key].calls if key in callees else ()
                callees[key] = Callee(each, before + places)
        return list(callees.values())


def _now(text: bytes, use: Place | Reference) -> Span:
    return locate(text, use.name, use.span)
