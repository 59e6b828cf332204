"""What is in the open documents that one session has in one root, decoded once for each version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from ghostd.index.chunks import chunk_lines
from ghostd.index.overlays import Version
from ghostd.index.rows import all_uses, decode_outline, find_uses
from ghostd.index.search import import_of, symbol_of
from ghostd.indexed import Chunk, FileNames, Import, Reference, Span, Symbol


@dataclass(frozen=True, slots=True)
class Document:
    """One version of one document."""

    path: PurePosixPath
    version: Version
    symbols: tuple[Symbol, ...]
    imports: tuple[Import, ...]
    by_name: Mapping[str, tuple[Symbol, ...]]

    @property
    def is_parsed(self) -> bool:
        """Whether it has a grammar, and the parser got through it."""
        return bool(self.version.outline)

    def chunks(self) -> list[Chunk]:
        """Its chunks in order."""
        return [Chunk(self.path, first, last) for first, last in chunk_lines(self.version.chunks)]

    def uses_of(self, name: str) -> Iterator[Reference]:
        """The uses of one name, in source order."""
        wanted = name.encode("utf-8", "replace")
        if self.version.uses:
            for start, line in find_uses(self.version.uses, wanted):
                yield Reference(name, self.path, Span(start, start + len(wanted)), line)

    def uses(self) -> list[Reference]:
        """All uses of names, in source order."""
        rows = all_uses(self.version.uses) if self.version.uses else ()
        return [Reference(name.decode("utf-8", "replace"), self.path, Span(a, b), line) for name, a, b, line in rows]

    def names(self) -> FileNames:
        """What it defines and uses."""
        return FileNames(self.path, self.symbols, tuple(dict.fromkeys(use.name for use in self.uses())))


def read_document(path: PurePosixPath, version: Version) -> Document:
    """Decode a version."""
    rows = decode_outline(version.outline) if version.outline else ([], [])
    by_name: dict[str, tuple[Symbol, ...]] = {}
    symbols = tuple(symbol_of(path, row) for row in rows[0])
    for symbol in symbols:
        by_name[symbol.name] = (*by_name.get(symbol.name, ()), symbol)
    return Document(path, version, symbols, tuple(import_of(path, row) for row in rows[1]), by_name)


@dataclass(frozen=True, slots=True)
class Opened(Mapping[PurePosixPath, Document]):
    """The documents of one root that count."""

    documents: Mapping[PurePosixPath, Document] = field(default_factory=dict)

    def __getitem__(self, path: PurePosixPath) -> Document:
        return self.documents[path]

    def __iter__(self) -> Iterator[PurePosixPath]:
        return iter(self.documents)

    def __len__(self) -> int:
        return len(self.documents)

    def named(self, name: str) -> list[Symbol]:
        """Their definitions of one name."""
        return [symbol for document in self.documents.values() for symbol in document.by_name.get(name, ())]

    def chunks(self) -> dict[PurePosixPath, bytes]:
        """Their chunks, for a search."""
        return {path: document.version.chunks for path, document in self.documents.items()}
