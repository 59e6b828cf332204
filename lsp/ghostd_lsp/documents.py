"""The text of open documents: edits in place, and immutable snapshots for requests."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ghostd_lsp.params import ContentChange, Position, Range
from ghostd_lsp.positions import Encoding, char_index, split_lines, unit_count, without_lone_surrogates

MAX_LINE_CHARS = 64 * 1024
"""A document with a longer line counts as too large: an edit costs time in proportion to its lines."""

_revisions = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of a document, as a request sees it."""

    uri: str
    path: Path | None
    """None where the URI names no file."""
    language: str
    revision: int
    """Differs after every change, also if the client repeats version numbers or reopens the document."""
    lines: tuple[str, ...]
    """With their ends; the last one has none."""
    encoding: Encoding

    def clamp(self, position: Position) -> tuple[int, int]:
        """The line and the index of the character in it; beyond the end it is the end."""
        return clamp(self.lines, position, self.encoding)

    def position(self, line: int, char: int) -> Position:
        """The LSP position of a character."""
        return Position(line, unit_count(self.lines[line][:char], self.encoding))

    def before(self, line: int, char: int) -> str:
        """The text before a character."""
        return "".join(self.lines[:line]) + self.lines[line][:char]

    def after(self, line: int, char: int) -> str:
        """The text from a character on."""
        return self.lines[line][char:] + "".join(self.lines[line + 1 :])


class Document:
    """An open document. An edit costs time in proportion to the lines it touches, not to the file."""

    def __init__(
        self, uri: str, path: Path | None, language: str, version: int | None, encoding: Encoding, max_bytes: int
    ) -> None:
        self.uri = uri
        self.path = path
        self.language = language
        self.version = version
        self.revision = next(_revisions)
        self.too_large = False
        """Set once it exceeds a limit: its text is dropped until the client sends the whole of it again."""
        self.edited: Callable[[int, Sequence[str], Sequence[str]], None] | None = None
        """Told of each change: the first line, from 0, what was there, and what is there now."""
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._lines = [""]
        self._size_bytes = 0
        self._text: str | None = None

    def change(self, changes: Iterable[ContentChange], version: int | None) -> bool:
        """Apply the changes in order; False, and nothing done, if `version` is older than the document's."""
        if version is not None and self.version is not None and version < self.version:
            return False
        self.version = self.version if version is None else version
        self.revision = next(_revisions)
        self._text = None
        for change in changes:
            if change.range is None:
                before = () if self.too_large else tuple(self._lines)
                self.replace_all(change.text)
                if self.edited is not None and before and not self.too_large:
                    self.edited(0, before, self._lines)
            elif not self.too_large:
                self._replace(change.range, change.text)
        return True

    def replace_all(self, text: str) -> None:
        """Take `text` as the whole content."""
        self.revision = next(_revisions)
        self._text = None
        self.too_large = False
        if len(text) > self._max_bytes:  # not split first: lines take many times the memory of their text
            self._drop()
            return
        text = without_lone_surrogates(text)
        self._lines = split_lines(text)
        self._size_bytes = _size_bytes(text)
        self._check_limits(self._lines)

    @property
    def size_bytes(self) -> int:
        """Of the whole content; 0 for a document that is too large."""
        return self._size_bytes

    def text(self) -> str:
        """The whole content; "" for a document that is too large."""
        if self._text is None:
            self._text = "".join(self._lines)
        return self._text

    def snapshot(self) -> Snapshot:
        """This version, untouched by later edits."""
        return Snapshot(self.uri, self.path, self.language, self.revision, tuple(self._lines), self._encoding)

    def _replace(self, where: Range, text: str) -> None:
        if len(text) > self._max_bytes:
            self._drop()
            return
        text = without_lone_surrogates(text)
        lines = self._lines
        first, last = sorted(clamp(lines, edge, self._encoding) for edge in (where.start, where.end))
        line, stop = first[0], last[0] + 1
        fresh = lines[line][: first[1]] + text + lines[last[0]][last[1] :]
        # "\r" at the end of one piece and "\n" at the start of the next become one line end.
        if line and fresh.startswith("\n") and lines[line - 1].endswith("\r"):
            line -= 1
            fresh = lines[line] + fresh
        if stop < len(lines) and fresh.endswith("\r") and lines[stop].startswith("\n"):
            fresh += lines[stop]
            stop += 1
        pieces = split_lines(fresh)
        if stop < len(lines) and not pieces[-1]:
            pieces.pop()
        self._size_bytes += _size_bytes(fresh) - sum(map(_size_bytes, lines[line:stop]))
        if self.edited is not None:
            self.edited(line, lines[line:stop], pieces)
        lines[line:stop] = pieces
        self._check_limits(pieces)

    def _check_limits(self, fresh: Sequence[str]) -> None:
        if self._size_bytes > self._max_bytes or max(map(len, fresh), default=0) > MAX_LINE_CHARS:
            self._drop()

    def _drop(self) -> None:
        self.too_large = True
        self._lines = [""]
        self._size_bytes = 0


def clamp(lines: Sequence[str], position: Position, encoding: Encoding) -> tuple[int, int]:
    """The line and the index of the character in it; beyond the end it is the end."""
    if position.line >= len(lines):
        return len(lines) - 1, len(lines[-1])
    return position.line, char_index(lines[position.line], position.character, encoding)


def _size_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
