"""The jobs of the worker process: a complete pass over a root, and the update of some paths.

Each is a generator that yields after every bounded piece of work: a message for the daemon, or None. Between two
pieces the worker looks for newer orders, so that a saved file does not wait for a running pass.
"""

# ruff: noqa: PTH112

from __future__ import annotations

import os
import stat
import time
from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from ghostd.index.examine import Gone, examine, failed
from ghostd.index.ignore import GENERATED_MARKS, IGNORE_FILES, Rules
from ghostd.index.root_context import Message, RootContext, is_under
from ghostd.index.scan import Found, Walk, is_utf8, shown
from ghostd.index.store import Commit, Known, Record, Touched
from ghostd.index.unfinished import Plan

_BATCH_FILES = 512
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_S = 0.5
_WALK_STEP = 1000
_SKIPS_REPORTED = 20_000


@dataclass(slots=True)
class _Batch:
    """Rows that wait for their transaction."""

    records: list[Record] = field(default_factory=list)
    touched: list[Touched] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    skips: dict[str, str | None] = field(default_factory=dict)
    most: int = _BATCH_FILES
    """Files, however small."""
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
        return count >= self.most or self.size >= _BATCH_BYTES or time.monotonic() - self.began > _BATCH_S


def complete_pass(context: RootContext, token: str = "") -> Iterator[Message | None]:
    """Bring the store in step with the whole root; the last message holds the report.

    A pass whose token is that of one which did not come to its end goes on from there.
    """
    began = time.monotonic()
    context.chunks.check()
    plan = context.plan_file.read(token, context.store.generation) if token else None
    known = context.store.known()
    todo, parsed, died = [], 0, plan is not None
    if plan is None:
        plan = yield from _walked(context, known)
        if plan is None:
            return
        plan.began = began
        todo = plan.todo
        context.plan_file.write(token, context.store.generation, plan)
    else:
        context.plan_file.note(context.updated, context.updated_folders)
        plan.updated |= context.updated
        plan.folders |= context.updated_folders
        for found in plan.todo:
            if _needs_reading(found, known.get(found.path)):
                todo.append(found)
            else:
                parsed += known[found.path].problem is None
        yield {"progress": [len(plan.todo) - len(todo), len(plan.todo)], "walked": True}
    context.updated, context.updated_folders = plan.updated, plan.folders
    for message in _read_all(context, todo, known, len(plan.todo) - len(todo), died=died):
        parsed += len(message.get("commit", {}).get("changed", ())) if message else 0
        yield message
    gone = [path for path in plan.gone if not context.was_updated(path)]
    if gone:
        yield _commit_message(context, context.store.commit(removed=gone))
    skips = {path: reason for path, reason in plan.skips.items() if not context.was_updated(path)}
    newer = {path: reason for path, reason in context.store.folder_skips().items() if context.was_updated(path)}
    context.store.replace_skips(skips | newer)
    context.plan_file.forget()
    yield from context.chunks.settle(everything=True)
    yield {"done": _report(context, parsed, time.monotonic() - plan.began)}


def _walked(context: RootContext, known: dict[str, Known]) -> Generator[Message, None, Plan | None]:
    """The plan of a pass, after a walk; None when there is no root any more, which the last message says."""
    context.plan_file.forget()
    context.updated.clear()
    context.updated_folders.clear()
    walk = Walk(context.root, context.limits, context.enter)
    todo: list[Found] = []
    seen: set[str] = set()
    for count, found in enumerate(walk.run(), 1):
        seen.add(found.path)
        if _needs_reading(found, known.get(found.path)):
            todo.append(found)
        if count % _WALK_STEP == 0:
            yield {**context.take_watched(), "progress": [0, count]}
    yield {**context.take_watched(), "progress": [0, len(todo)], "walked": True}
    if not os.path.isdir(context.root) or "." in walk.skips:
        yield {"lost": walk.skips.get(".", "the folder is gone")}
        return None
    gone = [path for path in known if path not in seen]
    return Plan(todo, gone, walk.skips, context.updated, context.updated_folders)


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
        if is_under(parent, folders):
            continue
        yield from siblings.update(parent, inside)
    yield {**siblings.flush(), "ignored": siblings.ignored}
    for folder in sorted(folders):
        if not folder or not is_under(folder.rpartition("/")[0], folders - {folder}):
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
        self.context.plan_file.note(updated=map(shown, paths))
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
            if self.context.store.known_file(path) is not None:
                self.batch.removed.append(path)  # the folder took the file's place
            self.batch.skips[path] = None
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
    context.plan_file.note(folders=[folder])
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
    return known is None or not known.settled or known.size != found.size or known.changed_ns != found.changed_ns


def _read_all(
    context: RootContext, todo: list[Found], known: dict[str, Known], before: int = 0, *, died: bool = False
) -> Iterator[Message | None]:
    """Read the files, after `before` others that a worker which died has read.

    What that had not committed is read again. So that this is little where the parser dies of one file after the other,
    transactions begin small.
    """
    batch = _Batch(most=1 if died else _BATCH_FILES)
    total = before + len(todo)
    for number, found in enumerate(todo, 1):
        _read_into(batch, context, found.path, known.get(found.path))
        if batch.full:
            yield {**_commit_batch(context, batch), "progress": [before + number, total]}
            batch = _Batch(most=min(2 * batch.most, _BATCH_FILES))
            yield from context.chunks.gathered()
    yield {**_commit_batch(context, batch), "progress": [total, total]}


def _read_into(batch: _Batch, context: RootContext, path: str, known: Known | None) -> None:
    try:
        reason = context.failed.pop(path, None)
        if reason is not None:
            batch.add(failed(context.files, path, reason, context.limits))
        else:
            batch.add(examine(context.files, path, context.limits, known, context.store.promise, context.guard))
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
