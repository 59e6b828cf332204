"""The daemon's side of the worker process: start it on demand, give it jobs, survive its death.

A file that the worker did not survive is named by the slot file; the next worker is told, records it as skipped, and
goes on with the pass from there.
After IDLE_S without a job the worker is ended, so that an idle daemon is one process without timers.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_hex
from typing import Any

import msgspec

from ghostd import child_process
from ghostd.config.projects import IndexConfig
from ghostd.index.deaths import parser_death, signal_name
from ghostd.index.slot import Slot

_log = logging.getLogger(__name__)

IDLE_S = 30.0
"""Long enough that a person who saves now and then finds the worker warm."""
_GOODBYE_S = 2.0
_MAX_STRIKES = 3
"""Deaths in a row that no file explains, after which the jobs are given up."""
_FINAL = frozenset(("done", "error", "lost"))
_ENVIRONMENT = ("PATH", "HOME")
_PARSER_SIGNALS = frozenset(
    (signal.SIGPROF, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)
)

Message = dict[str, Any]


@dataclass(slots=True)
class _Job:
    order: dict[str, Any]
    on_message: Callable[[Message], None]
    text: bytes
    """What is sent behind the order."""


@dataclass(slots=True)
class Supervisor:
    """Runs the worker while there are jobs. `run()` is a task of the index."""

    config: IndexConfig
    inotify_fd: int
    on_watch_limit: Callable[[], None] = lambda: None
    _jobs: dict[int, _Job] = field(default_factory=dict)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.subprocess.Process | None = None
    _idle: asyncio.Timeout | None = None
    _last: int = 0
    _strikes: int = 0
    _failed: dict[str, dict[str, str]] = field(default_factory=dict)
    """Root → path → why the worker died of it."""
    _suspects: set[tuple[str, str]] = field(default_factory=set)
    """Files that were being parsed when the worker was killed from outside."""

    @property
    def pid(self) -> int | None:
        """The worker's process id; None while there is none."""
        return self._process.pid if self._process else None

    def submit(self, order: dict[str, Any], on_message: Callable[[Message], None], text: bytes = b"") -> int:
        """Queue a job. Its last message holds "done", "error" or "lost"."""
        self._last += 1
        self._jobs[self._last] = _Job(order, on_message, text)
        if self._process is not None:
            self._send(self._last)
        if self._idle is not None and self._idle.when() is not None and not self._idle.expired():
            self._idle.reschedule(None)
        self._wanted.set()
        return self._last

    def cancel(self, job: int) -> None:
        """Forget a job; the worker stops it after its current step."""
        if self._jobs.pop(job, None) is not None:
            self._write({"op": "cancel", "job": job})

    async def close_root(self, root: str) -> None:
        """Have the worker close the root's store, if there is a worker."""
        if self._process is None:
            return
        closed = asyncio.Event()
        job = self.submit({"op": "close", "root": root}, lambda _: closed.set())
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await closed.wait()
        except TimeoutError:
            self.cancel(job)

    async def run(self) -> None:
        """Serve until cancelled."""
        with tempfile.TemporaryFile(prefix="ghostd-index-") as slot_file:
            slot = Slot(slot_file.fileno())
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                while self._jobs:
                    await self._serve(slot)

    async def _serve(self, slot: Slot) -> None:
        """One worker's life."""
        try:
            process = await self._spawn(slot)
        except OSError as error:
            self._give_up(f"the index worker cannot be started: {error}")
            return
        self._process = process
        try:
            for job in tuple(self._jobs):
                self._send(job)
            if await self._listen(process):
                return
        finally:
            self._process = None
            await child_process.end(process)
        self._explain(process.returncode or 0, slot)

    async def _listen(self, process: asyncio.subprocess.Process) -> bool:
        """Dispatch messages; True when the worker was idle for long, False when it ended by itself."""
        assert process.stdout is not None
        while True:
            try:
                async with asyncio.timeout(None if self._jobs else IDLE_S) as self._idle:
                    line = await process.stdout.readline()
            except TimeoutError:
                return True
            finally:
                self._idle = None
            if not line.endswith(b"\n"):
                return not self._jobs
            self._dispatch(json.loads(line))

    def _dispatch(self, message: Message) -> None:
        if message.get("watch_limit"):
            self.on_watch_limit()
            return
        number = message["job"]
        job = self._jobs.get(number)
        if job is None:
            return
        if not _FINAL.isdisjoint(message):
            del self._jobs[number]
            self._strikes = 0
            root = job.order["root"]
            if not any(other.order["root"] == root for other in self._jobs.values()):
                self._failed.pop(root, None)
        job.on_message(message)

    def _explain(self, code: int, slot: Slot) -> None:
        """After a death: find the file to blame, or give up after some deaths without one."""
        at = slot.read()
        slot.clear()
        name = signal_name(code)
        if at is None:
            self._strikes += 1
            _log.warning("the index worker ended (%s); starting another", name)
            if self._strikes >= _MAX_STRIKES:
                self._give_up(f"the index worker keeps ending ({name})")
            return
        root, path = at
        if -code not in _PARSER_SIGNALS and at not in self._suspects:
            self._suspects.add(at)
            _log.warning("the index worker was ended (%s) while it parsed %s/%s; trying again", name, root, path)
            return
        self._suspects.discard(at)
        reason = parser_death(code, self.config.parse_timeout_ms, self.config.parse_memory_mb)
        _log.warning("%s/%s is left out: %s", root, path, reason)
        self._failed.setdefault(root, {})[path] = reason

    def _give_up(self, problem: str) -> None:
        self._strikes = 0
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            job.on_message({"error": problem})

    def _send(self, number: int) -> None:
        job = self._jobs[number]
        failed = self._failed.get(job.order["root"], {})
        self._write({**job.order, "job": number, "failed": failed}, job.text)

    def _write(self, order: dict[str, Any], text: bytes = b"") -> None:
        line = json.dumps({**order, "text_bytes": len(text)}, separators=(",", ":")).encode() + b"\n"
        child_process.send(self._process, line, text)

    async def _spawn(self, slot: Slot) -> asyncio.subprocess.Process:
        descriptors = [slot.descriptor] if self.inotify_fd < 0 else [slot.descriptor, self.inotify_fd]
        arguments = (self.inotify_fd, slot.descriptor, self.config.parse_memory_mb)
        return await child_process.start(
            "ghostd.index.parse_worker", *map(str, arguments), environment=_ENVIRONMENT, pass_fds=descriptors
        )


def pass_order(root: Path, store: Path, config: IndexConfig, damage: str = "") -> dict[str, Any]:
    """The order for a complete pass; over an empty store, if `damage` says what is wrong with the one there is."""
    # By the token a worker knows the pass that the one before it has begun.
    return {"op": "pass", "token": token_hex(8), "damage": damage, **_base_order(root, store, config)}


def update_order(root: Path, store: Path, config: IndexConfig, paths: list[str]) -> dict[str, Any]:
    """The order for an update of `paths`."""
    return {"op": "update", "paths": paths, **_base_order(root, store, config)}


def overlay_order(session: str, path: Path, config: IndexConfig) -> dict[str, Any]:
    """The order to parse what an open document says; the text goes beside it."""
    # Not a root's name: what happens to the text is not laid to the file.
    return {"op": "overlay", "root": f"open in {session}: ", "path": str(path), "limits": _limits(config)}


def sound_order(language: str, texts: Sequence[str], config: IndexConfig) -> dict[str, Any]:
    """The order to say which of these texts is the first without a syntax error."""
    # Nor a root's name here.
    return {"op": "sound", "root": "completions: ", "path": language, "texts": list(texts), "limits": _limits(config)}


def _limits(config: IndexConfig) -> dict[str, Any]:
    settings = msgspec.to_builtins(config)
    return {
        name: settings[name]
        for name in (
            *("exclude", "max_file_bytes", "max_line_bytes", "max_depth", "max_files"),
            *("parse_timeout_ms", "parse_memory_mb", "secret_files"),
        )
    }


def _base_order(root: Path, store: Path, config: IndexConfig) -> dict[str, Any]:
    limits = _limits(config)
    own = own_folder(root, store)
    if own is not None:
        # Else each commit would change the root.
        escaped = re.sub(r"([][*?!# \\])", r"\\\1", own)
        limits["exclude"] = [*limits["exclude"], f"/{escaped}/"]
    return {
        **{"root": str(root), "store": str(store), "limits": limits},
        **{"keep_bytes": config.keep_bytes, "max_postings": config.max_postings},
    }


def own_folder(root: Path, store: Path) -> str | None:
    """The folder of the stores, relative to a root that contains it; None when it lies elsewhere."""
    return store.parent.relative_to(root).as_posix() if store.is_relative_to(root) else None
