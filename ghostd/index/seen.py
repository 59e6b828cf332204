"""The index as one session sees it: its open documents in place of their files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ghostd.index.overlays import Overlays, Version
from ghostd.index.rows import all_uses, decode_outline
from ghostd.index.search import import_of, symbol_of
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
    Span,
    Symbol,
)
from ghostd.ports import Index

T = TypeVar("T", Symbol, Reference, FoundChunk)

Documents = Mapping[PurePosixPath, Version]


@dataclass(slots=True)
class SeenIndex:
    """See the port `Index`. Asks `index` and puts in what the documents say."""

    index: Index
    overlays: Overlays
    session: str
    _known: dict[Path, tuple[int, int, Documents]] = field(default_factory=dict)
    """Root → generation, count of changes, and the documents that counted then."""

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
        for path, version in (await self._documents(root)).items():
            data = _bytes(version)
            size, digest = len(data), blake2b(data, digest_size=16).digest()
            file = found.get(path) or IndexedFile(path, version.language, size, 0, digest)
            found[path] = replace(file, size_bytes=size, content_hash=digest)
        return [found[path] for path in sorted(found)]

    async def outline(self, root: Path, path: PurePosixPath) -> Sequence[Symbol]:
        """The document's definitions, or the file's."""
        version = (await self._documents(root)).get(path)
        return (
            await self.index.outline(root, path)
            if version is None
            else await asyncio.to_thread(_symbols, path, version)
        )

    async def imports(self, root: Path, path: PurePosixPath) -> Sequence[Import]:
        """The document's imports, or the file's."""
        version = (await self._documents(root)).get(path)
        return (
            await self.index.imports(root, path)
            if version is None
            else await asyncio.to_thread(_imports, path, version)
        )

    async def imports_after(
        self, root: Path, after: str = "", limit: int = 500
    ) -> Sequence[tuple[PurePosixPath, Sequence[Import]]]:
        """The imports of the next parsed files and documents behind `after`."""
        documents = await self._documents(root)
        found = dict(await self.index.imports_after(root, after, limit))
        last = str(max(found, key=str)) if len(found) >= limit > 0 else None
        for path, version in documents.items():
            found.pop(path, None)
            if version.outline is not None and after < str(path) and (last is None or str(path) <= last):
                found[path] = await asyncio.to_thread(_imports, path, version)
        return sorted(found.items(), key=lambda item: str(item[0]))[: max(limit, 0)]

    async def names_after(self, root: Path, after: str = "", limit: int = 500) -> Sequence[FileNames]:
        """What the next parsed files and documents behind `after` define and use."""
        documents = await self._documents(root)
        found = {file.path: file for file in await self.index.names_after(root, after, limit)}
        last = str(max(found, key=str)) if len(found) >= limit > 0 else None
        for path, version in documents.items():
            found.pop(path, None)
            if version.outline is not None and after < str(path) and (last is None or str(path) <= last):
                found[path] = await asyncio.to_thread(_names, path, version)
        return sorted(found.values(), key=lambda file: str(file.path))[: max(limit, 0)]

    async def definitions(self, root: Path, name: str, limit: int = 50) -> Sequence[Symbol]:
        """Definitions of exactly this name, ordered by path."""
        documents = await self._documents(root)
        own = [symbol for symbol in await _all_symbols(documents) if symbol.name == name]
        files = await _without(lambda most: self.index.definitions(root, name, most), documents, limit)
        return sorted((*files, *own), key=lambda symbol: symbol.path)[: max(limit, 0)]

    async def symbols(self, root: Path, prefix: str, limit: int = 50) -> Sequence[Symbol]:
        """Definitions whose name starts with `prefix`, ordered by name, then path."""
        documents = await self._documents(root)
        own = [symbol for symbol in await _all_symbols(documents) if symbol.name.startswith(prefix)]
        files = await _without(lambda most: self.index.symbols(root, prefix, most), documents, limit)
        return sorted((*files, *own), key=lambda symbol: (symbol.name, symbol.path))[: max(limit, 0)]

    async def references(self, root: Path, name: str, limit: int = 200) -> Sequence[Reference]:
        """Uses of exactly this name, ordered by path and span."""
        documents = await self._documents(root)
        own: list[Reference] = []
        for path, version in documents.items():
            own.extend(use for use in await asyncio.to_thread(_uses, path, version) if use.name == name)
        files = await _without(lambda most: self.index.references(root, name, most), documents, limit)
        return sorted((*files, *own), key=lambda use: (use.path, use.span.start))[: max(limit, 0)]

    async def names(self, root: Path, limit: int = 500_000) -> Sequence[str]:
        """Every name that is defined, each once."""
        documents = await self._documents(root)
        own = {symbol.name for symbol in await _all_symbols(documents)}
        found = set(await self.index.names(root, limit)) | own
        for path in documents:
            gone = {symbol.name for symbol in await self.index.outline(root, path)} - own
            for name, elsewhere in [(n, await self._elsewhere(root, n, documents)) for n in gone & found]:
                if not elsewhere:
                    found.discard(name)
        return sorted(found)[: max(limit, 0)]

    async def files_defining(self, root: Path, names: Sequence[str]) -> Sequence[tuple[str, PurePosixPath]]:
        """Which files and documents define these names."""
        documents = await self._documents(root)
        wanted = set(names)
        own = {(symbol.name, symbol.path) for symbol in await _all_symbols(documents) if symbol.name in wanted}
        return [*(item for item in await self.index.files_defining(root, names) if item[1] not in documents), *own]

    async def definitions_in(self, root: Path, places: Sequence[tuple[str, PurePosixPath]]) -> Sequence[Symbol]:
        """The definitions of names in files and documents, in the places' order."""
        documents = await self._documents(root)
        in_files = [place for place in places if place[1] not in documents]
        by_place: dict[tuple[str, PurePosixPath], list[Symbol]] = {}
        own = await _all_symbols({path: documents[path] for _, path in places if path in documents})
        for symbol in (*dict.fromkeys(await self.index.definitions_in(root, in_files)), *own):
            by_place.setdefault((symbol.name, symbol.path), []).append(symbol)
        return [symbol for place in places for symbol in by_place.get(place, ())]

    async def uses(self, root: Path, path: PurePosixPath) -> Sequence[Reference]:
        """The document's uses of names, or the file's."""
        version = (await self._documents(root)).get(path)
        return await self.index.uses(root, path) if version is None else await asyncio.to_thread(_uses, path, version)

    async def text(self, root: Path, path: PurePosixPath) -> bytes | None:
        """What the document said when its definitions were read, or the file's bytes."""
        version = (await self._documents(root)).get(path)
        return await self.index.text(root, path) if version is None else _bytes(version)

    async def read_texts(self, root: Path, paths: Sequence[PurePosixPath]) -> Mapping[PurePosixPath, bytes]:
        """`text` of several files at once."""
        documents = await self._documents(root)
        found = dict(await self.index.read_texts(root, [path for path in paths if path not in documents]))
        found.update((path, _bytes(documents[path])) for path in paths if path in documents)
        return found

    async def chunks(self, root: Path, path: PurePosixPath) -> Sequence[Chunk]:
        """The file's chunks; a document has none, as its file's lines are no longer its."""
        return [] if path in await self._documents(root) else await self.index.chunks(root, path)

    async def search(
        self, root: Path, words: Mapping[str, float], limit: int = 50, *, leave_out: PurePosixPath | None = None
    ) -> Sequence[FoundChunk]:
        """The files' chunks; a document's own are not found, as its file's lines are no longer its."""
        documents = await self._documents(root)

        async def ask(most: int) -> Sequence[FoundChunk]:
            return await self.index.search(root, words, most, leave_out=leave_out)

        return (await _without(ask, documents, limit, lambda found: found.chunk.path))[: max(limit, 0)]

    def overlay(self, session: str, path: Path, text: str | None) -> None:
        """Note what an open document says."""
        self.index.overlay(session, path, text)

    def forget_session(self, session: str) -> None:
        """Drop all of a session's overlays."""
        self.index.forget_session(session)

    def seen_by(self, session: str) -> Index:
        """The index as another session sees it."""
        return self.index.seen_by(session)

    async def wait_seen(self, session: str) -> None:
        """For another session, too."""
        await self.index.wait_seen(session)

    async def _documents(self, root: Path) -> Documents:
        """The documents whose files are indexed, or that have no file: what the index leaves out stays left out."""
        generation = next((status.generation for status in self.index.roots() if status.root == root), None)
        if generation is None:
            return {}
        known = self._known.get(root)
        if known is not None and known[:2] == (generation, self.overlays.changes):
            return known[2]
        changes = self.overlays.changes
        counted: dict[PurePosixPath, Version] = {}
        for relative, version in tuple(self.overlays.versions(self.session, root)):
            path = PurePosixPath(relative)
            if await self.index.text(root, path) is not None or not await asyncio.to_thread(
                os.path.lexists, root / relative
            ):
                counted[path] = version
        self._known[root] = (generation, changes, counted)
        return counted

    async def _elsewhere(self, root: Path, name: str, documents: Documents) -> bool:
        return any(path not in documents for _, path in await self.index.files_defining(root, [name]))


async def _without(
    ask: Callable[[int], Awaitable[Sequence[T]]],
    documents: Documents,
    limit: int,
    path_of: Callable[[T], PurePosixPath] = lambda item: item.path,
) -> list[T]:
    """The first `limit` answers that do not come from the documents' files."""
    most = limit
    while True:
        found = await ask(most)
        kept = [item for item in found if path_of(item) not in documents]
        if len(kept) >= limit or len(found) < most:
            return kept
        most *= 2


async def _all_symbols(documents: Documents) -> list[Symbol]:
    def read() -> list[Symbol]:
        return [symbol for path, version in documents.items() for symbol in _symbols(path, version)]

    return await asyncio.to_thread(read)


def _symbols(path: PurePosixPath, version: Version) -> list[Symbol]:
    return [symbol_of(path, row) for row in decode_outline(version.outline)[0]] if version.outline else []


def _imports(path: PurePosixPath, version: Version) -> list[Import]:
    return [import_of(path, row) for row in decode_outline(version.outline)[1]] if version.outline else []


def _names(path: PurePosixPath, version: Version) -> FileNames:
    uses = dict.fromkeys(use.name for use in _uses(path, version))
    return FileNames(path, tuple(_symbols(path, version)), tuple(uses))


def _uses(path: PurePosixPath, version: Version) -> list[Reference]:
    rows: Iterable[tuple[bytes, int, int, int]] = all_uses(version.uses) if version.uses else ()
    return [Reference(name.decode("utf-8", "replace"), path, Span(start, end), line) for name, start, end, line in rows]


def _bytes(version: Version) -> bytes:
    return version.text.encode("utf-8", "replace")
