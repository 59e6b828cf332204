"""Which files of a root use and define which names, as arrays: a few dozen bytes for each definition and use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ghostd.indexed import FileNames, Symbol

MAX_DEFINITIONS = 400_000
"""Of a root; more, and those of the last files, by path, are left out."""
MAX_USES = 4_000_000
"""Pairs of a file and a name that it uses; likewise."""
MAX_SIGNATURE_CHARS = 100
"""Of a line in an outline."""

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]

BODIES = frozenset(("function", "method", "test"))
KINDS: Mapping[str, int] = {
    **dict.fromkeys(("class", "enum", "interface", "type", "struct", "trait", "module", "union"), 0),
    **dict.fromkeys(("function", "macro"), 1),
    **dict.fromkeys(("method", "property"), 2),
    **dict.fromkeys(("variable", "constant", "field", "enum_member"), 3),
    "test": 4,
}
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


@dataclass(frozen=True, slots=True)
class Rows:
    """For each row some numbers, all rows' one behind the other."""

    starts: Ints
    """One more than there are rows."""
    values: Ints

    def of(self, row: int) -> Ints:
        """One row's."""
        return self.values[self.starts[row] : self.starts[row + 1]]

    def rows(self) -> Ints:
        """The row of each value."""
        return np.repeat(np.arange(len(self.starts) - 1, dtype=np.int32), np.diff(self.starts))


@dataclass(frozen=True, slots=True)
class NameGraph:
    """The names of one generation of a root. Files, names, words and definitions are numbered from 0."""

    paths: tuple[str, ...]
    """The parsed files, ordered by path as text."""
    file_ids: Mapping[str, int]
    names: tuple[str, ...]
    """Those that are defined."""
    name_ids: Mapping[str, int]
    uses: Rows
    """File → names that it uses."""
    words: Rows
    """Name → the words that it is made of."""
    word_ids: Mapping[str, int]
    def_name: Ints
    def_file: Ints
    """Ascending."""
    def_parent: Ints
    """The definition around it; -1 at the top level."""
    def_bytes: Ints
    """Length of its line in an outline, with the line break, without indentation."""
    def_depth: Ints
    def_kind: Ints
    """See KINDS."""
    def_line: Ints
    used_by: Ints
    """How many files use a name."""
    defined_in: Ints
    """How many files define a name."""
    complete: bool
    """Whether no limit was met."""


def parts_of(name: str) -> tuple[str, ...]:
    """The words of an identifier, in lower case, without single characters."""
    return tuple(dict.fromkeys(part.lower() for part in _PART.findall(name) if len(part) > 1))


def head_of(symbol: Symbol) -> str:
    """A definition's line in an outline, without indentation."""
    text = symbol.signature or symbol.name
    return text if len(text) <= MAX_SIGNATURE_CHARS else text[: MAX_SIGNATURE_CHARS - 1].rstrip() + "…"


def shown(symbols: Sequence[Symbol]) -> list[tuple[Symbol, int]]:
    """What an outline shows of a file's definitions, each with its parent's place in this list, or -1.

    What is defined inside of functions is left out, and so is what would stand there a second time.
    """
    found: list[tuple[Symbol, int]] = []
    last: dict[str, int] = {}
    places: dict[tuple[int, str, str], int] = {}
    for symbol in symbols:
        parent = last.get(symbol.container, -1) if symbol.container else -1
        if symbol.container and (parent < 0 or found[parent][0].kind in BODIES):
            continue
        place = places.setdefault((parent, symbol.name, head_of(symbol)), len(found))
        last[f"{symbol.container}.{symbol.name}" if symbol.container else symbol.name] = place
        if place == len(found):
            found.append((symbol, parent))
    return found


@dataclass(slots=True)
class NameGraphBuilder:
    """Takes files in, ordered by path, and makes the graph of them."""

    _paths: list[str] = field(default_factory=list)
    _names: dict[str, int] = field(default_factory=dict)
    _uses: list[Ints] = field(default_factory=list)
    _use_names: dict[str, int] = field(default_factory=dict)
    _use_count: int = 0
    _rows: list[tuple[int, int, int, int, int, int, int]] = field(default_factory=list)
    _complete: bool = True

    def add(self, files: Iterable[FileNames]) -> None:
        """The next files."""
        for file in files:
            number = len(self._paths)
            self._paths.append(str(file.path))
            self._define(number, file.symbols)
            self._use(file.uses)

    def _define(self, number: int, symbols: Sequence[Symbol]) -> None:
        if len(self._rows) + len(symbols) > MAX_DEFINITIONS:
            self._complete = False
            return
        first = len(self._rows)
        depths: list[int] = []
        for symbol, parent in shown(symbols):
            depth = depths[parent] + 1 if parent >= 0 else 0
            depths.append(depth)
            name = self._names.setdefault(symbol.name, len(self._names))
            size = len(head_of(symbol).encode("utf-8", "replace")) + 1
            place = first + parent if parent >= 0 else -1
            self._rows.append((name, number, place, size, depth, KINDS[symbol.kind], symbol.line))

    def _use(self, uses: Sequence[str]) -> None:
        if self._use_count + len(uses) > MAX_USES:
            self._complete, uses = False, ()
        known = self._use_names
        self._uses.append(np.fromiter((known.setdefault(name, len(known)) for name in uses), np.int32, len(uses)))
        self._use_count += len(uses)

    def graph(self) -> NameGraph:
        """The graph of all files; the builder is of no use afterwards."""
        names = tuple(self._names)
        meaning = np.full(len(self._use_names), -1, np.int32)  # of the names used that are defined, too
        for name, number in self._use_names.items():
            meaning[number] = self._names.get(name, -1)
        uses = _rows(self._uses, lambda found: (mapped := meaning[found])[mapped >= 0])
        table = np.array(self._rows, np.int32).reshape(-1, 7).T.copy()
        words: dict[str, int] = {}
        word_rows = [
            np.fromiter((words.setdefault(part, len(words)) for part in parts_of(name)), np.int32) for name in names
        ]
        pairs = np.unique(table[0].astype(np.int64) * (len(self._paths) + 1) + table[1])
        defined_in = np.bincount(pairs // (len(self._paths) + 1), minlength=len(names)).astype(np.int32)
        return NameGraph(
            tuple(self._paths),
            {path: number for number, path in enumerate(self._paths)},
            names,
            self._names,
            uses,
            _rows(word_rows),
            words,
            table[0],
            table[1],
            table[2],
            table[3],
            table[4],
            table[5],
            table[6],
            np.bincount(uses.values, minlength=len(names)).astype(np.int32),
            defined_in,
            self._complete,
        )


def _rows(rows: Sequence[Ints], change: Callable[[Ints], Ints] = lambda found: found) -> Rows:
    changed = [change(row) for row in rows]
    starts = np.zeros(len(rows) + 1, np.int32)
    np.cumsum([len(row) for row in changed], out=starts[1:])
    return Rows(starts, np.concatenate(changed) if changed else np.zeros(0, np.int32))
