"""Where one file uses what another one defines: by its imports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ghostd.next_edit.document import Source
from ghostd.next_edit.innermost import Innermost
from ghostd.next_edit.rename import is_plain
from ghostd.next_edit.roles import MEMBERS, role_at
from ghostd.next_edit.tokens import is_everywhere
from ghostd.resolve.resolved import ResolvedImport

_IMPORTED = 0.9
_BY_MODULE = 0.85
_MEMBER = 0.65
_MAX_IMPORT_LINES = 40
_ROUNDS = 3
"""How often a name may be given on, from file to file."""


@dataclass(frozen=True, slots=True)
class Site:
    """A file that may use a name which another one defines."""

    source: Source
    name: str
    member: bool
    imports: Sequence[ResolvedImport]
    giving: frozenset[PurePosixPath]
    """The files that have the name for those who import them."""


@dataclass(frozen=True, slots=True)
class Use:
    """A name in another file that means the definition."""

    source: Source
    at: int
    """The index of its token."""
    confidence: float


def giving_files(
    path: PurePosixPath, name: str, imports: Mapping[PurePosixPath, Sequence[ResolvedImport]]
) -> frozenset[PurePosixPath]:
    """The file that defines a name, and those that give it on; `imports` are those of the files that may."""
    giving = frozenset((path,))
    for _ in range(_ROUNDS):
        more = frozenset(p for p, found in imports.items() if p not in giving and _gives_on(p, found, name, giving))
        if not more:
            break
        giving |= more
    return frozenset(giving)


def uses(site: Site) -> list[Use]:
    """In the order of the text; of a member wherever something has it by a dot."""
    if site.name not in site.source.text or is_everywhere(site.source.text, site.name):
        return []
    if site.member:
        return [Use(site.source, at, _MEMBER) for at in _members(site.source, site.name)]
    return list(_uses(site.source, site.name, site.imports, site.giving))


def _gives_on(
    path: PurePosixPath, imports: Sequence[ResolvedImport], name: str, giving: frozenset[PurePosixPath]
) -> bool:
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


def _imported(
    other: Source, name: str, imports: Sequence[ResolvedImport], giving: frozenset[PurePosixPath]
) -> _Imported:
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


def _uses(
    other: Source, name: str, imports: Sequence[ResolvedImport], giving: frozenset[PurePosixPath]
) -> Iterator[Use]:
    known = _imported(other, name, imports, giving)
    own = Innermost(_own(other, name) if known.direct else ())
    for at in other.places(name):
        token = other.tokens[at]
        before = other.tokens[at - 1].text if at else ""
        if any(0 <= other.line_of(token.start) - line <= _MAX_IMPORT_LINES for line in known.lines) and _in_import(
            other, at
        ):
            yield Use(other, at, _IMPORTED)
        elif before in MEMBERS and at >= 2 and _dotted_before(other, at) & known.modules:
            yield Use(other, at, _BY_MODULE)
        elif (
            known.direct
            and is_plain(other, at)
            and role_at(other, at).role in ("use", "top")
            and not own.at(token.start)
        ):
            yield Use(other, at, _IMPORTED)


def _own(source: Source, name: str) -> Iterator[tuple[int, int, bool]]:
    """(start, end, True) of the parts of a file where a function has the name for something of its own."""
    for at in source.places(name):
        defined = role_at(source, at)
        if defined.role in ("parameter", "local"):
            yield defined.start, defined.end, True


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
    return [at for at in other.places(name) if at and other.tokens[at - 1].text in MEMBERS]
