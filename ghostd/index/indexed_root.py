"""One root in the daemon: its state, its waiting changes, and the jobs that bring its store in step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ghostd.config.projects import IndexConfig
from ghostd.errors import RootError
from ghostd.index.chunk_reader import ChunkReader
from ghostd.index.ignore import GENERATED_MARKS, IGNORE_FILES
from ghostd.index.lock import RootLock
from ghostd.index.search import Reader
from ghostd.index.supervisor import Message, Supervisor, own_folder, pass_order, update_order
from ghostd.index.watch import Watch
from ghostd.indexed import ChangeBatch, IndexReport, RootStatus, Skip

_log = logging.getLogger(__name__)

_DEBOUNCE_S = 0.02
"""Editors write a file in several steps; this joins them and is not felt."""
_MAX_PENDING = 4_000
"""More waiting changes than that become one comparison of the whole root."""
_MAX_IGNORED = 4_000
_RETRY_S = 60.0
"""Until what failed is tried again, even if nothing changes: the disk may have room by then."""


@dataclass(slots=True)
class IndexedRoot:
    """Follows one root. All methods run on the event loop."""

    root: Path
    store: Path
    config: IndexConfig
    lock: RootLock
    reader: Reader
    supervisor: Supervisor
    watch: Watch
    publish: Callable[[ChangeBatch], None]
    on_quiet: Callable[[], None]
    """Called when the root has no job left."""
    on_progress: Callable[[int, int], None] | None = None
    """Gets (files read, files to read) of complete passes."""
    state: Literal["scanning", "indexing", "ready", "failed"] = "scanning"
    detail: str = ""
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the store can be read, or cannot be made."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while `report` or a failure answers `wait_ready`."""
    report: IndexReport | None = None
    chunks: ChunkReader = field(init=False)
    _totals: list[int] = field(default_factory=lambda: [0] * 6)
    _generation: int = 0
    _left: int = 0
    """Files that the running pass has still to read."""
    _pending: set[str] = field(default_factory=set)
    _ignored: set[str] = field(default_factory=set)
    """Entries that the worker found to be ignored, folders with a slash: their changes wake nobody."""
    _rescan: bool = False
    _damage: str = ""
    """What the readers found to be wrong with the store: the next pass builds it anew."""
    _own: str | None = None
    """The folder of the stores, relative to the root; None when it lies elsewhere."""
    _updating: int = 0
    """Changed paths that the worker is looking at."""
    _watch_problem: str = ""
    _rebuilt: str = ""
    """Why the store before this one was set aside."""
    _jobs: dict[str, int] = field(default_factory=dict)
    """"pass" and "update" → number of the running job."""
    _flush: asyncio.TimerHandle | None = None
    _reconcile: asyncio.TimerHandle | None = None

    def __post_init__(self) -> None:
        self._own = own_folder(self.root, self.store)
        self.chunks = ChunkReader(self.store)

    @property
    def busy(self) -> bool:
        """Whether the worker has a job of this root."""
        return bool(self._jobs)

    @property
    def status(self) -> RootStatus:
        """The state now."""
        files, symbols, skipped = self._totals[0], self._totals[1], self._totals[5]
        pending = self._left + len(self._pending) + self._updating
        detail = "; ".join(filter(None, (self.detail or self._watch_problem, self._rebuilt)))
        return RootStatus(self.root, self.state, files, symbols, self._generation, pending, skipped, detail)

    async def start(self) -> None:
        """Watch, then begin the first pass."""
        await self.watch.start(self.root, self)
        self._begin_pass()

    async def stop(self) -> None:
        """Follow the root no longer; the store stays."""
        for timer in (self._flush, self._reconcile):
            if timer is not None:
                timer.cancel()
        await self.watch.stop(self.root)
        for job in self._jobs.values():
            self.supervisor.cancel(job)
        self._jobs.clear()
        await self.supervisor.close_root(str(self.root))
        self.reader.reopen()
        self.chunks.reset()
        if self.report is None:
            self.fail("it was removed while it was indexed")
        self.lock.release()

    async def wait_ready(self) -> IndexReport:
        """What the last complete pass did, and how much there is now; raises RootError when the first one failed."""
        await self.settled.wait()
        if self.report is None:
            raise RootError(self.root, self.detail)
        files, symbols, references, imports, size_bytes, _ = self._totals
        counted = replace(self.report, files=files, symbols=symbols, references=references)
        return replace(counted, imports=imports, size_bytes=size_bytes)

    def changed(self, path: str, is_folder: bool) -> None:
        """See Sink."""
        if self._own is not None and (path + "/").startswith(self._own + "/"):
            return
        name = path.rpartition("/")[2]
        if name in IGNORE_FILES or name in GENERATED_MARKS:
            self._ignored.clear()
        elif (path + "/" if is_folder else path) in self._ignored:
            return
        if not self._rescan:
            self._pending.add(path)
            if len(self._pending) > _MAX_PENDING:
                self.overflowed()
        self._schedule()

    def overflowed(self) -> None:
        """See Sink."""
        self._pending.clear()
        self._rescan = True
        self._schedule()

    def damaged(self, problem: str) -> None:
        """The store cannot be read as it was written: build it again from the files."""
        self._damage = problem
        self.overflowed()

    def lost(self) -> None:
        """See Sink."""
        self._pending.clear()
        self.fail("the folder is gone")
        self.watch.await_return(self.root)
        self.overflowed()  # it may be back by now

    def returned(self) -> None:
        """See Sink."""
        self.overflowed()

    def unwatched(self, problem: str) -> None:
        """See Sink."""
        self._watch_problem = f"{problem}: some changes are seen only every {self.config.reconcile_s:g} s"
        _log.warning("%s: %s", self.root, self._watch_problem)

    def _schedule(self) -> None:
        if self._flush is None:
            self._flush = asyncio.get_running_loop().call_later(_DEBOUNCE_S, self._flush_now)

    def _flush_now(self) -> None:
        self._flush = None
        if self._rescan and "pass" not in self._jobs:
            self._begin_pass()
        if self._pending and "update" not in self._jobs:
            paths, self._pending = sorted(self._pending), set()
            order = update_order(self.root, self.store, self.config, paths)
            self._updating = len(paths)
            self._jobs["update"] = self.supervisor.submit(order, lambda message: self._hear("update", message))

    def _begin_pass(self) -> None:
        if "pass" in self._jobs:
            self._rescan = True
            return
        self._rescan = False
        self._ignored.clear()
        if self._reconcile is not None:
            self._reconcile.cancel()
            self._reconcile = None
        if self.state == "failed" or self.report is None:
            self.state = "scanning"
        order = pass_order(self.root, self.store, self.config, self._damage)
        self._damage = ""
        self._jobs["pass"] = self.supervisor.submit(order, lambda message: self._hear("pass", message))

    def _hear(self, kind: str, message: Message) -> None:
        if "opened" in message:
            if message["opened"]:
                self._rebuilt = f"its index was set aside and is built anew: {message['opened']}"
                _log.warning("%s: %s", self.root, self._rebuilt)
                self.reader.reopen()
                self.chunks.reset()
            self.opened.set()
        if "watched" in message:
            self.watch.add(self.root, message["watched"])
        if "ignored" in message:
            self._remember_ignored(message["ignored"])
        if "progress" in message:
            done, total = message["progress"]
            self._progress(done, total, "walked" in message)
        if "commit" in message:
            self._committed(message)
        if "done" in message:
            self._finished(kind, message["done"])
        if "lost" in message or "error" in message:
            self._ended(kind)
            self.opened.set()
            self.fail(message.get("lost") or message["error"])
            self._pending.clear()
            self._rescan = True  # what failed is not known to the store: the next change compares all
            self._reconcile_in(min(_RETRY_S, self.config.reconcile_s))
            if "lost" in message:
                self.watch.await_return(self.root)

    def _progress(self, done: int, total: int, walked: bool) -> None:
        if walked and self.state == "scanning":
            self.state = "indexing"
        self._left = total - done if self.state != "scanning" else total
        if self.on_progress is not None:
            self.on_progress(done, total if self.state != "scanning" else 0)

    def _committed(self, message: Message) -> None:
        commit = message["commit"]
        self._totals = message["totals"]
        self._generation = commit["generation"]
        self.publish(
            ChangeBatch(
                self.root,
                self._generation,
                tuple(map(PurePosixPath, commit["changed"])),
                tuple(map(PurePosixPath, commit["removed"])),
            )
        )

    def _finished(self, kind: str, done: Message | None) -> None:
        self._ended(kind)
        if done is not None:
            self._left = 0
            self._totals = done["totals"]
            self._generation = done["generation"]
            self.report = _report(self.root, done)
            self.state = "ready"
            self.detail = self._left_out(done["chunks_left_out"])
            self.settled.set()
        if self._pending or self._rescan:
            self._schedule()
        elif not self._jobs:
            self.on_quiet()

    def _left_out(self, files: int) -> str:
        if not files:
            return ""
        return f"chunk search leaves out {files} files: index.max_postings ({self.config.max_postings}) is reached"

    def _ended(self, kind: str) -> None:
        self._jobs.pop(kind, None)
        if kind == "update":
            self._updating = 0
        if kind == "pass":
            self._reconcile_in(self.config.reconcile_s)

    def _reconcile_in(self, delay_s: float) -> None:
        if self._reconcile is not None:
            self._reconcile.cancel()
        self._reconcile = asyncio.get_running_loop().call_later(delay_s, self._begin_pass)

    def fail(self, problem: str) -> None:
        """Say that the root is not followed now, and why."""
        self.state = "failed"
        self.detail = problem
        self.settled.set()

    def _remember_ignored(self, paths: list[str]) -> None:
        if len(self._ignored) + len(paths) > _MAX_IGNORED:
            self._ignored.clear()
        self._ignored.update(paths[:_MAX_IGNORED])


def _report(root: Path, done: dict[str, Any]) -> IndexReport:
    files, symbols, uses, imports, size_bytes, _ = done["totals"]
    skips = tuple(Skip(PurePosixPath(path), reason) for path, reason in done["skips"])
    return IndexReport(root, files, done["parsed"], symbols, uses, imports, size_bytes, done["seconds"], skips)
