"""The index as one session sees it: its open documents in place of their files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

from ghostd.code_ports import Index
from ghostd.index.opened import Document, Opened, read_document
from ghostd.index.overlays import Overlays, Version
from ghostd.indexed import (
    ChangeBatch,
    Chunk,
    FileNames,
    FoundChunk,
    Import,
    IndexedFile,
    IndexReport,
    Reference,
    RootStatus,
    Skip,
    Symbol,
)

T = TypeVar("T", Symbol, Reference)


class FilesIndex(Index, Protocol):
    """What is asked of the index of files beyond its port."""

    async def which_indexed(self, root: Path, paths: Sequence[PurePosixPath]) -> Sequence[PurePosixPath]:
        """Those of these files that are indexed."""
        ...

    async def search_with(
        self,
        root: Path,
        words: Mapping[str, float],
        limit: int,
        leave_out: PurePosixPath | None,
        documents: Mapping[PurePosixPath, bytes],
    ) -> Sequence[FoundChunk]:
        """`search` where the chunks of documents stand in for their files'."""
        ...


@dataclass(slots=True)
class SeenIndex:
    """See the port `Index`. Asks `index` and puts in what the documents say."""

    index: FilesIndex
    overlays: Overlays
    session: str
    _known: dict[Path, tuple[int, int, Opened]] = field(default_factory=dict)
    """Root → generation, count of changes, and the documents that counted then."""
    _last_uses: tuple[Document, Sequence[Reference]] | None = None

    def roots(self) -> Sequence[RootStatus]:
        """Every root, as its files are."""
        return self.index.roots()

    def root_of(self, path: Path) -> Path | None:
        """The innermost indexed root."""
        return self.index.root_of(path)

    async def add_root(self, root: Path) -> None:
        """For all sessions."""
        await self.index.add_root(root)

    async def remove_root(self, root: Path) -> None:
        """For all sessions."""
        await self.index.remove_root(root)

    async def wait_ready(self, root: Path) -> IndexReport:
        """The files' report."""
        return await self.index.wait_ready(root)

    def subscribe(self, callback: Callable[[ChangeBatch], None]) -> Callable[[], None]:
        """The files' commits."""
        return self.index.subscribe(callback)

    async def skips(self, root: Path) -> Sequence[Skip]:
        """The files' skips."""
        return await self.index.skips(root)

    async def files(self, root: Path) -> Sequence[IndexedFile]:
        """All files, and documents that have none yet; these have no time of change (0)."""
        found = {file.path: file for file in await self.index.files(root)}
        for path, document in (await self._documents(root)).items():
            version = document.version
            data = version.text
            size, digest = len(data), blake2b(data, digest_size=16).digest()
            file = found.get(path) or IndexedFile(path, version.language, size, 0, digest)
            found[path] = replace(file, size_bytes=size, content_hash=digest)
        return [found[path] for path in sorted(found)]

    async def outline(self, root: Path, path: PurePosixPath) -> Sequence[Symbol]:
        """The document's definitions, or the file's."""
        document = (await self._documents(root)).get(path)
        return await self.index.outline(root, path) if document is None else document.symbols

    async def imports(self, root: Path, path: PurePosixPath) -> Sequence[Import]:
        """The document's imports, or the file's."""
        document = (await self._documents(root)).get(path)
        return await self.index.imports(root, path) if document is None else document.imports

    async def imports_after(
        self, root: Path, after: str = "", limit: int = 500
    ) -> Sequence[tuple[PurePosixPath, Sequence[Import]]]:
        """The imports of the next parsed files and documents behind `after`."""
        documents = await self._documents(root)
        found = dict(await self.index.imports_after(root, after, limit))
        for document in _next(documents, found.keys(), after, limit):
            found[document.path] = document.imports
        kept = ((path, rows) for path, rows in found.items() if path not in documents or documents[path].is_parsed)
        return sorted(kept, key=lambda item: str(item[0]))[: max(limit, 0)]

    async def names_after(self, root: Path, after: str = "", limit: int = 500) -> Sequence[FileNames]:
        """What the next parsed files and documents behind `after` define and use."""
        documents = await self._documents(root)
        found = {file.path: file for file in await self.index.names_after(root, after, limit)}
        for document in _next(documents, found.keys(), after, limit):
            found[document.path] = await asyncio.to_thread(document.names)
        kept = (file for path, file in found.items() if path not in documents or documents[path].is_parsed)
        return sorted(kept, key=lambda file: str(file.path))[: max(limit, 0)]

    async def definitions(self, root: Path, name: str, limit: int = 50) -> Sequence[Symbol]:
        """Definitions of exactly this name, ordered by path."""
        documents = await self._documents(root)
        files = await _without(lambda most: self.index.definitions(root, name, most), documents, limit)
        return sorted((*files, *documents.named(name)), key=lambda symbol: symbol.path)[: max(limit, 0)]

    async def symbols(self, root: Path, prefix: str, limit: int = 50) -> Sequence[Symbol]:
        """Definitions whose name starts with `prefix`, ordered by name, then path."""
        documents = await self._documents(root)
        own = [s for document in documents.values() for s in document.symbols if s.name.startswith(prefix)]
        files = await _without(lambda most: self.index.symbols(root, prefix, most), documents, limit)
        return sorted((*files, *own), key=lambda symbol: (symbol.name, symbol.path))[: max(limit, 0)]

    async def references(self, root: Path, name: str, limit: int = 200) -> Sequence[Reference]:
        """Uses of exactly this name, ordered by path and span."""
        documents = await self._documents(root)

        def read() -> list[Reference]:
            return [use for document in documents.values() for use in document.uses_of(name)]

        own = await asyncio.to_thread(read) if documents else []
        files = await _without(lambda most: self.index.references(root, name, most), documents, limit)
        return sorted((*files, *own), key=lambda use: (use.path, use.span.start))[: max(limit, 0)]

    async def names(self, root: Path, limit: int = 500_000) -> Sequence[str]:
        """Every name that is defined, each once."""
        documents = await self._documents(root)
        own = {name for document in documents.values() for name in document.by_name}
        found = set(await self.index.names(root, limit)) | own
        gone: set[str] = set()
        for path in documents:
            gone |= {symbol.name for symbol in await self.index.outline(root, path)} - own
        elsewhere = await self.index.files_defining(root, sorted(gone)) if gone else ()
        found -= gone - {name for name, path in elsewhere if path not in documents}
        return sorted(found)[: max(limit, 0)]

    async def files_defining(self, root: Path, names: Sequence[str]) -> Sequence[tuple[str, PurePosixPath]]:
        """Which files and documents define these names."""
        documents = await self._documents(root)
        own = {(symbol.name, symbol.path) for name in set(names) for symbol in documents.named(name)}
        return [*(item for item in await self.index.files_defining(root, names) if item[1] not in documents), *own]

    async def defined_within(
        self, root: Path, names: Sequence[str]
    ) -> Sequence[tuple[str, PurePosixPath, tuple[str, ...] | None]]:
        """Which files and documents define these names, and in what."""
        documents = await self._documents(root)
        own = [
            (name, path, tuple({symbol.container for symbol in document.by_name[name]}))
            for path, document in documents.items()
            for name in set(names) & document.by_name.keys()
        ]
        return [*(item for item in await self.index.defined_within(root, names) if item[1] not in documents), *own]

    async def definitions_in(self, root: Path, places: Sequence[tuple[str, PurePosixPath]]) -> Sequence[Symbol]:
        """The definitions of names in files and documents, in the places' order."""
        documents = await self._documents(root)
        by_place: dict[tuple[str, PurePosixPath], list[Symbol]] = {}
        in_files = [place for place in places if place[1] not in documents]
        for symbol in dict.fromkeys(await self.index.definitions_in(root, in_files)):
            by_place.setdefault((symbol.name, symbol.path), []).append(symbol)
        found: list[Symbol] = []
        for name, path in places:
            document = documents.get(path)
            found.extend(by_place.get((name, path), ()) if document is None else document.by_name.get(name, ()))
        return found

    async def uses(self, root: Path, path: PurePosixPath) -> Sequence[Reference]:
        """The document's uses of names, or the file's."""
        document = (await self._documents(root)).get(path)
        if document is None:
            return await self.index.uses(root, path)
        if self._last_uses is None or self._last_uses[0] is not document:
            self._last_uses = document, await asyncio.to_thread(document.uses)
        return self._last_uses[1]

    async def text(self, root: Path, path: PurePosixPath) -> bytes | None:
        """What the document said when its definitions were read, or the file's bytes."""
        document = (await self._documents(root)).get(path)
        return await self.index.text(root, path) if document is None else document.version.text

    async def read_texts(self, root: Path, paths: Sequence[PurePosixPath]) -> Mapping[PurePosixPath, bytes]:
        """`text` of several files at once."""
        documents = await self._documents(root)
        found = dict(await self.index.read_texts(root, [path for path in paths if path not in documents]))
        found.update((path, documents[path].version.text) for path in paths if path in documents)
        return found

    async def chunks(self, root: Path, path: PurePosixPath) -> Sequence[Chunk]:
        """The document's chunks, or the file's."""
        document = (await self._documents(root)).get(path)
        return await self.index.chunks(root, path) if document is None else document.chunks()

    async def search(
        self, root: Path, words: Mapping[str, float], limit: int = 50, *, leave_out: PurePosixPath | None = None
    ) -> Sequence[FoundChunk]:
        """The documents' and the files' chunks."""
        documents = await self._documents(root)
        return await self.index.search_with(root, words, limit, leave_out, documents.chunks())

    def overlay(self, session: str, path: Path, text: str | None) -> None:
        """Note what an open document says."""
        self.index.overlay(session, path, text)

    def forget_session(self, session: str) -> None:
        """Drop all of a session's overlays."""
        self.index.forget_session(session)

    async def left_out(self, paths: Collection[Path]) -> frozenset[Path]:
        """For all sessions."""
        return await self.index.left_out(paths)

    def seen_by(self, session: str) -> Index:
        """The index as another session sees it."""
        return self.index.seen_by(session)

    async def wait_seen(self, session: str) -> None:
        """For another session, too."""
        await self.index.wait_seen(session)

    async def _documents(self, root: Path) -> Opened:
        """The documents whose files are indexed, or that have no file: what the index leaves out stays left out."""
        generation = next((status.generation for status in self.index.roots() if status.root == root), None)
        if generation is None:
            return Opened()
        known = self._known.get(root)
        if known is not None and known[:2] == (generation, self.overlays.changes):
            return known[2]
        changes = self.overlays.changes
        versions = {PurePosixPath(path): version for path, version in self.overlays.versions(self.session, root)}
        indexed = frozenset(await self.index.which_indexed(root, list(versions)))
        before = known[2] if known is not None else Opened()
        opened = await asyncio.to_thread(_read, root, versions, indexed, before)
        self._known[root] = (generation, changes, opened)
        return opened


def _read(
    root: Path, versions: Mapping[PurePosixPath, Version], indexed: frozenset[PurePosixPath], before: Opened
) -> Opened:
    found: dict[PurePosixPath, Document] = {}
    for path, version in versions.items():
        if path in indexed or not os.path.lexists(root / path):
            known = before.get(path)
            found[path] = known if known is not None and known.version is version else read_document(path, version)
    return Opened(found)


def _next(documents: Opened, files: Iterable[PurePosixPath], after: str, limit: int) -> list[Document]:
    """The parsed documents among the next `limit` files behind `after`."""
    paths = [str(path) for path in files]
    last = max(paths) if len(paths) >= limit > 0 else None
    return [
        document
        for path, document in documents.items()
        if document.is_parsed and after < str(path) and (last is None or str(path) <= last)
    ]


async def _without(ask: Callable[[int], Awaitable[Sequence[T]]], documents: Opened, limit: int) -> list[T]:
    """The first `limit` answers that do not come from the documents' files."""
    most = limit
    while True:
        found = await ask(most)
        kept = [item for item in found if item.path not in documents]
        if len(kept) >= limit or len(found) < most:
            return kept
        most *= 2
