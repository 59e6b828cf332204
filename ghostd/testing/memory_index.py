"""An Index in memory, filled by the test."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Index
from ghostd.errors import RootError
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


@dataclass(slots=True)
class MemoryIndex:
    """Answers from the lists that a test puts in; roots are any existing folders."""

    symbol_list: list[Symbol] = field(default_factory=list)
    reference_list: list[Reference] = field(default_factory=list)
    import_list: list[Import] = field(default_factory=list)
    file_list: list[IndexedFile] = field(default_factory=list)
    texts: dict[PurePosixPath, bytes] = field(default_factory=dict)
    chunk_list: list[FoundChunk] = field(default_factory=list)
    """What a search finds, whatever it is for; empty: it looks into `texts`, each of which is one chunk."""
    overlays: dict[tuple[str, Path], str] = field(default_factory=dict)
    """(session, absolute path) → what an open document says. Nothing is parsed: symbols stay those of the lists."""
    _roots: dict[Path, RootStatus] = field(default_factory=dict)
    _callbacks: list[Callable[[ChangeBatch], None]] = field(default_factory=list)

    def roots(self) -> Sequence[RootStatus]:
        """Every root added."""
        return tuple(self._roots.values())

    def root_of(self, path: Path) -> Path | None:
        """The innermost root."""
        inside = [root for root in self._roots if path.is_relative_to(root)]
        return max(inside, key=lambda root: len(root.parts), default=None)

    async def add_root(self, root: Path) -> None:
        """Add a root that is ready at once."""
        if not await asyncio.to_thread(root.is_dir):
            raise RootError(root, "no such folder")
        self._roots.setdefault(root, RootStatus(root, "ready", len(self.file_list), len(self.symbol_list), 1))

    async def remove_root(self, root: Path) -> None:
        """Forget a root."""
        self._roots.pop(root, None)

    async def wait_ready(self, root: Path) -> IndexReport:
        """Ready at once."""
        if root not in self._roots:
            raise RootError(root, "not indexed")
        sizes = sum(file.size_bytes for file in self.file_list)
        count = len(self.file_list)
        return IndexReport(
            root, count, count, len(self.symbol_list), len(self.reference_list), len(self.import_list), sizes, 0.0, ()
        )

    def subscribe(self, callback: Callable[[ChangeBatch], None]) -> Callable[[], None]:
        """Call back on `commit`."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._callbacks.remove(callback)

        return unsubscribe

    def commit(self, batch: ChangeBatch) -> None:
        """Tell the subscribers of a change."""
        for callback in tuple(self._callbacks):
            callback(batch)

    async def files(self, root: Path) -> Sequence[IndexedFile]:
        """All files."""
        return sorted(self.file_list, key=lambda file: file.path) if root in self._roots else []

    async def skips(self, root: Path) -> Sequence[Skip]:
        """None."""
        return []

    async def outline(self, root: Path, path: PurePosixPath) -> Sequence[Symbol]:
        """The file's symbols."""
        return sorted((s for s in self._symbols(root) if s.path == path), key=lambda s: s.span.start)

    async def imports(self, root: Path, path: PurePosixPath) -> Sequence[Import]:
        """The file's imports."""
        return [i for i in self.import_list if i.path == path] if root in self._roots else []

    async def imports_after(
        self, root: Path, after: str = "", limit: int = 500
    ) -> Sequence[tuple[PurePosixPath, Sequence[Import]]]:
        """The imports of the files with symbols or imports."""
        parsed = {item.path for item in self.symbol_list} | {item.path for item in self.import_list}
        paths = {str(path) for path in parsed} if root in self._roots else set()
        next_paths = sorted(path for path in paths if path > after)[: max(limit, 0)]
        return [(PurePosixPath(path), await self.imports(root, PurePosixPath(path))) for path in next_paths]

    async def names_after(self, root: Path, after: str = "", limit: int = 500) -> Sequence[FileNames]:
        """The files with symbols, imports or references."""
        found = []
        places = {str(item.path) for item in self.symbol_list} | {str(item.path) for item in self.import_list}
        places |= {str(item.path) for item in self.reference_list}
        for path in sorted(path for path in places if root in self._roots and path > after):
            symbols = await self.outline(root, PurePosixPath(path))
            uses = dict.fromkeys(use.name for use in await self.uses(root, PurePosixPath(path)))
            found.append(FileNames(PurePosixPath(path), tuple(symbols), tuple(uses)))
        return found[: max(limit, 0)]

    async def definitions(self, root: Path, name: str, limit: int = 50) -> Sequence[Symbol]:
        """Symbols of this name."""
        return sorted((s for s in self._symbols(root) if s.name == name), key=lambda s: s.path)[:limit]

    async def symbols(self, root: Path, prefix: str, limit: int = 50) -> Sequence[Symbol]:
        """Symbols whose name starts so."""
        found = (s for s in self._symbols(root) if s.name.startswith(prefix))
        return sorted(found, key=lambda s: (s.name, s.path))[:limit]

    async def references(self, root: Path, name: str, limit: int = 200) -> Sequence[Reference]:
        """References to this name."""
        found = (r for r in self.reference_list if r.name == name and root in self._roots)
        return sorted(found, key=lambda r: (r.path, r.span.start))[:limit]

    async def names(self, root: Path, limit: int = 500_000) -> Sequence[str]:
        """The symbols' names."""
        return sorted({symbol.name for symbol in self._symbols(root)})[:limit]

    async def files_defining(self, root: Path, names: Sequence[str]) -> Sequence[tuple[str, PurePosixPath]]:
        """The files that have symbols of these names."""
        return list({(symbol.name, symbol.path) for symbol in self._symbols(root) if symbol.name in names})

    async def defined_within(
        self, root: Path, names: Sequence[str]
    ) -> Sequence[tuple[str, PurePosixPath, tuple[str, ...] | None]]:
        """The files that have symbols of these names, and in what."""
        found: dict[tuple[str, PurePosixPath], tuple[str, ...]] = {}
        for symbol in self._symbols(root):
            if symbol.name in names:
                place = symbol.name, symbol.path
                found[place] = (*found.get(place, ()), symbol.container)
        return [(*place, containers) for place, containers in found.items()]

    async def definitions_in(self, root: Path, places: Sequence[tuple[str, PurePosixPath]]) -> Sequence[Symbol]:
        """The symbols of these names and files."""
        found = sorted(self._symbols(root), key=lambda symbol: symbol.span.start)
        return [symbol for place in places for symbol in found if (symbol.name, symbol.path) == place]

    async def uses(self, root: Path, path: PurePosixPath) -> Sequence[Reference]:
        """The references in a file."""
        found = (r for r in self.reference_list if r.path == path and root in self._roots)
        return sorted(found, key=lambda r: r.span.start)

    async def text(self, root: Path, path: PurePosixPath) -> bytes | None:
        """A file's text."""
        return self.texts.get(path) if root in self._roots else None

    async def read_texts(self, root: Path, paths: Sequence[PurePosixPath]) -> Mapping[PurePosixPath, bytes]:
        """Several files' texts."""
        return {path: self.texts[path] for path in paths if path in self.texts and root in self._roots}

    async def chunks(self, root: Path, path: PurePosixPath) -> Sequence[Chunk]:
        """The chunks that a test put in, or the whole text as one."""
        if root not in self._roots:
            return []
        if self.chunk_list:
            found = {item.chunk for item in self.chunk_list if item.chunk.path == path}
            return sorted(found, key=lambda chunk: chunk.first_line)
        text = self.texts.get(path, b"").decode("utf-8", "replace")
        return [Chunk(path, 1, len(text.splitlines()))] if _terms(text) else []

    async def search(
        self, root: Path, words: Mapping[str, float], limit: int = 50, *, leave_out: PurePosixPath | None = None
    ) -> Sequence[FoundChunk]:
        """The chunks that a test put in, or the texts that hold most of the words."""
        if root not in self._roots or limit <= 0:
            return []
        found = self.chunk_list or sorted(self._matching(words), key=lambda item: (-item.score, item.chunk.path))
        return [item for item in found if item.chunk.path != leave_out][:limit]

    def _matching(self, words: Mapping[str, float]) -> Iterator[FoundChunk]:
        for path, text in self.texts.items():
            terms = _terms(text.decode("utf-8", "replace"))
            score = sum(weight for word, weight in words.items() for _ in _terms(word) & terms if weight > 0)
            if score:
                yield FoundChunk(Chunk(path, 1, len(text.splitlines())), score)

    def overlay(self, session: str, path: Path, text: str | None) -> None:
        """Seen at once."""
        if text is None:
            self.overlays.pop((session, path), None)
        else:
            self.overlays[session, path] = text

    def forget_session(self, session: str) -> None:
        """Drop its overlays."""
        for key in [key for key in self.overlays if key[0] == session]:
            del self.overlays[key]

    def seen_by(self, session: str) -> Index:
        """The same index when the session has no document open, else one with the documents' texts."""
        own = {
            path: text.encode("utf-8", "replace") for (whose, path), text in self.overlays.items() if whose == session
        }
        inside = {path: self.root_of(path) for path in own}
        texts = {PurePosixPath(path.relative_to(root)): own[path] for path, root in inside.items() if root is not None}
        if not texts:
            return self
        files = {file.path: file for file in self.file_list}
        for path, text in texts.items():
            digest = blake2b(text, digest_size=16).digest()
            file = files.get(path) or IndexedFile(path, "", len(text), 0, digest)
            files[path] = replace(file, size_bytes=len(text), content_hash=digest)
        # The lists of roots, overlays and callbacks stay the same ones.
        return replace(self, texts={**self.texts, **texts}, file_list=list(files.values()))

    async def left_out(self, paths: Collection[Path]) -> frozenset[Path]:
        """Files of a root that a test did not put in."""
        known = {str(file.path) for file in self.file_list} | {str(path) for path in self.texts}
        unknown = [
            path
            for path in paths
            if (root := self.root_of(path)) is not None and str(path.relative_to(root)) not in known
        ]
        return frozenset(await asyncio.to_thread(lambda: [path for path in unknown if os.path.lexists(path)]))

    async def wait_seen(self, session: str) -> None:
        """At once."""

    def _symbols(self, root: Path) -> list[Symbol]:
        return self.symbol_list if root in self._roots else []


def _terms(text: str) -> set[str]:
    """The identifiers and their parts in lower case, without single characters."""
    parts = re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+", text)
    return {term.lower() for term in (*re.findall(r"\w+", text), *parts) if len(term) > 1}
