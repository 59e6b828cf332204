"""What the index says of names and places, kept until its next commit: the next key asks nearly the same."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ghostd.code_ports import Index
from ghostd.context.query import MIN_NAME_CHARS
from ghostd.indexed import ChangeBatch, Symbol

MAX_NAMES = 4_000
MAX_PLACES = 2_000
MAX_OUTLINES = 16
"""Of one root each; more, and all of a kind are asked for again."""
MAX_ROOTS = 4
FRESH_S = 60.0
"""How long anything is kept: a store that could not be read for a moment has said that there is nothing."""
DEFINED_S = 10.0
"""How old the names that a root defines may be, of which there may be 100,000, before they are read again."""
MAX_DEFINED = 200_000
"""Names of a root, at some 100 bytes each; where there are more, it is not known which are defined."""

K = TypeVar("K")
V = TypeVar("V")

_Place = tuple[str, PurePosixPath]


@dataclass(slots=True)
class _Root:
    generation: int
    made_at: float
    """Monotonic."""
    files: dict[str, tuple[PurePosixPath, ...]] = field(default_factory=dict)
    symbols: dict[_Place, tuple[Symbol, ...]] = field(default_factory=dict)
    outlines: dict[PurePosixPath, Sequence[Symbol]] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Defined:
    names: frozenset[str] = frozenset()
    generation: int = -1
    """Of the root, when they were read."""
    read_at: float = -inf
    """Monotonic."""
    reading: asyncio.Task[None] | None = None


@dataclass(slots=True)
class Known:
    """Reads through to the index, as it is on the disk. Use from the event loop's thread."""

    index: Index
    _roots: dict[Path, _Root] = field(default_factory=dict)
    _defined: OrderedDict[Path, _Defined] = field(default_factory=OrderedDict)

    def close(self) -> None:
        """End what is being read."""
        for kept in self._defined.values():
            if kept.reading is not None:
                kept.reading.cancel()

    def hear(self, batch: ChangeBatch) -> None:
        """A commit may change any answer about its root."""
        self._roots.pop(batch.root, None)

    async def defined(self, root: Path) -> frozenset[str]:
        """The names that the root's files define, but for very short ones, as of a moment ago; none where there are too
        many. Only the first question waits for them."""
        kept = self._defined.setdefault(root, _Defined())
        self._defined.move_to_end(root)
        while len(self._defined) > MAX_ROOTS:
            _, dropped = self._defined.popitem(last=False)
            if dropped.reading is not None:
                dropped.reading.cancel()
        may_be_s = DEFINED_S if kept.generation != self._generation(root) else FRESH_S
        if kept.reading is None and time.monotonic() - kept.read_at > may_be_s:
            kept.reading = asyncio.create_task(self._read_defined(root, kept), name="read defined names")
        if kept.reading is not None and kept.read_at == -inf:
            await asyncio.wait([kept.reading])
        return kept.names

    async def _read_defined(self, root: Path, kept: _Defined) -> None:
        kept.generation = self._generation(root)
        try:
            names = await self.index.names(root, MAX_DEFINED + 1)
            many = len(names) > MAX_DEFINED
            kept.names = frozenset() if many else frozenset([name for name in names if len(name) >= MIN_NAME_CHARS])
        finally:
            kept.reading, kept.read_at = None, time.monotonic()

    async def files_defining(self, root: Path, names: Sequence[str]) -> Mapping[str, Sequence[PurePosixPath]]:
        """Which files define these names; of each name, in no order."""
        known = self._of(root)
        answers = {name: known.files[name] for name in names if name in known.files}
        unknown = [name for name in names if name not in answers]
        if unknown:
            found: dict[str, list[PurePosixPath]] = {name: [] for name in unknown}
            for name, path in await self.index.files_defining(root, unknown):
                found.setdefault(name, []).append(path)
            fresh = {name: tuple(paths) for name, paths in found.items()}
            _keep(known.files, fresh, MAX_NAMES)
            answers |= fresh
        return {name: answers[name] for name in names}  # in this order, whatever was known

    async def definitions_in(self, root: Path, places: Sequence[_Place]) -> Sequence[Symbol]:
        """The definitions of names in files, place by place."""
        known = self._of(root)
        answers = {place: known.symbols[place] for place in places if place in known.symbols}
        unknown = [place for place in places if place not in answers]
        if unknown:
            found: dict[_Place, list[Symbol]] = {place: [] for place in unknown}
            for symbol in await self.index.definitions_in(root, unknown):
                found.setdefault((symbol.name, symbol.path), []).append(symbol)
            fresh = {place: tuple(symbols) for place, symbols in found.items()}
            _keep(known.symbols, fresh, MAX_PLACES)
            answers |= fresh
        return [symbol for place in places for symbol in answers[place]]

    async def outline(self, root: Path, path: PurePosixPath) -> Sequence[Symbol]:
        """A file's definitions."""
        known = self._of(root)
        found = known.outlines.get(path)
        if found is None:
            found = await self.index.outline(root, path)
            _keep(known.outlines, {path: found}, MAX_OUTLINES)
        return found

    def _generation(self, root: Path) -> int:
        """-1 for what is not indexed."""
        return next((status.generation for status in self.index.roots() if status.root == root), -1)

    def _of(self, root: Path) -> _Root:
        generation = self._generation(root)
        known = self._roots.pop(root, None)
        now = time.monotonic()
        if known is None or known.generation != generation or now - known.made_at > FRESH_S:
            known = _Root(generation, now)
        if generation >= 0:  # of what is not indexed nothing is known
            self._roots[root] = known
        while len(self._roots) > MAX_ROOTS:
            del self._roots[next(iter(self._roots))]
        return known


def _keep(kept: dict[K, V], fresh: Mapping[K, V], most: int) -> None:
    if len(kept) + len(fresh) > most:
        kept.clear()
    kept.update(fresh)
