"""`GET /v1/ghostd/symbols` and `GET /v1/ghostd/references`: where the indexed projects define and use names."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import get_args

import msgspec

from ghostd.code_ports import Index
from ghostd.errors import InvalidRequest
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.indexed import SymbolKind
from ghostd.navigation.found import Found, Place, distance, place_of
from ghostd.navigation.lines import FileLines
from ghostd.navigation.meaning import same_name
from ghostd.navigation.navigator import Navigator
from ghostd.navigation.places import locate
from ghostd.navigation.references import enclosing, sort_places
from ghostd.navigation.symbols import Wanted
from ghostd.symbol_reports import ListedReference, ListedSymbol, ReferenceList, SymbolList

MAX_LISTED = 1000
LISTED = 100
MAX_VALUE_CHARS = 4096
_LINE_CHARS = 200
_KINDS: Sequence[SymbolKind] = get_args(SymbolKind)
_ENCODER = msgspec.json.Encoder()


_COMMON = {
    "root": "An indexed folder, absolute; all of them by default.",
    "near": "A file, absolute or relative to `root`: what is close to it, and what its imports say, comes first.",
    "limit": f"1 to {MAX_LISTED}; {LISTED} by default.",
}
SYMBOLS_DOC = Doc(
    "Find definitions in the indexed projects",
    "ghostd",
    "Exactly one of `query`, `name` and `path` is needed.",
    query={
        "query": "Some of a name: its beginning, its subwords' beginnings, or any part; `Type.name` narrows it.",
        "name": "A whole name: all its definitions.",
        "path": "A file, absolute or relative to `root`: all its definitions, in their order.",
        "kind": "Only these, separated by commas: " + ", ".join(_KINDS) + ".",
        **_COMMON,
    },
    reply=SymbolList,
)
REFERENCES_DOC = Doc(
    "Find the uses of a name in the indexed projects",
    "ghostd",
    query={
        "name": "A whole name. It is needed.",
        "definitions": '"true": list the definitions of the name, too.',
        **_COMMON,
    },
    reply=ReferenceList,
)


def routes(navigator: Navigator) -> Iterable[Route]:
    """Both doors."""
    yield Route("GET", "/v1/ghostd/symbols", partial(symbols, navigator), doc=SYMBOLS_DOC)
    yield Route("GET", "/v1/ghostd/references", partial(references, navigator), doc=REFERENCES_DOC)


async def symbols(navigator: Navigator, exchange: Exchange) -> Response:
    """Definitions by a part of their name, by their name, or of one file."""
    asked = {name: _text(exchange, name) for name in ("query", "name", "path")}
    given = [name for name, value in asked.items() if value]
    if len(given) != 1:
        told = "One of `query`, `name` and `path` is needed" + (", not several at once." if given else ".")
        raise InvalidRequest(told, given[1] if given else "query")
    index = navigator.index
    kinds, limit = _kinds(exchange), _limit(exchange)
    roots = _roots(index, exchange)
    near = _file(index, exchange, "near", roots)
    if asked["path"]:
        found = await _outline(index, _file(index, exchange, "path", roots), kinds)
    elif asked["name"]:
        found = await _named(navigator, asked["name"], roots, near, kinds)
    else:
        wanted = Wanted(asked["query"], kinds, near=near)
        found = await navigator.symbols.search(wanted, roots, index, limit + 1)
    texts = await _Texts.of(index, ((each.root, each.symbol.path) for each in found[:limit]))
    data = [texts.symbol(each) for each in found[:limit]]
    return exchange.json(_ENCODER.encode(SymbolList(data, len(found) > limit)))


async def references(navigator: Navigator, exchange: Exchange) -> Response:
    """The uses of a name, and its definitions where they are wanted."""
    name, limit, index = _text(exchange, "name"), _limit(exchange), navigator.index
    if not name:
        raise InvalidRequest("`name` is needed: the name whose uses are looked for.", "name")
    definitions = _text(exchange, "definitions").lower()
    if definitions not in ("", "true", "false"):
        raise InvalidRequest("`definitions` is true or false.", "definitions")
    roots = _roots(index, exchange)
    near = _file(index, exchange, "near", roots)
    found: list[tuple[Place, str]] = []
    for root in roots:
        here = PurePosixPath(near.relative_to(root)) if near is not None and near.is_relative_to(root) else None
        uses = await navigator.references_by_name(root, name, index, limit + 1, here)
        defined = await same_name(root, here or PurePosixPath(), name, index) if definitions == "true" else ()
        names = {place_of(root, each.symbol) for each in defined}
        places = sort_places([*names, *uses], here)
        found += [(place, "definition" if place in names else "use") for place in places]
    texts = await _Texts.of(index, ((place.root, place.path) for place, _ in found[:limit]))
    data = [await texts.reference(place, role) for place, role in found[:limit]]
    return exchange.json(_ENCODER.encode(ReferenceList(data, len(found) > limit)))


async def _outline(index: Index, file: Path | None, kinds: frozenset[SymbolKind] | None) -> list[Found]:
    assert file is not None
    root = index.root_of(file)
    assert root is not None
    outline = await index.outline(root, PurePosixPath(file.relative_to(root)))
    return [Found(root, symbol) for symbol in outline if kinds is None or symbol.kind in kinds]


async def _named(
    navigator: Navigator, name: str, roots: Sequence[Path], near: Path | None, kinds: frozenset[SymbolKind] | None
) -> list[Found]:
    """First what the name means in the file `near`, then what else is called so."""
    index = navigator.index
    found: list[Found] = []
    for root in roots:
        here = PurePosixPath(near.relative_to(root)) if near is not None and near.is_relative_to(root) else None
        if here is not None:
            meant = await navigator.resolver.behind(root, here, name)
            found = [*(Found(root, symbol) for symbol in meant), *found]
        others = await index.definitions(root, name, MAX_LISTED + 1)
        if here is not None:
            others = sorted(others, key=lambda s: (distance(here, s.path), s.path, s.span.start))
        found += [Found(root, symbol) for symbol in others]
    return [each for each in dict.fromkeys(found) if kinds is None or each.symbol.kind in kinds]


class _Texts:
    """The texts of one reply's files."""

    def __init__(self, index: Index, lines: Mapping[Path, FileLines]) -> None:
        self._index = index
        self._lines = lines

    @classmethod
    async def of(cls, index: Index, files: Iterable[tuple[Path, PurePosixPath]]) -> _Texts:
        """Reads these files of roots, all of a root at once."""
        by_root: dict[Path, dict[PurePosixPath, None]] = {}
        for root, path in files:
            by_root.setdefault(root, {})[path] = None
        lines: dict[Path, FileLines] = {}
        for root, paths in by_root.items():
            texts = await index.read_texts(root, list(paths))
            lines |= await asyncio.to_thread(_lines_of, root, paths, texts)
        return cls(index, lines)

    def symbol(self, found: Found) -> ListedSymbol:
        symbol = found.symbol
        lines = self._lines[found.root / symbol.path]
        now = locate(lines.text, symbol.name, symbol.name_span)
        line, column = lines.place(now.start) if lines.text else (symbol.line, 1)
        end_line, _ = lines.place(symbol.span.end + now.start - symbol.name_span.start)
        return ListedSymbol(
            symbol.name,
            symbol.kind,
            str(found.root),
            str(symbol.path),
            line,
            column,
            max(line, end_line),
            symbol.container,
            symbol.signature,
        )

    async def reference(self, place: Place, role: str) -> ListedReference:
        lines = self._lines[place.root / place.path]
        now = locate(lines.text, place.name, place.span)
        line, column = lines.place(now.start) if lines.text else (place.line, 1)
        around = enclosing(await self._index.outline(place.root, place.path), place.span.start)
        inside = "" if around is None else f"{around.container}.{around.name}" if around.container else around.name
        text = lines.line(line, _LINE_CHARS) if lines.text else ""
        return ListedReference(place.name, role, str(place.root), str(place.path), line, column, inside, text)


def _lines_of(
    root: Path, paths: Iterable[PurePosixPath], texts: Mapping[PurePosixPath, bytes]
) -> dict[Path, FileLines]:
    return {root / path: FileLines(texts.get(path, b"")) for path in paths}


def _text(exchange: Exchange, name: str) -> str:
    value = exchange.parameter(name).strip()
    if len(value) > MAX_VALUE_CHARS or "\0" in value:
        raise InvalidRequest(f"`{name}` is a text of at most {MAX_VALUE_CHARS} characters, without NUL.", name)
    return value


def _limit(exchange: Exchange) -> int:
    text = _text(exchange, "limit") or str(LISTED)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LISTED and len(text) < 9):
        raise InvalidRequest(f"`limit` is a number from 1 to {MAX_LISTED}.", "limit")
    return int(text)


def _kinds(exchange: Exchange) -> frozenset[SymbolKind] | None:
    wanted = {kind.strip() for kind in _text(exchange, "kind").split(",")} - {""}
    if not wanted <= set(_KINDS):
        raise InvalidRequest(f"`kind` is a list of: {', '.join(_KINDS)}.", "kind")
    return frozenset(kind for kind in _KINDS if kind in wanted) or None


def _roots(index: Index, exchange: Exchange) -> list[Path]:
    """The roots to look in."""
    roots = [status.root for status in index.roots()]
    text = _text(exchange, "root")
    if not text:
        return roots
    root = Path(os.path.normpath(text))
    if root not in roots:
        raise InvalidRequest(f"`root` is not one of the indexed folders: {text:.200}. See `ghostctl roots`.", "root")
    return [root]


def _file(index: Index, exchange: Exchange, name: str, roots: Sequence[Path]) -> Path | None:
    """A file below one of the roots; None where the parameter is not there."""
    text = _text(exchange, name)
    if not text:
        return None
    path = Path(text)
    if not path.is_absolute():
        if len(roots) != 1:
            raise InvalidRequest(f"`{name}` is relative; it needs `root`, or must be absolute.", name)
        path = roots[0] / path
    path = Path(os.path.normpath(path))
    root = index.root_of(path)
    if root is None or root not in roots:
        raise InvalidRequest(f"`{name}` is in none of the indexed folders: {text:.200}.", name)
    return path
