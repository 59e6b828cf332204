"""What requests about names share: the name at a position, and positions of what was found.

Positions are those of an open document's text where the file is open, and of the file as it is now where it is not.
Either may have changed since the index read it: a name that has moved is looked for, and positions lie inside of the
text in any case.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from lsprotocol import types

from ghostd.code_ports import Index
from ghostd.indexed import Span
from ghostd.navigation.families import family_of
from ghostd.navigation.found import Found, Place
from ghostd.navigation.meaning import Asked
from ghostd.navigation.places import locate
from ghostd_lsp.documents import Snapshot, clamp
from ghostd_lsp.params import DefinitionData, Position
from ghostd_lsp.positions import Encoding, Lines, split_lines
from ghostd_lsp.session import Session
from ghostd_lsp.uris import file_path

_WORD = re.compile(r"[\w$]+")
NOWHERE = types.Range(types.Position(0, 0), types.Position(0, 0))


class Navigation:
    """One request's view of the project: the session's folders, its open documents, and the texts it has read."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.view: Index = session.view
        self._lines: dict[Path, Lines | None] = {}

    async def asked(self, uri: str, snapshot: Snapshot | None, position: Position) -> Asked | None:
        """The name at a position; None where there is none, or the document belongs to no indexed folder."""
        place = self.place(uri)
        if place is None:
            return None
        root, relative = place
        if snapshot is not None:
            lines: Sequence[str] = snapshot.lines
        else:
            text = await self.view.text(root, relative)
            if text is None:
                return None
            lines = split_lines(text.decode("utf-8", "replace"))
        line, char = clamp(lines, position, self.session.encoding)
        found = _name_at(lines[line], char, family_of(relative))
        if found is None:
            return None
        name, start = found
        before = "".join(lines[:line]) + lines[line][:start]
        return Asked(root, relative, name, len(before.encode()), "".join(lines).encode())

    def place(self, uri: str) -> tuple[Path, PurePosixPath] | None:
        """The root and the path in it that a URI names; None where that is in no indexed folder."""
        path = file_path(uri)
        path = None if path is None else Path(os.path.normpath(path))
        root = None if path is None else self.view.root_of(path)
        return None if path is None or root is None else (root, PurePosixPath(path.relative_to(root)))

    async def symbol(self, data: DefinitionData) -> Found | None:
        """The definition that was given to the client; the nearest one of its name where the file has changed."""
        root, path = Path(data.root), PurePosixPath(data.path)
        if not any(status.root == root for status in self.view.roots()):
            return None
        of_name = [symbol for symbol in await self.view.outline(root, path) if symbol.name == data.name]
        nearest = min(of_name, key=lambda symbol: abs(symbol.name_span.start - data.start), default=None)
        return None if nearest is None else Found(root, nearest)

    def uri(self, path: Path) -> str:
        """As the client spells it, where it has the file open."""
        document = self.session.document_at(path)
        return path.as_uri() if document is None else document.uri

    async def location(self, place: Place) -> types.Location:
        """Where a name is."""
        return types.Location(self.uri(place.file), await self.range(place.root, place.path, place.name, place.span))

    async def definition(self, found: Found) -> types.Location:
        """Where the name of a definition is."""
        symbol = found.symbol
        where = await self.range(found.root, symbol.path, symbol.name, symbol.name_span)
        return types.Location(self.uri(found.path), where)

    async def range(self, root: Path, path: PurePosixPath, name: str, span: Span) -> types.Range:
        """The range of a name; the file's start where the file cannot be read any more."""
        lines = await self.lines(root, path)
        return NOWHERE if lines is None else to_range(lines, locate(lines.text, name, span))

    async def ranges(self, found: Found) -> tuple[types.Range, types.Range]:
        """The range of a whole definition, and that of its name, which lies inside."""
        symbol = found.symbol
        lines = await self.lines(found.root, symbol.path)
        return (NOWHERE, NOWHERE) if lines is None else both_ranges(lines, symbol.name, symbol.span, symbol.name_span)

    async def lines(self, root: Path, path: PurePosixPath) -> Lines | None:
        """A file's text as the user has it."""
        file = root / path
        if file not in self._lines:
            document = self.session.document_at(file)
            text = document.text().encode() if document is not None else await self.view.text(root, path)
            self._lines[file] = None if text is None else Lines(text, self.encoding)
        return self._lines[file]

    async def read(self, files: Iterable[tuple[Path, PurePosixPath]]) -> None:
        """Read the files, as (root, path), in which many positions will be asked for: all of a root at once."""
        by_root: dict[Path, dict[PurePosixPath, None]] = {}
        for root, path in files:
            if root / path not in self._lines and self.session.document_at(root / path) is None:
                by_root.setdefault(root, {})[path] = None
        for root, paths in by_root.items():
            texts = await self.view.read_texts(root, list(paths))
            self._lines |= dict.fromkeys((root / path for path in paths), None)
            self._lines |= await asyncio.to_thread(_lines_of, root, texts, self.encoding)

    @property
    def encoding(self) -> Encoding:
        """Of the client's positions."""
        return self.session.encoding


def _lines_of(root: Path, texts: Mapping[PurePosixPath, bytes], encoding: Encoding) -> dict[Path, Lines]:
    return {root / path: Lines(text, encoding) for path, text in texts.items()}


def to_range(lines: Lines, span: Span) -> types.Range:
    """A span in positions."""
    return types.Range(types.Position(*lines.position(span.start)), types.Position(*lines.position(span.end)))


def both_ranges(lines: Lines, name: str, whole: Span, name_span: Span) -> tuple[types.Range, types.Range]:
    """The range of a whole definition, and that of its name, which lies inside."""
    now = locate(lines.text, name, name_span)
    moved = now.start - name_span.start
    outer = Span(min(max(whole.start + moved, 0), now.start), max(whole.end + moved, now.end))
    return to_range(lines, outer), to_range(lines, now)


def data_of(found: Found) -> dict[str, object]:
    """What goes to the client and back again, see `DefinitionData`."""
    symbol = found.symbol
    return {"root": str(found.root), "path": str(symbol.path), "name": symbol.name, "start": symbol.name_span.start}


def _name_at(line: str, char: int, family: str) -> tuple[str, int] | None:
    """The name that a cursor touches, and where it starts."""
    for found in _WORD.finditer(line):
        if found.start() <= char <= found.end():
            start, end = found.span()
            if found[0][0].isdigit():
                return None
            if family == "typescript" and line[start - 1 : start] == "#":
                start -= 1  # a private member
            if family == "ruby" and line[end : end + 1] in ("?", "!") and line[end + 1 : end + 2] != "=":
                end += 1
            return line[start:end], start
        if found.start() > char:
            break
    return None
