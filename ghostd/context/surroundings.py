"""What surrounds a place: what encloses it, what its file imports, which files the search likes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from ghostd.context.texts import FileLines
from ghostd.indexed import Symbol
from ghostd.resolve.heads import bases
from ghostd.resolve.resolved import ResolvedImport

DEFINITION_LINES = 16
"""What is quoted of one definition at most."""
_TYPES = frozenset(("class", "struct", "interface", "trait", "enum", "union"))
_FUNCTIONS = frozenset(("function", "method", "test"))


def enclosing_of(scope: Sequence[Symbol]) -> tuple[str, frozenset[str]]:
    """The innermost function's name, "" for none, and the names of the innermost type's bases."""
    own_type = next((symbol for symbol in reversed(scope) if symbol.kind in _TYPES), None)
    named = bases(own_type) if own_type is not None else ()
    function = next((symbol.name for symbol in reversed(scope) if symbol.kind in _FUNCTIONS), "")
    return function, frozenset(name.rpartition(".")[2] for name in named)


def imported_files(
    imports: Iterable[ResolvedImport], defining: Mapping[str, set[PurePosixPath]]
) -> dict[PurePosixPath, frozenset[str]]:
    """Files that are imported, or that an imported package takes the names from, with those names."""
    found: dict[PurePosixPath, set[str]] = {}
    for one in imports:
        for target in one.targets:
            found.setdefault(target, set())
        if not one.targets:
            continue
        package = f"{one.targets[0].parent}/".removeprefix("./")
        for name in one.statement.names:
            for path in defining.get(name, ()):
                if str(path).startswith(package):
                    found.setdefault(path, set()).add(name)
    return {path: frozenset(names) for path, names in found.items()}


def last_line(lines: FileLines, symbol: Symbol) -> int:
    """The last line of a definition, or of what is quoted of it."""
    last = lines.line_at(symbol.line, symbol.span.end - symbol.name_span.start)
    return min(last, symbol.line + DEFINITION_LINES - 1)
