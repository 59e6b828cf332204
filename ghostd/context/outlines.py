"""The heads of a file's definitions, grouped by what encloses them, in pieces small enough to quote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from sys import intern

from ghostd.context.query import names_in
from ghostd.indexed import Symbol

MAX_LINES = 14
_BODIES = frozenset(("function", "method", "test"))


@dataclass(slots=True, eq=False)
class OutlinePiece:
    """Some members of one type, or of a module."""

    path: PurePosixPath
    container: str
    """Dotted; "" for the module itself."""
    text: str
    names: frozenset[str]
    """What it tells of: the members and the container."""
    first_line: int
    last_line: int
    _words: frozenset[str] | None = None

    @property
    def words(self) -> frozenset[str]:
        """The identifiers in its text."""
        if self._words is None:
            self._words = names_in(self.text)
        return self._words


def pieces_of(outline: Sequence[Symbol]) -> list[OutlinePiece]:
    """A file's outline in pieces, in source order; what is inside of functions is left out."""
    heads = {_dotted(symbol): symbol for symbol in reversed(outline)}
    groups: dict[str, list[Symbol]] = {}
    for symbol in outline:
        if symbol.container in heads and heads[symbol.container].kind in _BODIES:
            continue
        groups.setdefault(symbol.container, []).append(symbol)
    found = []
    for container, members in groups.items():
        head = heads.get(container)
        for start in range(0, len(members), MAX_LINES):
            part = members[start : start + MAX_LINES]
            found.append(_piece(container, head, part))
    return found


def _piece(container: str, head: Symbol | None, members: Sequence[Symbol]) -> OutlinePiece:
    indent = "    " if container else ""
    lines = [f"{head.signature}:"] if head is not None else [f"{container}:"] if container else []
    lines += [indent + (member.signature or member.name) for member in members]
    names = {intern(member.name) for member in members}
    if container:
        names.add(intern(container.rpartition(".")[2]))
    first = members[0]
    path, last = first.path, max(member.line for member in members)
    return OutlinePiece(path, container, "\n".join(lines), frozenset(names), first.line, last)


def _dotted(symbol: Symbol) -> str:
    return f"{symbol.container}.{symbol.name}" if symbol.container else symbol.name
