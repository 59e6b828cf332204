"""The shortest of many stretches of a text around a place, by bisection."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from heapq import heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")


class Innermost(Generic[T]):
    """Stretches (start, end, what), half open, in any order; they may overlap."""

    def __init__(self, stretches: Iterable[tuple[int, int, T]]) -> None:
        found = list(stretches)
        waiting = sorted(range(len(found)), key=lambda index: found[index][0], reverse=True)
        self._edges = sorted({edge for start, end, _ in found for edge in (start, end)})
        self._shortest: list[T | None] = []
        """From each edge to the next one."""
        open_: list[tuple[int, int]] = []
        """(length, index)."""
        for edge in self._edges:
            while waiting and found[waiting[-1]][0] <= edge:
                index = waiting.pop()
                heappush(open_, (found[index][1] - found[index][0], index))
            while open_ and found[open_[0][1]][1] <= edge:
                heappop(open_)
            self._shortest.append(found[open_[0][1]][2] if open_ else None)

    def at(self, offset: int) -> T | None:
        """The shortest one around a place, of equal ones the first; None where there is none."""
        place = bisect_right(self._edges, offset) - 1
        return self._shortest[place] if place >= 0 else None
