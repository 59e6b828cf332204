"""The jobs of the worker process: a complete pass over a root, and the update of some paths.

Each is a generator that yields after every bounded piece of work: a message for the daemon, or None. Between two
pieces the worker looks for newer orders, so that a saved file does not wait for a running pass.
"""

# ruff: noqa: PTH112

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from ghostd.index.chunk_build import ChunkBuilder
from ghostd.index.examine import Gone, Guard, examine, failed
from ghostd.index.ignore import GENERATED_MARKS, IGNORE_FILES, Rules
from ghostd.index.scan import Found, Limits, Walk, is_utf8, shown
from ghostd.index.store import Commit, Known, Record, Store, Touched

Message = dict[str, Any]

_BATCH_FILES = 512
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_S = 0.5
_WALK_STEP = 1000
_SKIPS_REPORTED = 20_000


@dataclass(slots=True)
class RootContext:
    """One root in the worker."""

    root: str
    store: Store
    limits: Limits
    watch: Callable[[str, str], int | None]
    """(absolute folder, relative folder) → watch descriptor; None where nothing watches."""
    guard: Guard
    chunks: ChunkBuilder
    failed: dict[str, str] = field(default_factory=dict)
    """Path → why the worker before this one died of it."""
    watched: list[tuple[int, str]] = field(default_factory=list)
    """Watches set since the daemon was last told."""
    updated: set[str] = field(default_factory=set)
    """Paths updated since the running complete pass began."""
    updated_folders: set[str] = field(default_factory=set)
    """Folders walked anew since then."""

    def was_updated(self, path: str) -> bool:
        """Whether something newer is known of a path than what the running complete pass saw."""
        return _under(path, self.updated) or _under(path.rpartition("/")[0], self.updated_folders)

    def enter(self, folder: str) -> None:
        """Watch a folder before it is listed."""
        descriptor = self.watch(f"{self.root}/{folder}" if folder else self.root, folder)
        if descriptor is not None:
            self.watched.append((descriptor, folder))

    def take_watched(self) -> Message:
        """The message that tells of new watches, {} when there are none."""
        if not self.watched:
            return {}
        taken, self.watched = self.watched, []
        return {"watched": taken}


@dataclass(slots=True)
class _Batch:
    """Rows that wait for their transaction."""

    records: list[Record] = field(default_factory=list)
    touched: list[Touched] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    skips: dict[str, str | None] = field(default_factory=dict)
    size: int = 0
    began: float = field(default_factory=time.monotonic)

    def add(self, item: Record | Touched) -> None:
        if isinstance(item, Touched):
            self.touched.append(item)
        else:
            self.records.append(item)
            self.size += item.content.size if item.content is not None else 0

    @property
    def full(self) -> bool:
        count = len(self.records) + len(self.touched) + len(self.removed)
        return count >= _BATCH_FILES or self.size >= _BATCH_BYTES or time.monotonic() - self.began > _BATCH_S


def complete_pass(context: RootContext) -> Iterator[Message | None]:
    """Bring the store in step with the whole root; the last message holds the report."""
    began = time.perf_counter()
    context.updated.clear()
    context.updated_folders.clear()
    context.chunks.check()
    walk = Walk(context.root, context.limits, context.enter)
    todo: list[Found] = []
    seen: set[str] = set()
    known = context.store.known()
    for count, found in enumerate(walk.run(), 1):
        seen.add(found.path)
        if _needs_reading(found, known.get(found.path)):
            todo.append(found)
        if count % _WALK_STEP == 0:
            yield {**context.take_watched(), "progress": [0, count]}
    yield {**context.take_watched(), "progress": [0, len(todo)], "walked": True}
    if not os.path.isdir(context.root) or "." in walk.skips:
        yield {"lost": walk.skips.get(".", "the folder is gone")}
        return
    parsed = 0
    for message in _read_all(context, todo, known):
        parsed += len(message.get("commit", {}).get("changed", ())) if message else 0
        yield message
    gone = [path for path in known if path not in seen and path not in context.updated]
    if gone:
        yield _commit_message(context, context.store.commit(removed=gone))
    skips = {path: reason for path, reason in walk.skips.items() if not context.was_updated(path)}
    newer = {path: reason for path, reason in context.store.folder_skips().items() if context.was_updated(path)}
    context.store.replace_skips(skips | newer)
    yield from context.chunks.settle(everything=True)
    yield {"done": _report(context, parsed, time.perf_counter() - began)}


def update(context: RootContext, paths: list[str]) -> Iterator[Message | None]:
    """Bring the store in step with some paths: files, or folders with all they hold."""
    folders: set[str] = set()
    by_parent: dict[str, list[str]] = {}
    for path in sorted(set(paths)):
        parent, _, name = path.rpartition("/")
        if name in IGNORE_FILES or name in GENERATED_MARKS:
            folders.add(parent)
        by_parent.setdefault(parent, []).append(path)
    siblings = _Siblings(context, folders, context.store.totals().files)
    for parent, inside in by_parent.items():
        if _under(parent, folders):
            continue
        yield from siblings.update(parent, inside)
    yield {**siblings.flush(), "ignored": siblings.ignored}
    for folder in sorted(folders):
        if not folder or not _under(folder.rpartition("/")[0], folders - {folder}):
            yield from _folder_pass(context, folder)
    yield {"done": None}
    yield from context.chunks.settle(everything=False)


@dataclass(slots=True)
class _Siblings:
    """The update of changed entries, folder by folder."""

    context: RootContext
    folders: set[str]
    """Receives the changed folders, which are walked afterwards."""
    files: int
    """Files in the store."""
    ignored: list[str] = field(default_factory=list)
    batch: _Batch = field(default_factory=_Batch)

    def update(self, parent: str, paths: list[str]) -> Iterator[Message]:
        """Look at changed entries of one folder."""
        walk = Walk(self.context.root, self.context.limits)
        listed = walk.rules_inside(parent)
        for path in paths:
            self.context.updated.add(shown(path))
            self._entry(walk, listed, path)
            if self.batch.full:
                yield self.flush()
        self.batch.skips.update(walk.skips)

    def flush(self) -> Message:
        """Commit what has been gathered."""
        batch, self.batch = self.batch, _Batch()
        return _commit_batch(self.context, batch)

    def _entry(self, walk: Walk, listed: tuple[Rules, set[str]] | None, path: str) -> None:
        name = path.rpartition("/")[2]
        if not is_utf8(path):
            exists = listed is not None and name in listed[1]
            self.batch.skips[shown(path)] = "the name is not UTF-8" if exists else None
            return
        status: os.stat_result | None = None
        # Asking the listing, not only the file: a case-insensitive file system finds the old name, too.
        if listed is not None and name in listed[1]:
            with suppress(OSError):
                status = os.lstat(f"{self.context.root}/{path}")
        if status is None or listed is None:
            self._remove(path)
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        if listed[0].ignores(path + "/" if is_folder else path, name, listed[1]):
            self.ignored.append(path + "/" if is_folder else path)
            self._remove(path)
        elif is_folder:
            self.folders.add(path)
        else:
            self._file(walk, path, status)

    def _file(self, walk: Walk, path: str, status: os.stat_result) -> None:
        known = self.context.store.known_file(path)
        if walk.file(path, status) is None:
            self._remove(path)
            self.batch.skips[path] = walk.skips[path]
        elif known is None and self.files >= self.context.limits.max_files:
            self.batch.skips[path] = f"the limit index.max_files ({self.context.limits.max_files}) is reached"
        else:
            self.files += known is None
            self.batch.skips[path] = None
            _read_into(self.batch, self.context, path, known)

    def _remove(self, path: str) -> None:
        self.batch.removed.append(path)
        self.batch.removed.extend(self.context.store.known(path))
        self.batch.skips[path] = None


def _folder_pass(context: RootContext, folder: str) -> Iterator[Message | None]:
    context.updated_folders.add(folder)
    walk = Walk(context.root, context.limits, context.enter)
    known = context.store.known(folder)
    others = context.store.totals().files - len(known)
    seen: set[str] = set()
    todo: list[Found] = []
    for count, found in enumerate(walk.run(folder, others), 1):
        seen.add(found.path)
        context.updated.add(found.path)
        if _needs_reading(found, known.get(found.path)):
            todo.append(found)
        if count % _WALK_STEP == 0:
            yield context.take_watched() or None
    yield context.take_watched() or None
    yield from _read_all(context, todo, known)
    gone = [path for path in known if path not in seen]
    if gone:
        yield _commit_message(context, context.store.commit(removed=gone))
    context.store.replace_skips(walk.skips, folder)


def _needs_reading(found: Found, known: Known | None) -> bool:
    return known is None or not known.settled or known.size != found.size or known.mtime_ns != found.mtime_ns


def _read_all(context: RootContext, todo: list[Found], known: dict[str, Known]) -> Iterator[Message | None]:
    batch = _Batch()
    for number, found in enumerate(todo, 1):
        _read_into(batch, context, found.path, known.get(found.path))
        if batch.full:
            yield {**_commit_batch(context, batch), "progress": [number, len(todo)]}
            batch = _Batch()
            yield from context.chunks.gathered()
    yield {**_commit_batch(context, batch), "progress": [len(todo), len(todo)]}


def _read_into(batch: _Batch, context: RootContext, path: str, known: Known | None) -> None:
    try:
        reason = context.failed.pop(path, None)
        if reason is not None:
            batch.add(failed(context.root, path, reason, context.limits))
        else:
            batch.add(examine(context.root, path, context.limits, known, context.store.promise, context.guard))
    except Gone:
        batch.removed.append(path)


def _commit_batch(context: RootContext, batch: _Batch) -> Message:
    if not (batch.records or batch.touched or batch.removed or batch.skips):
        return {}
    commit = context.store.commit(batch.records, batch.touched, batch.removed, batch.skips)
    return _commit_message(context, commit)


def _commit_message(context: RootContext, commit: Commit) -> Message:
    if not (commit.changed or commit.removed):
        return {}
    return {
        "commit": {"generation": commit.generation, "changed": commit.changed, "removed": commit.removed},
        "totals": _totals(context),
    }


def _totals(context: RootContext) -> list[int]:
    totals = context.store.totals()
    return [totals.files, totals.symbols, totals.uses, totals.imports, totals.size_bytes, totals.skipped]


def _report(context: RootContext, parsed: int, seconds: float) -> Message:
    skips = list(context.store.skips().items())
    return {
        "parsed": parsed,
        "seconds": seconds,
        "generation": context.store.generation,
        "totals": _totals(context),
        "skips": sorted(skips)[:_SKIPS_REPORTED],
        "chunks_left_out": context.chunks.left_out(),
    }


def _under(folder: str, folders: set[str]) -> bool:
    """Whether `folder` is one of `folders` or inside one."""
    while True:
        if folder in folders:
            return True
        if not folder:
            return False
        folder = folder.rpartition("/")[0]
