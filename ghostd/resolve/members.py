"""What types and modules have, inherited members included."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from ghostd.indexed import Symbol
from ghostd.resolve.families import family_of
from ghostd.resolve.impls import all_bases
from ghostd.resolve.names import behind
from ghostd.resolve.project import Project

_MAX_TYPES = 24
"""Types that are looked at for one answer, the asked one and its bases together."""
_MAX_DEPTH = 8


async def members_of(project: Project, symbol: Symbol, limit: int) -> Sequence[Symbol]:
    """A type's members, its own first, then those of its bases that it does not have itself."""
    if symbol.kind == "module":
        return (await _of_module(project, symbol))[:limit]
    found: dict[str, list[Symbol]] = {}
    waiting = [(symbol, 0)]
    seen: set[tuple[PurePosixPath, str]] = set()
    while waiting and len(seen) < _MAX_TYPES:
        owner, depth = waiting.pop(0)
        label = f"{owner.container}.{owner.name}" if owner.container else owner.name
        if (owner.path, label) in seen:
            continue
        seen.add((owner.path, label))
        own: dict[str, list[Symbol]] = {}
        for item in await project.outline(owner.path):
            if item.container == label and item.span != owner.span:
                own.setdefault(item.name, []).append(item)
        for name, items in own.items():
            found.setdefault(name, items)
        if sum(map(len, found.values())) >= limit:
            break
        if depth < _MAX_DEPTH:
            for base in await all_bases(project, owner):
                waiting.extend((s, depth + 1) for s in (await behind(project, owner.path, base)).symbols)
    return [item for items in found.values() for item in items][:limit]


async def _of_module(project: Project, symbol: Symbol) -> Sequence[Symbol]:
    """What a module of Rust, or a namespace of TypeScript, defines at its top level."""
    label = f"{symbol.container}.{symbol.name}" if symbol.container else symbol.name
    inline = [item for item in await project.outline(symbol.path) if item.container == label]
    family = family_of(str(symbol.path))
    if inline or family is None:
        return inline
    resolver = await project.resolver(family)
    files = resolver.submodule(str(symbol.path), symbol.name)
    return [item for file in files for item in await project.outline(PurePosixPath(file)) if not item.container]
