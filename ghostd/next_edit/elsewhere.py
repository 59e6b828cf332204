"""Where other files of a project use what one file defines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ghostd.navigation.families import family_of
from ghostd.navigation.found import distance
from ghostd.next_edit.asked import Asked, Texts
from ghostd.next_edit.document import Source
from ghostd.next_edit.rename import is_plain
from ghostd.next_edit.roles import MEMBERS, role_at
from ghostd.next_edit.tokens import is_everywhere
from ghostd.resolve.resolved import ResolvedImport
from ghostd.resolve.resolver import Resolver

_MAX_REFERENCES = 1000
_IMPORTED = 0.9
_BY_MODULE = 0.85
_MEMBER = 0.65
_MAX_IMPORT_LINES = 40
_ROUNDS = 3
"""How often a name may be given on, from file to file."""


@dataclass(frozen=True, slots=True)
class Use:
    """A name in another file that means the definition."""

    source: Source
    at: int
    """The index of its token."""
    confidence: float


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Finds the uses of a definition in other files."""

    resolver: Resolver
    texts: Texts
    max_files: int

    async def uses(self, source: Source, name: str, *, member: bool) -> AsyncIterator[Use]:
        """The closest file's first; of a member only where nothing else in the project has its name."""
        asked = self.texts.asked
        paths = await self._files(asked, source, name)
        if member:
            defined = await asked.view.definitions(asked.root, name)
            if any(s.path != source.path and family_of(s.path) == source.family for s in defined):
                return
        giving = {source.path}
        imports = {path: await self.resolver.imports(asked.root, path, asked.view) for path in paths}
        for _ in range(_ROUNDS):
            more = {p for p, found in imports.items() if p not in giving and _gives_on(p, found, name, giving)}
            if not more:
                break
            giving |= more
        for path in paths:
            other = await self.texts.source(path)
            if other is None or name not in other.text or is_everywhere(other.text, name):
                continue
            if member:
                for at in await asyncio.to_thread(_members, other, name):
                    yield Use(other, at, _MEMBER)
            else:
                # Files are read in a thread: another one's tokens take some milliseconds.
                for use in await asyncio.to_thread(_uses, other, name, imports[path], giving):
                    yield use

    async def _files(self, asked: Asked, source: Source, name: str) -> list[PurePosixPath]:
        found = {use.path for use in await asked.view.references(asked.root, name, _MAX_REFERENCES)}
        for path in await self.resolver.importers(asked.root, source.path):
            other = await self.texts.source(path)
            if other is not None and name in other.text:
                found.add(path)
        found.discard(source.path)
        near = [path for path in found if family_of(path) == source.family]
        return sorted(near, key=lambda path: (distance(source.path, path), path))[: self.max_files]


def _gives_on(path: PurePosixPath, imports: Sequence[ResolvedImport], name: str, giving: set[PurePosixPath]) -> bool:
    """Whether a file hands the name on to those who import it."""
    hands = path.name in ("__init__.py", "mod.rs", "lib.rs") or path.stem == "index"
    return any(
        (hands or each.statement.kind == "reexport")
        and giving.intersection(each.targets)
        and (name in each.statement.names or "*" in each.statement.names)
        for each in imports
    )


@dataclass(slots=True)
class _Imported:
    """What a file's imports say of a name."""

    direct: bool = False
    """Whether the name by itself means it."""
    lines: set[int] = field(default_factory=set)
    """Where statements begin that import it, 0-based."""
    modules: set[str] = field(default_factory=set)
    """What the modules are called that have it as a member."""


def _imported(other: Source, name: str, imports: Sequence[ResolvedImport], giving: set[PurePosixPath]) -> _Imported:
    found = _Imported()
    for each in imports:
        statement = each.statement
        if not giving.intersection(each.targets):
            continue
        if name in statement.names:
            found.lines.add(statement.line - 1)
            called = statement.as_names[statement.names.index(name)] if statement.as_names else name
            found.direct = found.direct or called == name
        elif "*" in statement.names and not statement.as_names:
            found.direct = True
        elif not statement.names or statement.as_names:
            found.modules.update(statement.as_names or (statement.module,))
        found.modules.update(set(statement.names) & {target.stem for target in giving})
    if other.family == "rust":
        found.modules.update(path.stem if path.stem != "mod" else path.parent.name for path in giving)
    return found


def _uses(other: Source, name: str, imports: Sequence[ResolvedImport], giving: set[PurePosixPath]) -> list[Use]:
    known = _imported(other, name, imports, giving)
    own = _own(other, name) if known.direct else []
    found = []
    for at, token in enumerate(other.tokens):
        if token.text != name or token.kind != "name":
            continue
        before = other.tokens[at - 1].text if at else ""
        if any(0 <= other.line_of(token.start) - line <= _MAX_IMPORT_LINES for line in known.lines) and _in_import(
            other, at
        ):
            found.append(Use(other, at, _IMPORTED))
        elif before in MEMBERS and at >= 2 and _dotted_before(other, at) & known.modules:
            found.append(Use(other, at, _BY_MODULE))
        elif (
            known.direct
            and is_plain(other, at)
            and role_at(other, at).role in ("use", "top")
            and not any(start <= token.start < end for start, end in own)
        ):
            found.append(Use(other, at, _IMPORTED))
    return found


def _own(source: Source, name: str) -> list[tuple[int, int]]:
    """The parts of a file where a function has the name for something of its own."""
    found = []
    for at, token in enumerate(source.tokens):
        if token.text == name and token.kind == "name":
            defined = role_at(source, at)
            if defined.role in ("parameter", "local"):
                found.append((defined.start, defined.end))
    return found


def _in_import(source: Source, at: int) -> bool:
    """Whether a name stands in an import statement."""
    for place in range(at - 1, max(at - 200, -1), -1):
        text = source.tokens[place].text
        if text in ("import", "use", "export"):
            return True
        if text in (";", "=", "def", "class", ":") or (text == ")" and source.family == "python"):
            return False
    return False


def _dotted_before(source: Source, at: int) -> set[str]:
    """What stands before the dot of a name: "c", "b.c" and "a.b.c" for `a.b.c.name`."""
    tokens = source.tokens
    parts: list[str] = []
    dotted: set[str] = set()
    place = at - 2
    while place >= 0 and tokens[place].kind == "name" and len(parts) < 8:
        parts.insert(0, tokens[place].text)
        dotted.add(".".join(parts))
        dotted.add("::".join(parts))
        if place < 2 or tokens[place - 1].text not in MEMBERS:
            break
        place -= 2
    if source.family != "rust":  # a.b.name is not b's
        dotted = {max(dotted, key=len)} if dotted else dotted
    return dotted


def _members(other: Source, name: str) -> list[int]:
    tokens = other.tokens
    return [
        at
        for at, token in enumerate(tokens)
        if at and token.text == name and token.kind == "name" and tokens[at - 1].text in MEMBERS
    ]
