"""The Index port on SQLite stores, one for each root, written by a worker process."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from ghostd.code_ports import Index
from ghostd.config.projects import IndexConfig
from ghostd.errors import RootError
from ghostd.index import search
from ghostd.index.file_names import holds_secrets
from ghostd.index.indexed_root import IndexedRoot
from ghostd.index.inside import read_inside, read_several
from ghostd.index.lock import check_and_lock
from ghostd.index.names_read import names_after
from ghostd.index.overlays import Overlays
from ghostd.index.search import Reader
from ghostd.index.seen import SeenIndex
from ghostd.index.segment_file import DamagedChunks
from ghostd.index.soundness import Soundness
from ghostd.index.store import is_damage, store_path
from ghostd.index.supervisor import Supervisor
from ghostd.index.watch import NoWatch, Watch, open_watch
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

_log = logging.getLogger(__name__)

T = TypeVar("T")

_READERS = 4


@dataclass(slots=True)
class SqliteIndex:
    """See the port `Index`. Made by `open_index`."""

    folder: Path
    config: IndexConfig
    _supervisor: Supervisor
    _watch: Watch
    _executor: ThreadPoolExecutor
    _roots: dict[Path, IndexedRoot] = field(default_factory=dict)
    _callbacks: list[Callable[[ChangeBatch], None]] = field(default_factory=list)
    _adding: asyncio.Lock = field(default_factory=asyncio.Lock)
    _overlays: Overlays = field(init=False)
    soundness: Soundness = field(init=False)
    _seen: dict[str, SeenIndex] = field(default_factory=dict)
    """Session → its view, which remembers what it has decoded."""

    def __post_init__(self) -> None:
        self.soundness = Soundness(self.config, self._supervisor)
        self._overlays = Overlays(self.config, self._supervisor, lambda path: self.root_of(path) is not None)

    def roots(self) -> Sequence[RootStatus]:
        """Every root, in the order added."""
        return tuple(root.status for root in self._roots.values())

    def root_of(self, path: Path) -> Path | None:
        """The innermost indexed root that contains this absolute path."""
        inside = [root for root in self._roots if path.is_relative_to(root)]
        return max(inside, key=lambda root: len(root.parts), default=None)

    async def add_root(self, root: Path, on_progress: Callable[[int, int], None] | None = None) -> None:
        """Start to index and watch a folder; `on_progress` gets (files read, files to read) of complete passes."""
        root = _key(root)
        if not root.is_absolute():
            raise RootError(root, "its absolute path is needed")
        async with self._adding:
            if root in self._roots:
                return
            store = store_path(self.folder, root)
            lock = await asyncio.to_thread(check_and_lock, root, store)
            added = IndexedRoot(
                *(root, store, self.config, lock, Reader(store, self._executor)),
                *(self._supervisor, self._watch, self._publish, self._went_quiet, on_progress),
            )
            self._roots[root] = added
            try:
                await added.start()
            except BaseException:
                del self._roots[root]
                lock.release()
                raise
            self._overlays.begin_waiting()

    async def remove_root(self, root: Path) -> None:
        """Stop to watch a folder; its stored index stays on disk."""
        removed = self._roots.pop(_key(root), None)
        if removed is not None:
            await removed.stop()

    async def wait_ready(self, root: Path) -> IndexReport:
        """Wait until the root's first complete pass has been committed."""
        found = self._roots.get(_key(root))
        if found is None:
            raise RootError(root, "it is not one of the indexed folders")
        return await found.wait_ready()

    def subscribe(self, callback: Callable[[ChangeBatch], None]) -> Callable[[], None]:
        """Call back on the event loop after each commit."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            with suppress(ValueError):
                self._callbacks.remove(callback)

        return unsubscribe

    async def files(self, root: Path) -> Sequence[IndexedFile]:
        """All indexed files, ordered by path."""
        return await self._read(root, search.files, [])

    async def skips(self, root: Path) -> Sequence[Skip]:
        """What is left out and why."""
        return await self._read(root, search.skips, [])

    async def outline(self, root: Path, path: PurePosixPath) -> Sequence[Symbol]:
        """The file's definitions in source order."""
        return await self._read(root, lambda db: search.outline(db, path), [])

    async def imports(self, root: Path, path: PurePosixPath) -> Sequence[Import]:
        """The file's imports in source order."""
        return await self._read(root, lambda db: search.imports(db, path), [])

    async def imports_after(
        self, root: Path, after: str = "", limit: int = 500
    ) -> Sequence[tuple[PurePosixPath, Sequence[Import]]]:
        """The imports of the next `limit` parsed files behind `after`."""
        return await self._read(root, lambda db: search.imports_after(db, after, limit), [])

    async def names_after(self, root: Path, after: str = "", limit: int = 500) -> Sequence[FileNames]:
        """What the next `limit` parsed files behind `after` define and use."""
        return await self._read(root, lambda db: names_after(db, after, limit), [])

    async def definitions(self, root: Path, name: str, limit: int = 50) -> Sequence[Symbol]:
        """Definitions of exactly this name, ordered by path."""
        return await self._read(root, lambda db: search.definitions(db, name, limit), [])

    async def symbols(self, root: Path, prefix: str, limit: int = 50) -> Sequence[Symbol]:
        """Definitions whose name starts with `prefix`, ordered by name, then path."""
        return await self._read(root, lambda db: search.symbols(db, prefix, limit), [])

    async def references(self, root: Path, name: str, limit: int = 200) -> Sequence[Reference]:
        """Uses of exactly this name, ordered by path and span."""
        return await self._read(root, lambda db: search.references(db, name, limit), [])

    async def names(self, root: Path, limit: int = 500_000) -> Sequence[str]:
        """Every name that is defined, each once, ordered by code points."""
        return await self._read(root, lambda db: search.names(db, limit), [])

    async def files_defining(self, root: Path, names: Sequence[str]) -> Sequence[tuple[str, PurePosixPath]]:
        """Which files define these names, as (name, path), in no order."""
        return await self._read(root, lambda db: search.files_defining(db, names), [])

    async def defined_within(
        self, root: Path, names: Sequence[str]
    ) -> Sequence[tuple[str, PurePosixPath, tuple[str, ...] | None]]:
        """Which files define these names, as (name, path, containers of the definitions), in no order."""
        return await self._read(root, lambda db: search.defined_within(db, names), [])

    async def definitions_in(self, root: Path, places: Sequence[tuple[str, PurePosixPath]]) -> Sequence[Symbol]:
        """The definitions of names in files, each place's in source order."""
        return await self._read(root, lambda db: search.definitions_in(db, places), [])

    async def uses(self, root: Path, path: PurePosixPath) -> Sequence[Reference]:
        """All uses of names in one file, in source order."""
        return await self._read(root, lambda db: search.uses(db, path), [])

    async def text(self, root: Path, path: PurePosixPath) -> bytes | None:
        """The indexed file's bytes as they are now."""
        if not await self._read(root, lambda db: search.is_indexed(db, path), False):
            return None
        return await asyncio.to_thread(read_inside, _key(root), path, self.config.max_file_bytes)

    async def read_texts(self, root: Path, paths: Sequence[PurePosixPath]) -> Mapping[PurePosixPath, bytes]:
        """`text` of several files at once."""
        known = await self.which_indexed(root, paths)
        limit, folder = self.config.max_file_bytes, _key(root)
        return await asyncio.to_thread(read_several, folder, known, limit) if known else {}

    async def which_indexed(self, root: Path, paths: Sequence[PurePosixPath]) -> Sequence[PurePosixPath]:
        """Those of these files that are indexed."""
        nothing: list[PurePosixPath] = []
        return await self._read(root, lambda db: search.which_indexed(db, paths), nothing) if paths else nothing

    async def left_out(self, paths: Collection[Path]) -> frozenset[Path]:
        """Those of which nothing is to be quoted, even while they are open."""
        found = {path for path in paths if holds_secrets(path.name, self.config.secret_files)}
        of_root: defaultdict[Path, list[PurePosixPath]] = defaultdict(list)
        for path in paths:
            if (root := self.root_of(path)) is not None:
                of_root[root].append(PurePosixPath(path.relative_to(root)))
        for root, inside in of_root.items():
            known = frozenset(await self.which_indexed(root, inside))
            others = [root / path for path in inside if path not in known]
            found.update(await asyncio.to_thread(lambda: [path for path in others if os.path.lexists(path)]))  # noqa: B023
        return frozenset(found)

    async def chunks(self, root: Path, path: PurePosixPath) -> Sequence[Chunk]:
        """The file's chunks in order."""
        return await self._read(root, lambda db: search.chunks(db, path), [])

    async def search(
        self, root: Path, words: Mapping[str, float], limit: int = 50, *, leave_out: PurePosixPath | None = None
    ) -> Sequence[FoundChunk]:
        """The chunks that fit these words best."""
        return await self.search_with(root, words, limit, leave_out, {})

    async def search_with(
        self,
        root: Path,
        words: Mapping[str, float],
        limit: int,
        leave_out: PurePosixPath | None,
        documents: Mapping[PurePosixPath, bytes],
    ) -> Sequence[FoundChunk]:
        """The same, with the chunks of documents in place of their files'."""
        found = self._roots.get(_key(root))
        if found is None:
            return []
        return await self._read(root, lambda db: found.chunks.search(db, words, limit, leave_out, documents), [])

    def overlay(self, session: str, path: Path, text: str | None) -> None:
        """Note what an open document says."""
        self._overlays.tell(session, path, text)

    def forget_session(self, session: str) -> None:
        """Drop all of a session's overlays."""
        self._overlays.forget(session)
        self._seen.pop(session, None)

    def seen_by(self, session: str) -> Index:
        """The index as one session sees it."""
        if not self._overlays.has(session):
            self._seen.pop(session, None)
            return self
        if session not in self._seen:
            self._seen[session] = SeenIndex(self, self._overlays, session)
        return self._seen[session]

    async def wait_seen(self, session: str) -> None:
        """Wait until a session's documents have been read."""
        await self._overlays.wait_read(session)

    @property
    def worker_pid(self) -> int | None:
        """The worker's process id; None while none runs."""
        return self._supervisor.pid

    async def close(self) -> None:
        """Stop to follow all roots."""
        for root in tuple(self._roots):
            await self.remove_root(root)
        await self._watch.close()

    def fail_all(self, problem: str) -> None:
        """The worker's supervision itself broke: say so in every root's status."""
        for root in self._roots.values():
            root.fail(problem)

    def told_watch_limit(self) -> None:
        """The kernel grants no more watches."""
        for root in self._roots.values():
            root.unwatched("inotify watches are used up (see fs.inotify.max_user_watches)")

    async def _read(self, root: Path, query: Callable[[sqlite3.Connection], T], empty: T) -> T:
        """The query's answer; `empty` for an unknown root, and for an unreadable store, which is then repaired."""
        found = self._roots.get(_key(root))
        if found is None:
            return empty
        await found.opened.wait()
        age = found.reader.age
        try:
            return await found.reader.run(query)
        except (sqlite3.Error, DamagedChunks) as error:
            _log.warning("the index of %s cannot be read (%s); comparing it with the files", root, error)
            if age == found.reader.age:  # else it has been replaced meanwhile
                found.reader.reopen()
                if isinstance(error, sqlite3.DatabaseError) and is_damage(error):
                    found.damaged(str(error))
                else:
                    found.overflowed()
            return empty

    def _went_quiet(self) -> None:
        if not any(root.busy for root in self._roots.values()):
            self._watch.drop_orphans()

    def _publish(self, batch: ChangeBatch) -> None:
        for callback in tuple(self._callbacks):
            callback(batch)


@asynccontextmanager
async def open_index(folder: Path, config: IndexConfig, watch: Watch | None = None) -> AsyncIterator[SqliteIndex]:
    """The index whose stores lie in `folder`, while the block runs. Starts no process until there is a root.

    `watch` says how changes are noticed; None: the best way of this system.
    """
    await asyncio.to_thread(folder.mkdir, mode=0o700, parents=True, exist_ok=True)
    watch = open_watch() if watch is None else watch
    executor = ThreadPoolExecutor(_READERS, thread_name_prefix="index-read")
    supervisor = Supervisor(config, watch.descriptor)
    index = SqliteIndex(folder, config, supervisor, watch, executor)
    supervisor.on_watch_limit = index.told_watch_limit
    # Not a TaskGroup: that would turn every error of the block into a group.
    task = asyncio.create_task(supervisor.run(), name="index worker")
    task.add_done_callback(lambda done: _hear_failure(done, index))
    try:
        yield index
    finally:
        try:
            await index.close()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await asyncio.to_thread(executor.shutdown)


async def index_once(
    folder: Path,
    root: Path,
    config: IndexConfig,
    on_progress: Callable[[int, int], None] | None = None,
) -> IndexReport:
    """Bring the store of `root`, in `folder`, in step with its files.

    `on_progress` gets (files read, files to read) on the event loop; the second is 0 until the walk has ended.
    Raises RootError, also when another process is indexing the root.
    """
    async with open_index(folder, config, NoWatch()) as index:
        await index.add_root(root, on_progress)
        report = await index.wait_ready(root)
        return replace(report, skips=tuple(await index.skips(root)))


def _hear_failure(task: asyncio.Task[None], index: SqliteIndex) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("the supervision of the index worker failed", exc_info=error)
        index.fail_all(f"internal error: {error!r}")


def _key(root: Path) -> Path:
    """A root's path as the index knows it: without ".." and without asking the disk."""
    return Path(os.path.normpath(root))
