"""Where a name is used, and what encloses a place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.indexed import Reference, Span, Symbol
from ghostd.navigation.families import family_of
from ghostd.navigation.found import CALLABLES, TYPES, Place, distance, place_of

_ENCLOSING = CALLABLES | TYPES | {"module"}


async def uses_of(
    root: Path, name: str, view: Index, limit: int, *, near: PurePosixPath | None = None, within: Span | None = None
) -> list[Place]:
    """The uses of a name in a root, `limit` at most.

    With `near`, a file, only those in its language, the closest first; with `within`, too, only those there.
    """
    own: Sequence[Reference] = ()
    if near is not None:
        own = [use for use in await view.uses(root, near) if use.name == name]
    if within is not None:
        inside = [use for use in own if within.start <= use.span.start < within.end]
        return [place_of(root, use) for use in inside[:limit]]
    others = [use for use in await view.references(root, name, limit) if use.path != near]
    places = [place_of(root, use) for use in (*own, *others) if near is None or family_of(use.path) == family_of(near)]
    return sort_places(places, near)[:limit]


def sort_places(places: Iterable[Place], near: PurePosixPath | None) -> list[Place]:
    """Each place once, those of the closest file first."""
    far = {path: 0 if near is None else distance(near, path) for path in {place.path for place in places}}
    return sorted(dict.fromkeys(places), key=lambda place: (far[place.path], place.path, place.span.start))


def enclosing(outline: Sequence[Symbol], offset: int) -> Symbol | None:
    """The innermost function, type or module around a byte offset."""
    around = (s for s in outline if s.kind in _ENCLOSING and s.span.start <= offset < s.span.end)
    return min(around, key=lambda s: s.span.end - s.span.start, default=None)
