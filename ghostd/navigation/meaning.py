"""Which definitions a name at a place means.

A function's own names first, then what imports and the file itself say (`ghostd.resolve`), then members of the type
around it; and where nothing says anything, the definitions of that name in the same language, the closest first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.indexed import Span, Symbol
from ghostd.navigation.families import family_of
from ghostd.navigation.found import Found, distance
from ghostd.navigation.locals import binding
from ghostd.navigation.places import chain_before
from ghostd.resolve.resolved import ResolvedImport
from ghostd.resolve.resolver import Resolver
from ghostd.resolve.scopes import type_at

_OF_A_NAME = 500
_PARTS = re.compile(r"::|[./]")
_OWN = frozenset(("self", "this", "cls", "Self", "super"))


@dataclass(frozen=True, slots=True)
class Asked:
    """A name at a place in a file."""

    root: Path
    path: PurePosixPath
    name: str
    offset: int
    """Where the name starts, in `text`."""
    text: bytes
    """The file as it is now."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name means."""

    definitions: Sequence[Found]
    """The most likely one first."""
    known: bool
    """False: they only have the same name."""
    within: Span | None = None
    """The function whose own name it is."""


@dataclass(frozen=True, slots=True)
class Meanings:
    """Finds what names mean."""

    resolver: Resolver

    async def of(self, asked: Asked, view: Index) -> Meaning:
        """The definitions that a name means; none for a name that is not defined in the project."""
        root, name = asked.root, asked.name
        outline = list(await view.outline(root, asked.path))
        for symbol in outline:
            if symbol.name == name and symbol.name_span.start <= asked.offset <= symbol.name_span.end:
                return Meaning((Found(root, symbol),), known=True)
        chain = chain_before(asked.text, asked.offset)
        known = await self._known(asked, chain, outline, view)
        if known is not None:
            return known
        return Meaning(await same_name(root, asked.path, name, view, member=bool(chain)), known=False)

    async def _known(self, asked: Asked, chain: str, outline: list[Symbol], view: Index) -> Meaning | None:
        """What the function, the file and its imports say; None where they say nothing."""
        root, name = asked.root, asked.name
        imports = await self.resolver.imports(root, asked.path, view)
        if imported := _imported(asked, chain, imports):
            return Meaning([Found(root, _whole(name, path)) for path in imported], known=True)
        if not chain and (bound := binding(asked.text, outline, name, asked.offset)) is not None:
            return _own_name(asked, *bound)
        found = await self._resolved(asked, chain, outline, view)
        if not found and chain != "?":
            modules = await self.resolver.module_of(root, asked.path, _dotted(chain, name), view)
            found = [_whole(name, path) for path in modules]
        if found or _is_foreign(_dotted(chain, name).partition(".")[0], imports):
            return Meaning([Found(root, symbol) for symbol in found], known=True)
        return None

    async def _resolved(self, asked: Asked, chain: str, outline: Sequence[Symbol], view: Index) -> Sequence[Symbol]:
        root, path, name = asked.root, asked.path, asked.name
        if chain.partition(".")[0] in _OWN:
            owner = type_at(outline, asked.offset) if "." not in chain else None
            if owner is None:
                return ()
            members = [symbol for symbol in outline if symbol.name == name and symbol.container == _label(owner)]
            return members or [s for s in await self.resolver.members(root, owner) if s.name == name]
        if chain == "?":
            return ()
        return await self.resolver.behind(root, path, _dotted(chain, name), view)


async def same_name(
    root: Path, path: PurePosixPath, name: str, view: Index, *, member: bool | None = None
) -> list[Found]:
    """Definitions of a name in a file's language, or else in any, the closest file's first.

    `member` says whether it is something's member, so that such definitions come first, or stands by itself.
    """
    symbols = await view.definitions(root, name, _OF_A_NAME)
    family = family_of(path)
    symbols = [symbol for symbol in symbols if family_of(symbol.path) == family] or list(symbols)

    def rank(symbol: Symbol) -> tuple[object, ...]:
        unlike = member is not None and member != bool(symbol.container)
        return unlike, distance(path, symbol.path), symbol.path, symbol.span.start

    return [Found(root, symbol) for symbol in sorted(symbols, key=rank)]


def _imported(asked: Asked, chain: str, imports: Sequence[ResolvedImport]) -> Sequence[PurePosixPath]:
    """The file of the module whose name, in an import statement, ends at the name that is asked for."""
    line = asked.text.count(b"\n", 0, asked.offset) + 1
    for each in imports:
        module = _PARTS.split(each.statement.module)
        if each.statement.line == line and module[-1] == asked.name and each.targets:
            dotted = _PARTS.split(_dotted(chain, asked.name))
            if chain == "?" or module[-len(dotted) :] == dotted:
                return each.targets[:1]
    return ()


def _is_foreign(name: str, imports: Sequence[ResolvedImport]) -> bool:
    """Whether a file imports a name from outside of the project."""
    for each in imports:
        if each.external:
            statement = each.statement
            bound = statement.as_names or statement.names or _PARTS.split(statement.module)[:1]
            if name in bound:
                return True
    return False


def _own_name(asked: Asked, function: Symbol, where: Span) -> Meaning:
    line = asked.text.count(b"\n", 0, where.start) + 1
    inside = f"{function.container}.{function.name}" if function.container else function.name
    head = asked.text[where.start : (asked.text.find(b"\n", where.start) + 1 or len(asked.text) + 1) - 1]
    symbol = Symbol(
        asked.name, "variable", asked.path, where, where, line, inside, head[:200].decode("utf-8", "replace").strip()
    )
    return Meaning((Found(asked.root, symbol),), known=True, within=function.span)


def _dotted(chain: str, name: str) -> str:
    return f"{chain}.{name}" if chain else name


def _whole(name: str, path: PurePosixPath) -> Symbol:
    """A module that is a whole file."""
    return Symbol(name, "module", path, Span(0, 0), Span(0, 0), 1)


def _label(symbol: Symbol) -> str:
    return f"{symbol.container}.{symbol.name}" if symbol.container else symbol.name
