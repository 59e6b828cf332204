"""A type's bases where its head does not name them: Rust's `impl Trait for Type`, in the type's own file."""

from __future__ import annotations

import re

from ghostd.indexed import Symbol
from ghostd.resolve.families import family_of
from ghostd.resolve.heads import bases, without_brackets
from ghostd.resolve.project import Project

_MAX_IMPLS = 2000
_MAX_BASES = 32
_HEAD = re.compile(rb"^[ \t]*(?:unsafe[ \t]+|default[ \t]+)?impl\b([^{;]{1,1000})", re.MULTILINE)
_PATH = re.compile(r"(?:&\s*(?:mut\s+)?)?((?:::)?[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*)\s*$")


async def all_bases(project: Project, symbol: Symbol) -> tuple[str, ...]:
    """The names of the types that this one extends or implements, as written."""
    named = bases(symbol)
    if symbol.kind not in ("struct", "enum", "union") or family_of(str(symbol.path)) != "rust":
        return named
    source = await project.index.text(project.root, symbol.path)
    return named if source is None else tuple(dict.fromkeys((*named, *traits_of(symbol.name, source))))


def traits_of(name: str, source: bytes) -> tuple[str, ...]:
    """The traits that a file of Rust implements for a type of this name, in order, without type arguments."""
    found: dict[str, None] = {}
    for _, head in zip(range(_MAX_IMPLS), _HEAD.finditer(source), strict=False):
        text = without_brackets(head[1].decode("utf-8", "replace")).partition(" where ")[0]
        trait, given, owner = text.partition(" for ")
        its, whose = _PATH.match(trait.strip()), _PATH.match(owner.strip())
        if given and its and whose and whose[1].rpartition("::")[2] == name:
            found[its[1].removeprefix("::")] = None
            if len(found) == _MAX_BASES:
                break
    return tuple(found)
