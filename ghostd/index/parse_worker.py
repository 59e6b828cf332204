"""The index's worker process: walks, reads, parses, and is the one writer of the stores.

Started by `ghostd.index.supervisor` as `python -P -m ghostd.index.parse_worker`. Orders come as JSON lines on
standard input, an open document's text as it is behind its line; answers leave as JSON lines on standard output. It
dies with the daemon. The kernel ends it when a file takes too much CPU time (SIGPROF) or memory; the daemon then reads
from the slot file which file that was.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import select
import signal
import sqlite3
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ghostd.index import inotify
from ghostd.index.apart import PR_SET_PDEATHSIG, run_apart
from ghostd.index.chunk_build import ChunkBuilder
from ghostd.index.deaths import parser_death
from ghostd.index.examine import Guard, examine_text
from ghostd.index.languages import GRAMMARS, language_of
from ghostd.index.passes import complete_pass, update
from ghostd.index.root_context import Message, RootContext
from ghostd.index.scan import Limits
from ghostd.index.slot import Slot
from ghostd.index.store import Store, is_damage
from ghostd.index.version import extractor_version

_READ_BYTES = 64 * 1024
_OOM_SCORE = 500


@dataclass(slots=True)
class _Job:
    number: int
    context: RootContext
    work: Iterator[Message | None]
    urgent: bool


@dataclass(slots=True)
class _Worker:
    inotify_fd: int
    slot: Slot
    output: int
    contexts: dict[str, RootContext] = field(default_factory=dict)
    jobs: list[_Job] = field(default_factory=list)
    pending: bytearray = field(default_factory=bytearray)
    watch_limit_told: bool = False

    def run(self) -> None:
        """Work until standard input ends."""
        while self._take_orders(wait=not self.jobs):
            if self.jobs:
                self._step(next((job for job in self.jobs if job.urgent), self.jobs[0]))
        for context in self.contexts.values():
            context.store.close()

    def _take_orders(self, wait: bool) -> bool:
        """Read what orders there are; False at the end of the input."""
        while select.select([0], [], [], None if wait else 0)[0]:
            data = os.read(0, _READ_BYTES)
            if not data:
                return False
            self.pending += data
            while (order := self._next_order()) is not None:
                self._order(order)
                wait = False
        return True

    def _next_order(self) -> dict[str, Any] | None:
        """The first whole order of what has come: a line of JSON and, where it says so, so many bytes of text."""
        end = self.pending.find(b"\n") + 1
        if not end:
            return None
        order: dict[str, Any] = json.loads(self.pending[:end])
        size = order.get("text_bytes", 0)
        if len(self.pending) < end + size:
            return None
        order["text"] = bytes(self.pending[end : end + size])
        del self.pending[: end + size]
        return order

    def _order(self, order: dict[str, Any]) -> None:
        kind = order["op"]
        if kind == "cancel":
            self.jobs = [job for job in self.jobs if job.number != order["job"]]
            return
        if kind == "close":
            context = self.contexts.pop(order["root"], None)
            if context is not None:
                context.store.close()
            self._send(order["job"], {"done": None})
            return
        if kind == "overlay":
            self._send(order["job"], self._overlay(order))
            return
        if kind == "sound":
            self._send(order["job"], self._sound(order))
            return
        try:
            context = self._context(order)
            if order.get("damage"):
                self._rebuild(context.store, order["damage"], context.root)
                self._tell_opened(order["job"], context.store)
        except (sqlite3.Error, OSError) as error:
            self._send(order["job"], {"error": f"the index file cannot be written: {error}"})
            return
        context.failed.update(order["failed"])
        work = complete_pass(context, order["token"]) if kind == "pass" else update(context, order["paths"])
        self.jobs.append(_Job(order["job"], context, work, kind == "update"))

    def _overlay(self, order: dict[str, Any]) -> Message:
        """What an open document says; at once, as somebody is typing, and apart, so that no pass dies of it."""
        root, path, limits, text = order["root"], order["path"], _limits(order), order["text"]
        if path in order["failed"]:
            return {"error": order["failed"][path]}
        timeout_s = limits.parse_timeout_ms / 1000
        language = language_of(path.rpartition("/")[2], text)
        if language in GRAMMARS:
            # Here, or each child would have to load it anew.
            from ghostd.index.parse import load

            self._guard(root, timeout_s)(path, lambda: load(GRAMMARS[language]), False)
        try:
            found = run_apart(lambda: _found_in(path, text, limits), timeout_s)
        except OSError as error:
            return {"error": f"no process can be had to parse it: {error.strerror}"}
        if isinstance(found, int):
            return {"error": parser_death(found, limits.parse_timeout_ms, limits.parse_memory_mb)}
        return {"done": json.loads(found)}

    def _sound(self, order: dict[str, Any]) -> Message:
        """The number of the first text without a syntax error, of all of them for none; at once, as somebody waits."""
        root, language, texts = order["root"], order["path"], order["texts"]
        if language in order["failed"]:
            return {"error": order["failed"][language]}
        from ghostd.index.parse import is_sound, load

        grammar = GRAMMARS[language]
        found: list[int] = []

        def look() -> None:
            sound = (number for number, text in enumerate(texts) if is_sound(grammar, text.encode("utf-8", "replace")))
            found.append(next(sound, len(texts)))

        guard = self._guard(root, _limits(order).parse_timeout_ms / 1000)
        try:
            guard(language, lambda: load(grammar), False)
            guard(language, look, True)
        except (MemoryError, ValueError) as error:
            return {"error": f"the parser failed: {error}"}
        return {"done": found[0]}

    def _context(self, order: dict[str, Any]) -> RootContext:
        root = order["root"]
        limits = _limits(order)
        context = self.contexts.get(root)
        if context is None:
            store = Store(Path(order["store"]), keep_bytes=order["keep_bytes"])
            given = json.dumps(order["limits"], sort_keys=True)
            try:
                store.prepare(root, extractor_version(), given)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise
                self._rebuild(store, error, root, given)
            guard = self._guard(root, limits.parse_timeout_ms / 1000)
            chunks = ChunkBuilder(store, order["max_postings"])
            context = RootContext(root, store, limits, self._watch, guard, chunks)
            self.contexts[root] = context
        self._tell_opened(order["job"], context.store)
        return context

    def _step(self, job: _Job) -> None:
        try:
            message = next(job.work)
        except StopIteration:
            self.jobs.remove(job)
        except sqlite3.DatabaseError as error:
            self._store_failed(job, error)
        except OSError as error:
            self.jobs.remove(job)
            self._send(job.number, {"error": f"the pass failed: {error}"})
        else:
            if message:
                self._send(job.number, message)
        finally:
            job.context.files.close()

    def _store_failed(self, job: _Job, error: sqlite3.DatabaseError) -> None:
        """Build a damaged store again; end the job where that, or writing, is not possible."""
        try:
            if not is_damage(error):
                raise error
            self._rebuild(job.context.store, error, job.context.root)
        except (sqlite3.Error, OSError) as problem:
            self.jobs.remove(job)
            self._send(job.number, {"error": f"the index file cannot be written: {problem}"})
        else:
            self._tell_opened(job.number, job.context.store)
            job.work = complete_pass(job.context)

    @staticmethod
    def _rebuild(store: Store, problem: object, root: str, limits: str = "") -> None:
        store.rebuild(f"it is damaged ({problem})")
        store.prepare(root, extractor_version(), limits)

    def _tell_opened(self, job: int, store: Store) -> None:
        """Say that the store can be read, and, once, why it was built again."""
        reason, store.rebuilt = store.rebuilt, ""
        self._send(job, {"opened": reason})

    def _watch(self, absolute: str, folder: str) -> int | None:
        if self.inotify_fd < 0:
            return None
        try:
            return inotify.add(self.inotify_fd, absolute, follow=folder == "")
        except inotify.WatchLimit:
            if not self.watch_limit_told:
                self.watch_limit_told = True
                self._send(0, {"watch_limit": True})
            return None

    def _guard(self, root: str, timeout_s: float) -> Guard:
        def guard(path: str, step: Callable[[], None], timed: bool) -> None:
            self.slot.write(root, path)
            if timed:
                signal.setitimer(signal.ITIMER_PROF, timeout_s)
            try:
                step()
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                self.slot.clear()

        return guard

    def _send(self, job: int, message: Message) -> None:
        data = memoryview(json.dumps({"job": job, **message}, separators=(",", ":")).encode() + b"\n")
        while data:
            data = data[os.write(self.output, data) :]


def _found_in(path: str, text: bytes, limits: Limits) -> bytes:
    """What is in an open document, as JSON."""
    record = examine_text(path, text, limits, lambda _path, step, _timed: step())
    content = record.content
    found: Message = {"language": record.language}
    if content is not None:
        blobs = {"outline": content.outline, "uses": content.uses, "chunks": content.chunks}
        found |= {name: b64encode(blob).decode() for name, blob in blobs.items() if blob}
    return json.dumps(found).encode()


def _limits(order: dict[str, Any]) -> Limits:
    limits = order["limits"]
    return Limits(**{**limits, "exclude": tuple(limits["exclude"]), "secret_files": tuple(limits["secret_files"])})


def _limit_memory(more_mb: int) -> None:
    """Let the address space grow by so much; a parser that wants more gets an error, or aborts."""
    if sys.platform != "linux":
        return  # macOS ignores RLIMIT_AS
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + more_mb * 1024 * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard == resource.RLIM_INFINITY or limit < hard:
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _die_with_parent(parent: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))
    if os.getppid() != parent:
        sys.exit(0)


def main(arguments: list[str]) -> None:
    """Run with the numbers of: parent process, inotify instance (-1: none), slot file, megabytes to add."""
    parent, inotify_fd, slot_fd, memory_mb = map(int, arguments)
    _die_with_parent(parent)
    for number in (signal.SIGINT, signal.SIGHUP):  # Ctrl-C goes to the whole terminal; the daemon decides
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)
    # A file makes 100,000 short-lived objects and hardly a cycle.
    gc.set_threshold(100_000, 20, 100)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _limit_memory(memory_mb)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # numpy only sorts here
    output = os.dup(1)
    os.dup2(2, 1)
    with suppress(BrokenPipeError):
        _Worker(inotify_fd, Slot(slot_fd), output).run()


if __name__ == "__main__":
    main(sys.argv[1:])
    os._exit(0)  # the kernel is quicker than Python to give back all that a pass has gathered
