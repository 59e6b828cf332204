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
from ghostd.indexed import Import, Reference, Span, Symbol, SymbolKind
from ghostd.navigation.families import family_of
from ghostd.navigation.found import Found, distance
from ghostd.navigation.locals import binding
from ghostd.navigation.places import chain_before
from ghostd.resolve.resolved import ResolvedImport
from ghostd.resolve.resolver import Resolver
from ghostd.resolve.scopes import type_at

_OF_A_NAME = 500
_MAX_TYPES = 20
_PARTS = re.compile(r"::|[./]")
_QUOTING = frozenset(("typescript", "zig"))
"""Where an import names its module in quotes."""
_NAMES_BEFORE = re.compile(rb"\bfrom\b.*\bimport\b")
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
    uses: Sequence[Reference] | None = None
    """All uses of names in the file, where the caller has read them."""


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
                files: Sequence[PurePosixPath] = ()
                if symbol.kind == "module" and asked.text[symbol.span.end - 1 : symbol.span.end] == b";":
                    files = await self.resolver.module_of(root, asked.path, _label(symbol), view)  # Rust's `mod name;`
                return Meaning((Found(root, _whole(name, files[0]) if files else symbol),), known=True)
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
        if not chain:
            uses = await view.uses(root, asked.path) if asked.uses is None else asked.uses
            places = [
                *(use.span for use in uses if use.name == name),
                *(s.name_span for s in outline if s.name == name),
            ]
            if (bound := binding(asked.text, outline, name, asked.offset, places)) is not None:
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
        first = chain.partition(".")[0]
        if first in _OWN and not (first == "super" and family_of(path) == "rust"):  # there it is a module
            owner = type_at(outline, asked.offset) if "." not in chain else None
            return () if owner is None else await self._member(asked, chain, owner, outline, view)
        if chain == "?":
            return ()
        return await self.resolver.behind(root, path, _dotted(chain, name), view)

    async def _member(
        self, asked: Asked, chain: str, owner: Symbol, outline: Sequence[Symbol], view: Index
    ) -> Sequence[Symbol]:
        """What a name is to the type around it."""
        if chain == "super":
            return await self._inherited(asked.root, owner, asked.name)
        members = [symbol for symbol in outline if symbol.name == asked.name and symbol.container == _label(owner)]
        if members:
            return members
        inherited = await self.resolver.members(asked.root, owner)
        return [s for s in inherited if s.name == asked.name] or await self._attribute(asked, owner, view)

    async def _attribute(self, asked: Asked, owner: Symbol, view: Index) -> list[Symbol]:
        """Where a type, or one of its bases, binds an attribute of its objects, which the index does not list."""
        name = re.escape(asked.name.encode("utf-8", "replace"))
        pattern = re.compile(rb"(?<![\w.])(?:self|this|cls)\.(%b)[ \t]*(?::[^=\n]*)?=(?![=>])" % name)
        types = [owner]
        for each in types:
            text = asked.text if each.path == asked.path else await view.text(asked.root, each.path) or b""
            if bound := pattern.search(text, each.span.start, each.span.end):
                return [_bound_here(asked.name, "field", each.path, text, Span(*bound.span(1)), _label(each))]
            if len(types) < _MAX_TYPES:
                types += [base for base in await self.resolver.bases(asked.root, each) if base not in types]
        return []

    async def _inherited(self, root: Path, owner: Symbol, name: str) -> list[Symbol]:
        """The member that a type has from its bases, though it may have its own."""
        for base in await self.resolver.bases(root, owner):
            if found := [s for s in await self.resolver.members(root, base) if s.name == name]:
                return found
        return []

    async def is_another(self, symbol: Symbol, root: Path, path: PurePosixPath, chain: str, view: Index) -> bool:
        """Whether a name as that of `symbol`, as a member of `chain` in a file, is known to mean something else."""
        first, owner = chain.partition(".")[0], chain.rpartition(".")[2]
        if first in _OWN or chain == "?":
            return False
        meant = await self.resolver.behind(root, path, _dotted(chain, symbol.name), view)
        if meant or not chain:
            return bool(meant) and all((s.path, s.name_span) != (symbol.path, symbol.name_span) for s in meant)
        imports = await self.resolver.imports(root, path, view)
        if _is_foreign(first, imports):
            return True
        # A type that neither the project defines nor the file imports is the language's own, as Rust's `String`.
        is_type = owner[:1].isupper() and len(owner) > 1 and owner != symbol.container.rpartition(".")[2]
        bound = (name for each in imports for name in each.statement.as_names or each.statement.names)
        if not is_type or owner in bound:
            return False
        defined = {each.kind for each in await view.definitions(root, owner, _OF_A_NAME)}
        # In Rust only a trait, or another name of the type, may mean it.
        return not (defined & {"trait", "type"} if family_of(path) == "rust" else defined)


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
    start = asked.text.rfind(b"\n", 0, asked.offset) + 1
    family = family_of(asked.path)
    if family == "python" and _NAMES_BEFORE.search(asked.text, start, asked.offset):
        return ()  # one of the names, which may be called as the module is
    for each in imports:
        if not each.targets:
            continue
        if family in _QUOTING:
            if _is_quoted(asked, each.statement):
                return each.targets[:1]
            continue
        module = _PARTS.split(each.statement.module)
        if each.statement.line == line and module[-1] == asked.name:
            dotted = _PARTS.split(_dotted(chain, asked.name))
            if chain == "?" or module[-len(dotted) :] == dotted:
                return each.targets[:1]
    return ()


def _is_quoted(asked: Asked, statement: Import) -> bool:
    """Whether a name stands in the quotes in which an import names its module."""
    opened = max(asked.text.rfind(quote, 0, asked.offset) for quote in (b'"', b"'", b"`"))
    module = statement.module.encode("utf-8", "replace")
    if opened < 0 or not asked.text.startswith(module, opened + 1) or asked.offset > opened + len(module):
        return False
    closed = opened + 1 + len(module)
    return asked.text[closed : closed + 1] == asked.text[opened : opened + 1]


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
    symbol = _bound_here(asked.name, "variable", asked.path, asked.text, where, _label(function))
    return Meaning((Found(asked.root, symbol),), known=True, within=function.span)


def _bound_here(name: str, kind: SymbolKind, path: PurePosixPath, text: bytes, where: Span, inside: str) -> Symbol:
    """What the index does not list, with the rest of its line as its head."""
    line = text.count(b"\n", 0, where.start) + 1
    head = text[where.start : (text.find(b"\n", where.start) + 1 or len(text) + 1) - 1]
    return Symbol(name, kind, path, where, where, line, inside, head[:200].decode("utf-8", "replace").strip())


def _dotted(chain: str, name: str) -> str:
    return f"{chain}.{name}" if chain else name


def _whole(name: str, path: PurePosixPath) -> Symbol:
    """A module that is a whole file."""
    return Symbol(name, "module", path, Span(0, 0), Span(0, 0), 1)


def _label(symbol: Symbol) -> str:
    return f"{symbol.container}.{symbol.name}" if symbol.container else symbol.name
