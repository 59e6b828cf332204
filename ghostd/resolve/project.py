"""What is kept of one root: its files, its languages' resolvers, and some files' imports, in step with the index."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ghostd.code_ports import Index
from ghostd.indexed import ChangeBatch, Import, IndexedFile, Symbol
from ghostd.resolve.families import Family, build, family_of, manifest_family
from ghostd.resolve.manifests import MAX_MANIFEST_BYTES, MAX_MANIFESTS
from ghostd.resolve.resolution import LanguageResolver
from ghostd.resolve.rust import Mod, mods_of
from ghostd.resolve.tree import FileTree

_MAX_PENDING = 50_000
"""Changed paths that are remembered; more, and everything is read again."""
_SLICE = 500
_MAX_KEPT = 4000
"""Files whose imports, and files whose outlines are kept."""

T = TypeVar("T")


@dataclass(slots=True)
class Project:
    """One root. All methods are for the event loop's thread."""

    index: Index
    root: Path
    generation: int = 0
    """The last committed one that was heard of."""
    tree: FileTree = field(default_factory=FileTree)
    answers: dict[tuple[str, str], object] = field(default_factory=dict)
    """What other modules keep until the next commit."""
    _loaded: bool = False
    _pending: list[ChangeBatch] = field(default_factory=list)
    _pending_paths: int = 0
    _resolvers: dict[Family, LanguageResolver] = field(default_factory=dict)
    _texts: dict[str, bytes | None] = field(default_factory=dict)
    """Of manifests."""
    _mods: dict[str, tuple[Mod, ...]] | None = None
    _stale_mods: set[str] = field(default_factory=set)
    _imports: dict[PurePosixPath, Sequence[Import]] = field(default_factory=dict)
    _outlines: dict[PurePosixPath, Sequence[Symbol]] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    on_structure: Callable[[], None] = lambda: None
    """Called when any import may lead elsewhere than before."""
    on_content: Callable[[Sequence[str]], None] = lambda paths: None
    """Called with files whose own imports may have changed."""

    def hear(self, batch: ChangeBatch) -> None:
        """Take note of a commit."""
        self.generation = batch.generation
        self.answers.clear()
        for path in (*batch.changed, *batch.removed):
            self._imports.pop(path, None)
            self._outlines.pop(path, None)
        if not self._loaded:
            return
        self._pending.append(batch)
        self._pending_paths += len(batch.changed) + len(batch.removed)
        if self._pending_paths > _MAX_PENDING:
            self.forget()

    def forget(self) -> None:
        """Read everything again when it is next needed."""
        self._loaded = False
        self._pending.clear()
        self._pending_paths = 0
        self._resolvers.clear()
        self._texts.clear()
        self._mods = None
        self._stale_mods.clear()
        self._imports.clear()
        self._outlines.clear()
        self.answers.clear()
        self.on_structure()

    async def resolver(self, family: Family) -> LanguageResolver:
        """The family's resolver, as of the last commit."""
        found = self._resolvers.get(family)
        if found is not None and self._loaded and not self._pending:
            return found
        async with self._lock:
            await self._catch_up()
            found = self._resolvers.get(family)
            if found is None:
                found = self._resolvers[family] = await self._build(family)
            return found

    async def up_to_date(self) -> FileTree:
        """The root's files, as of the last commit."""
        if not self._loaded or self._pending:
            async with self._lock:
                await self._catch_up()
        return self.tree

    async def imports(self, path: PurePosixPath) -> Sequence[Import]:
        """A file's imports."""
        return await self._kept(self._imports, path, self.index.imports)

    async def outline(self, path: PurePosixPath) -> Sequence[Symbol]:
        """A file's definitions."""
        return await self._kept(self._outlines, path, self.index.outline)

    async def _kept(
        self,
        kept: dict[PurePosixPath, Sequence[T]],
        path: PurePosixPath,
        ask: Callable[[Path, PurePosixPath], Awaitable[Sequence[T]]],
    ) -> Sequence[T]:
        found = kept.get(path)
        if found is None:
            generation = self.generation
            found = await ask(self.root, path)
            if len(kept) >= _MAX_KEPT:
                kept.pop(next(iter(kept)))
            if generation == self.generation:
                kept[path] = found
        return found

    async def _catch_up(self) -> None:
        if not self._loaded:
            # What is committed from here on is heard of; to add a file twice does no harm.
            self._pending.clear()
            self._pending_paths = 0
            self._loaded = True
            files = await self.index.files(self.root)
            self.tree = await asyncio.to_thread(_tree_of, files)
        while self._pending:
            batches, self._pending = self._pending, []
            self._pending_paths = 0
            there: dict[str, bool] = {}
            for batch in batches:
                there.update((str(path), True) for path in batch.changed)
                there.update((str(path), False) for path in batch.removed)
            added = {path for path, is_there in there.items() if is_there and path not in self.tree.files}
            removed = {path for path, is_there in there.items() if not is_there and path in self.tree.files}
            if added or removed:
                await asyncio.to_thread(_update, self.tree, added, removed)
            self._note(set(there), added | removed)

    def _note(self, changed: set[str], moved: set[str]) -> None:
        """Drop what is no longer right. `moved`: files that came or went."""
        dropped: set[Family] = {family for path in moved if (family := family_of(path))}
        if moved - {path for path in moved if family_of(path)}:
            dropped.add("node")  # may import any file
        for path in changed:
            family = manifest_family(path)
            if family is not None:
                dropped.add(family)
                self._texts.pop(path, None)
                if path in self.tree.files:
                    self.tree.sizes.setdefault(path, 0)
                else:
                    self.tree.sizes.pop(path, None)
            if path.endswith(".rs"):
                self._stale_mods.add(path)
        if self._stale_mods and self._mods is not None:
            dropped.add("rust")
        for family in dropped:
            self._resolvers.pop(family, None)
        if dropped - {"rust"} or any(path.endswith(".rs") for path in moved):
            self.on_structure()
        self.on_content(tuple(changed))

    async def _build(self, family: Family) -> LanguageResolver:
        manifests = [path for path in self.tree.sizes if manifest_family(path) == family]
        manifests.sort(key=lambda path: (path.count("/"), path))
        for path in manifests[:MAX_MANIFESTS]:
            if path not in self._texts and not path.endswith((".py", ".cfg")):
                fits = self.tree.sizes[path] <= MAX_MANIFEST_BYTES
                self._texts[path] = await self.index.text(self.root, PurePosixPath(path)) if fits else None
        texts = {path: self._texts.get(path) for path in manifests[:MAX_MANIFESTS]}
        mods = await self._all_mods() if family == "rust" else {}
        return await asyncio.to_thread(build, family, self.tree, texts, mods, self.root.name)

    async def _all_mods(self) -> dict[str, tuple[Mod, ...]]:
        if self._mods is None:
            mods: dict[str, tuple[Mod, ...]] = {}
            self._stale_mods.clear()
            last = ""
            while rows := await self.index.imports_after(self.root, last, _SLICE):
                last = str(rows[-1][0])
                for path, imports in rows:
                    if path.suffix == ".rs" and (found := mods_of(imports)):
                        mods[str(path)] = found
            self._mods = mods
        for changed in tuple(self._stale_mods):
            self._stale_mods.discard(changed)
            declared = mods_of(await self.index.imports(self.root, PurePosixPath(changed)))
            if declared:
                self._mods[changed] = declared
            else:
                self._mods.pop(changed, None)
        return self._mods


def _tree_of(files: Sequence[IndexedFile]) -> FileTree:
    tree = FileTree()
    sizes = {str(file.path): file.size_bytes for file in files}
    tree.add(sizes)
    tree.sizes.update((path, size) for path, size in sizes.items() if manifest_family(path))
    return tree


def _update(tree: FileTree, added: set[str], removed: set[str]) -> None:
    if removed:
        tree.remove(removed)
    tree.add(added)
