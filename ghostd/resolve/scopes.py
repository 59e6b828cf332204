"""What encloses a position, and which types a type's head names as its bases."""

from __future__ import annotations

from collections.abc import Sequence

from ghostd.indexed import Symbol

_TYPES = frozenset(("class", "struct", "interface", "trait", "enum", "union"))


def scope_at(outline: Sequence[Symbol], offset: int) -> tuple[Symbol, ...]:
    """The definitions around a byte offset, outermost first. An end counts as inside: the cursor is still there."""
    around = [symbol for symbol in outline if symbol.span.start <= offset <= symbol.span.end]
    if any(symbol.span.end != offset for symbol in around):
        # Where one definition ends and a sibling begins the latter counts.
        closed = [symbol for symbol in around if symbol.span.end == offset]
        open_ = [symbol for symbol in around if symbol.span.end != offset]
        around = open_ if any(symbol.span.start == offset for symbol in open_) else [*open_, *closed]
    return tuple(sorted(around, key=lambda symbol: (symbol.span.start, -symbol.span.end)))


def type_at(outline: Sequence[Symbol], offset: int) -> Symbol | None:
    """The innermost type around a byte offset.

    In Rust methods stand outside of their type: there it is the type that the enclosing method's container names.
    """
    scope = scope_at(outline, offset)
    for symbol in reversed(scope):
        if symbol.kind in _TYPES:
            return symbol
        container, _, name = symbol.container.rpartition(".")
        for other in outline:
            if other.name == name and other.container == container and other.kind in _TYPES:
                return other
    return None
