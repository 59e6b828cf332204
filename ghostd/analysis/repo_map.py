"""The repo map: the heads of the definitions that are of most use, with what encloses them, within a budget of tokens.

Lines are taken greedily by their value for each byte: a definition's chance to be what is needed next, over what its
line costs, with the lines of the types around it and its file's name, where they are not there yet. A name that is
there already is worth little in another file.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from ghostd.analysis.found import MapLine
from ghostd.analysis.lines import one_line
from ghostd.analysis.names import Floats, NameGraph, head_of, shown
from ghostd.analysis.tokens import BYTES_PER_TOKEN, TokenCounter
from ghostd.indexed import Symbol

INDENT = "  "
_LOOKED_AT = 6000
"""Definitions that are compared: the most probable ones."""
_REPEATED = 0.15
"""What a name is worth once it is there."""


@dataclass(slots=True)
class Selection:
    """Definitions, as they are chosen. Lengths are bytes."""

    names: NameGraph
    value: Floats
    """Of each definition."""
    order: list[int] = field(default_factory=list)
    """The chosen ones, in the order of being chosen; those around a definition stand before it."""
    _chosen: set[int] = field(default_factory=set)
    _files: set[int] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)

    def choose(self, budget_bytes: int) -> None:
        """Fill the budget."""
        candidates = _best(self.value, _LOOKED_AT)
        in_file: dict[int, list[int]] = {}
        inside: dict[int, list[int]] = {}
        for place in candidates:
            in_file.setdefault(int(self.names.def_file[place]), []).append(place)
            around = int(self.names.def_parent[place])
            while around >= 0:
                inside.setdefault(around, []).append(place)
                around = int(self.names.def_parent[around])
        heap = [(-self._worth(place)[0], place) for place in candidates]
        heapq.heapify(heap)
        left = budget_bytes
        while heap and left > 8:
            stated, place = heapq.heappop(heap)
            if place in self._chosen:
                continue
            worth, cost, chain = self._worth(place)
            if worth < -stated * 0.999:  # a name of it is there by now: it waits for its turn
                heapq.heappush(heap, (-worth, place))
                continue
            if cost > left:
                continue
            left -= cost
            file = int(self.names.def_file[place])
            # What becomes cheaper: in a file that is new, all; else what is inside of the new lines.
            cheaper = [inside.get(each, ()) for each in chain] if file in self._files else [in_file[file]]
            self._take(chain)
            for other in {other for others in cheaper for other in others} - self._chosen:
                heapq.heappush(heap, (-self._worth(other)[0], other))

    def _take(self, chain: Sequence[int]) -> None:
        for place in chain:
            self._chosen.add(place)
            self.order.append(place)
            self._seen.add(int(self.names.def_name[place]))
        self._files.add(int(self.names.def_file[chain[-1]]))

    def _worth(self, place: int) -> tuple[float, int, list[int]]:
        """Value for each byte, bytes, and the definitions to show: those around it that are not there, then itself."""
        names = self.names
        file = int(names.def_file[place])
        cost = 0 if file in self._files else len(names.paths[file].encode("utf-8", "replace")) + 2
        value = 0.0
        chain: list[int] = []
        while place >= 0 and place not in self._chosen:
            chain.append(place)
            cost += int(names.def_bytes[place]) + len(INDENT) * (int(names.def_depth[place]) + 1)
            known = int(names.def_name[place]) in self._seen
            value += float(self.value[place]) * (_REPEATED if known else 1.0)
            place = int(names.def_parent[place])
        chain.reverse()
        return value / cost, cost, chain


def _best(value: Floats, most: int) -> list[int]:
    """The places of the largest values above 0, those first in the project where they are equal."""
    kept = np.flatnonzero(value > 0)
    order = np.lexsort((kept, -value[kept]))[:most]
    return [int(place) for place in kept[order]]


def select(names: NameGraph, value: Floats, max_tokens: int) -> list[int]:
    """Definitions to show, the most valuable first, in about this many tokens at 4 bytes each."""
    selection = Selection(names, value)
    selection.choose(max_tokens * BYTES_PER_TOKEN)
    return selection.order


def lines_of(
    names: NameGraph, order: Sequence[int], outlines: Mapping[PurePosixPath, Sequence[Symbol]]
) -> dict[str, list[MapLine]]:
    """File → the chosen definitions in source order, as the outlines have them now. Files in the order of choosing."""
    wanted: dict[str, dict[tuple[str, str], set[int]]] = {}
    for place in order:
        path = names.paths[names.def_file[place]]
        parent = int(names.def_parent[place])
        around = names.names[names.def_name[parent]] if parent >= 0 else ""
        key = names.names[names.def_name[place]], around
        wanted.setdefault(path, {}).setdefault(key, set()).add(int(names.def_line[place]))
    found: dict[str, list[MapLine]] = {}
    for path, keys in wanted.items():
        depths: list[int] = []
        lines: list[MapLine] = []
        listed = shown(outlines.get(PurePosixPath(path), ()))
        for symbol, parent in listed:
            depths.append(depths[parent] + 1 if parent >= 0 else 0)
            around = listed[parent][0].name if parent >= 0 else ""
            if symbol.line in keys.get((symbol.name, around), ()):
                lines.append(MapLine(symbol, depths[-1]))
        if lines:
            found[path] = lines
    return found


def render(
    files: Mapping[str, Sequence[MapLine]], max_tokens: int, count: TokenCounter
) -> tuple[str, dict[str, Sequence[MapLine]]]:
    """The map as text, never above the budget, and what it has: what has no room is left out."""
    text = ""
    kept: dict[str, Sequence[MapLine]] = {}
    for path, lines in files.items():
        block = [f"{one_line(path)}:"]
        block += [f"{INDENT * (line.depth + 1)}{one_line(head_of(line.symbol))}" for line in lines]
        while len(block) > 1:
            longer = "\n".join((text, *block)) if text else "\n".join(block)
            if count(longer) <= max_tokens:
                text = longer
                kept[path] = lines[: len(block) - 1]
                break
            block.pop()
    return text, kept
