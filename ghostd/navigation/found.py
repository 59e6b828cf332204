"""What is found, and where."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ghostd.indexed import Reference, Span, Symbol, SymbolKind

CALLABLES: frozenset[SymbolKind] = frozenset(("function", "method", "macro", "test"))
TYPES: frozenset[SymbolKind] = frozenset(("class", "struct", "enum", "union", "interface", "trait", "type"))


@dataclass(frozen=True, slots=True)
class Found:
    """A definition."""

    root: Path
    symbol: Symbol

    @property
    def path(self) -> Path:
        """Of its file, absolute."""
        return self.root / self.symbol.path


@dataclass(frozen=True, slots=True)
class Place:
    """A name somewhere in a file: a use of it, or where it is defined."""

    root: Path
    path: PurePosixPath
    """Relative to the root."""
    name: str
    span: Span
    line: int
    """1-based."""

    @property
    def file(self) -> Path:
        """Absolute."""
        return self.root / self.path


def place_of(root: Path, what: Reference | Symbol) -> Place:
    """Where a use is, or the name of a definition."""
    span = what.span if isinstance(what, Reference) else what.name_span
    return Place(root, what.path, what.name, span, what.line)


def distance(a: PurePosixPath, b: PurePosixPath) -> int:
    """How far it is from one file to another: 0 the same one, 1 the same folder, and so on over folders."""
    if a == b:
        return 0
    mine, other = a.parts[:-1], b.parts[:-1]
    shared = 0
    for left, right in zip(mine, other, strict=False):
        if left != right:
            break
        shared += 1
    return 1 + len(mine) + len(other) - 2 * shared
