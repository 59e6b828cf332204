"""What the index says of names and places, kept until its next commit: the next key asks nearly the same."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ghostd.code_ports import Index
from ghostd.indexed import ChangeBatch, Symbol

MAX_NAMES = 4_000
MAX_PLACES = 2_000
MAX_OUTLINES = 16
"""Of one root each; more, and all of a kind are asked for again."""
MAX_ROOTS = 4
FRESH_S = 60.0
"""How long anything is kept: a store that could not be read for a moment has said that there is nothing."""

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


@dataclass(slots=True)
class Known:
    """Reads through to the index, as it is on the disk. Use from the event loop's thread."""

    index: Index
    _roots: dict[Path, _Root] = field(default_factory=dict)

    def hear(self, batch: ChangeBatch) -> None:
        """A commit may change any answer about its root."""
        self._roots.pop(batch.root, None)

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

    def _of(self, root: Path) -> _Root:
        generation = next((status.generation for status in self.index.roots() if status.root == root), -1)
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
