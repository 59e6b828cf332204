"""The lines and outlines of files that were quoted lately, kept until they change."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from ghostd.code_ports import Index
from ghostd.context.outlines import OutlinePiece, pieces_of
from ghostd.context.query import names_in
from ghostd.indexed import ChangeBatch

MAX_BYTES = 4_000_000
"""Text kept in memory, of all roots together."""
MAX_OUTLINES = 300
MAX_PIECES = 2_000
"""At some 3 kB each."""
_MAX_QUOTED_LINE_CHARS = 400
"""Longer lines are data: they are cut in a quotation."""

_FEED = ord("\n")
_DEFINES = re.compile(
    r"\b(?:def|class|fn|func|function|struct|enum|union|interface|trait|type|const|var|let|mod|module|macro_rules!)"
    r"\s+(?:\([^)]*\)\s*)?([^\W\d]\w*)"
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines of a file, and what they tell."""

    text: str
    names: frozenset[str]
    defines: frozenset[str]
    """Names that a keyword of a definition stands before."""
    size_bytes: int


class FileLines:
    """A file's lines, as its bytes: strings of them would take three times the memory."""

    __slots__ = ("_data", "_ends")

    def __init__(self, data: bytes) -> None:
        self._data = data
        feeds = np.flatnonzero(np.frombuffer(data, np.uint8) == _FEED)
        self._ends = np.append(feeds, len(data)).astype(np.uint32)
        """Where each line ends."""

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def size_bytes(self) -> int:
        """What it takes in memory."""
        return len(self._data) + self._ends.nbytes

    def between(self, first_line: int, last_line: int) -> list[str]:
        """The lines of these numbers, from 1, the last one included; fewer where the file ends before."""
        first, last = max(first_line, 1), min(last_line, len(self))
        if first > last:
            return []
        part = self._data[self._start(first) : self._start(last + 1) - 1]
        return part.decode("utf-8", "replace").split("\n")

    def line_at(self, first_line: int, size_bytes: int) -> int:
        """The line in which so many bytes end that begin with a line; the file's last one if it is shorter."""
        if not 1 <= first_line <= len(self):
            return len(self)
        end = self._start(first_line) + size_bytes
        return bisect_left(range(first_line, len(self)), end, key=lambda line: self._start(line + 1)) + first_line

    def _start(self, line: int) -> int:
        return int(self._ends[line - 2]) + 1 if line > 1 else 0


@dataclass(slots=True)
class Texts:
    """Reads through to the index. Use from the event loop's thread."""

    index: Index
    _lines: OrderedDict[tuple[Path, PurePosixPath], FileLines] = field(default_factory=OrderedDict)
    _outlines: OrderedDict[tuple[Path, PurePosixPath], list[OutlinePiece]] = field(default_factory=OrderedDict)
    _pieces: OrderedDict[tuple[Path, PurePosixPath, int, int], Piece] = field(default_factory=OrderedDict)
    _bytes: int = 0

    def hear(self, batch: ChangeBatch) -> None:
        """Forget what has changed."""
        gone = {*batch.changed, *batch.removed}
        for path in gone:
            if (lines := self._lines.pop((batch.root, path), None)) is not None:
                self._bytes -= lines.size_bytes
            self._outlines.pop((batch.root, path), None)
        for key in [key for key in self._pieces if key[0] == batch.root and key[1] in gone]:
            del self._pieces[key]

    async def lines(self, root: Path, path: PurePosixPath) -> FileLines | None:
        """A file's lines; None where it cannot be read."""
        key = root, path
        found = self._lines.get(key)
        if found is not None:
            self._lines.move_to_end(key)
            return found
        text = await self.index.text(root, path)
        return None if text is None else self._keep(key, text)

    async def read(self, root: Path, paths: Iterable[PurePosixPath]) -> None:
        """Have the lines of these files ready, read in one go."""
        wanted = [path for path in dict.fromkeys(paths) if (root, path) not in self._lines]
        if wanted:
            for path, text in (await self.index.read_texts(root, wanted)).items():
                self._keep((root, path), text)

    def _keep(self, key: tuple[Path, PurePosixPath], text: bytes) -> FileLines:
        lines = FileLines(text)
        before = self._lines.pop(key, None)  # two may have read it at once
        self._lines[key] = lines
        self._bytes += lines.size_bytes - (before.size_bytes if before is not None else 0)
        while self._bytes > MAX_BYTES and len(self._lines) > 1:
            self._bytes -= self._lines.popitem(last=False)[1].size_bytes
        return lines

    async def outline(self, root: Path, path: PurePosixPath) -> list[OutlinePiece]:
        """A file's outline in pieces."""
        key = root, path
        found = self._outlines.get(key)
        if found is None:
            found = self._outlines[key] = pieces_of(await self.index.outline(root, path))
            while len(self._outlines) > MAX_OUTLINES:
                self._outlines.popitem(last=False)
        self._outlines.move_to_end(key)
        return found

    async def piece(self, root: Path, path: PurePosixPath, first_line: int, last_line: int) -> Piece | None:
        """Some lines of a file; None where there are none."""
        key = root, path, first_line, last_line
        found = self._pieces.get(key)
        if found is None:
            lines = await self.lines(root, path)
            if lines is None:
                return None
            found = piece_of(lines.between(first_line, last_line))
            if found is None:
                return None
            self._pieces[key] = found
            while len(self._pieces) > MAX_PIECES:
                self._pieces.popitem(last=False)
        self._pieces.move_to_end(key)
        return found


def piece_of(lines: Sequence[str]) -> Piece | None:
    """What these lines tell, without blank lines and common indentation; None where they are blank."""
    told = [line.rstrip()[:_MAX_QUOTED_LINE_CHARS] for line in lines if line.strip()]
    if not told:
        return None
    indent = min([len(line) - len(line.lstrip()) for line in told])
    text = "\n".join([line[indent:] for line in told])
    return Piece(text, names_in(text), frozenset(_DEFINES.findall(text)), len(text.encode("utf-8", "replace")))
