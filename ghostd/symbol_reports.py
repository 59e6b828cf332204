"""What the HTTP API says of names in the indexed projects, shared by the daemon's side and its client."""

from __future__ import annotations

import msgspec

from ghostd.indexed import SymbolKind


class ListedSymbol(msgspec.Struct, frozen=True):
    """A definition. Lines and columns count from 1, columns in characters."""

    name: str
    kind: SymbolKind
    root: str
    path: str
    """Relative to the root, with slashes."""
    line: int
    column: int
    """Of the name."""
    end_line: int
    """The last one of the whole definition."""
    container: str
    """Dotted names of the definitions around it."""
    signature: str
    """Its head on one line."""


class SymbolList(msgspec.Struct, frozen=True):
    """Definitions, the best first."""

    data: list[ListedSymbol]
    has_more: bool
    object: str = "list"


class ListedReference(msgspec.Struct, frozen=True):
    """A use of a name, or its definition."""

    name: str
    role: str
    """"definition" or "use"."""
    root: str
    path: str
    line: int
    column: int
    container: str
    """Dotted names of the definitions around it."""
    text: str
    """Its line, without indentation, at most 200 characters."""


class ReferenceList(msgspec.Struct, frozen=True):
    """Uses of a name, the closest first."""

    data: list[ListedReference]
    has_more: bool
    object: str = "list"
