"""Keeps each root's memory in step with the index, training in a child process where much is new."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import msgspec

from ghostd.code_ports import Index
from ghostd.config.completion import ProjectModelConfig
from ghostd.errors import GhostdError, RootError, WorkerFailed
from ghostd.indexed import ChangeBatch, IndexedFile
from ghostd.project_model.memory import CHANGED_TOKENS, RootMemory
from ghostd.project_model.segment import Segment, SegmentInvalid
from ghostd.project_model.train import Done, Job

log = logging.getLogger(__name__)

MAX_FILE_BYTES = 1024 * 1024
"""Larger files are not learned."""
BYTES_PER_TOKEN = 13
"""Size of a segment for each token of its stream, vocabulary included."""
CHANGED_FILES = 100
CHANGED_SHARE = 0.25
"""When more files changed, or a larger share of them, the segment is built anew instead of patched."""
_DATA_LANGUAGES = frozenset(("svg", "diff"))
_DATA_SUFFIXES = frozenset((".po", ".pot", ".txt", ".csv", ".tsv", ".log", ".lock", ".map", ".geojson"))
"""Not learned: what nobody types."""
_LESS_WANTED = frozenset(
    ("plaintext", "markdown", "restructuredtext", "json", "jsonc", "xml", "yaml", "html", "css", "latex")
)
RETRY_S = 300.0
"""Pause after a training that failed."""

T = TypeVar("T")


@dataclass(slots=True)
class _Root:
    """What is known of one root."""

    root: Path
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    generation: int = 0
    """The latest that the index told of."""
    learned: int = -1
    """The generation that the memory covers; -1 before the first."""
    memory: RootMemory | None = None
    failure: GhostdError | None = None
    failed: int = -1
    """The generation at which `failure` happened."""
    task: asyncio.Task[None] | None = None
    used: int = 0
    """Time of the last use, in uses."""


class Learner:
    """Follows the index. Entered by `project_model`, which owns its tasks."""

    def __init__(
        self, index: Index, folder: Path, config: ProjectModelConfig, thread: Executor, tasks: asyncio.TaskGroup
    ) -> None:
        self._index = index
        self._folder = folder
        self._max_bytes = config.max_memory_mb * 1_000_000 * 4 // 5
        self._thread = thread
        self._tasks = tasks
        self._roots: dict[Path, _Root] = {}
        self._changed = asyncio.Condition()
        self._training = asyncio.Semaphore(1)
        self._uses = 0
        self._loop = asyncio.get_running_loop()
        self.trainings = 0
        """Segments built since the start."""

    # --- following ---

    def on_commit(self, batch: ChangeBatch) -> None:
        """The index's callback."""
        known = self._ensure(batch.root)
        known.generation = max(known.generation, batch.generation)
        known.wake.set()

    def look(self) -> None:
        """Notice roots that came or went without a commit."""
        current = {status.root: status.generation for status in self._index.roots()}
        for root, generation in current.items():
            known = self._ensure(root)
            if generation > known.generation:
                known.generation = generation
                known.wake.set()
        for root in [root for root in self._roots if root not in current]:
            gone = self._roots.pop(root)
            if gone.task:
                gone.task.cancel()
            self._tasks.create_task(self._tell())

    def _ensure(self, root: Path) -> _Root:
        known = self._roots.get(root)
        if known is None:
            known = self._roots[root] = _Root(root)
            known.wake.set()
            known.task = self._tasks.create_task(self._follow(known), name=f"learn {root}")
        return known

    async def _follow(self, known: _Root) -> None:
        try:
            while True:
                await known.wake.wait()
                known.wake.clear()
                known.failed = known.generation
                try:
                    await self._learn(known)
                    known.failure = None
                except RootError as error:
                    known.failure = error
                except (WorkerFailed, OSError) as error:
                    if isinstance(error, OSError):
                        error = WorkerFailed(f"learning {known.root} failed: {error.strerror}")
                    known.failure = error
                    log.warning("%s", error)
                    asyncio.get_running_loop().call_later(RETRY_S, known.wake.set)
                await self._tell()
                await self._make_room(known)
        finally:
            memory, known.memory = known.memory, None
            if memory:
                self._thread.submit(memory.close)

    async def _make_room(self, newest: _Root) -> None:
        """Unmap the segments that were not used for longest, until the rest fits. They come back when asked for."""
        loaded = sorted((known for known in self._roots.values() if known.memory), key=lambda known: known.used)
        size = sum(known.memory.size_bytes for known in loaded if known.memory)
        for known in loaded:
            if size <= self._max_bytes:
                break
            if known is not newest and known.memory:
                size -= known.memory.size_bytes
                memory, known.memory = known.memory, None
                await self._in_thread(memory.close)

    def stop(self) -> None:
        """End all learning; what is persisted stays."""
        for known in self._roots.values():
            if known.task:
                known.task.cancel()

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def learned(self, root: Path) -> bool:
        """Whether the root's first complete pass is covered."""
        self.look()
        known = self._roots.get(root)
        return known is not None and known.learned >= 0

    async def wait_learned(self, root: Path) -> None:
        """Wait until the root's present generation is covered; RootError or WorkerFailed if that failed."""
        self.look()
        known = self._roots.get(root)
        if known is None:
            raise RootError(root, "it is not indexed")
        wanted = known.generation

        def done() -> bool:
            failed = known.failure is not None and known.failed >= wanted
            return failed or known.learned >= wanted or root not in self._roots

        async with self._changed:
            await self._changed.wait_for(done)
        if known.learned < wanted and known.failure:
            raise known.failure

    # --- learning ---

    async def _learn(self, known: _Root) -> None:
        root = known.root
        await self._index.wait_ready(root)
        for status in self._index.roots():
            if status.root == root:
                known.generation = max(known.generation, status.generation)
        generation = known.generation
        files = [file for file in await self._index.files(root) if _wanted(file)]
        wanted = {file.path.as_posix(): file.content_hash.hex() for file in files}
        target = self._folder / f"{hashlib.blake2b(os.fsencode(root), digest_size=12).hexdigest()}.segment"
        if known.memory is None:
            known.memory = await self._in_thread(lambda: RootMemory(root, open_segment(target)))
        have = await self._in_thread(known.memory.known)
        changed = [(path, digest) for path, digest in wanted.items() if have.get(path) != digest]
        removed = [path for path in have if path not in wanted]
        if known.memory.segment is None or len(changed) + len(removed) > _patchable(len(have)):
            if wanted or known.memory.segment:
                await self._train(known, target, files)
        elif changed or removed:
            memory = known.memory
            await self._in_thread(lambda: memory.apply(changed, removed, MAX_FILE_BYTES))
            if memory.changed_tokens > CHANGED_TOKENS or memory.lexicon.full:
                await self._train(known, target, files)
        known.learned = generation

    async def _train(self, known: _Root, target: Path, files: Sequence[IndexedFile]) -> None:
        job = Job(
            root=str(known.root),
            target=str(target),
            files=tuple((file.path.as_posix(), file.content_hash.hex()) for file in _most_wanted(files)),
            max_tokens=self._max_bytes // BYTES_PER_TOKEN // max(len(self._roots), 1),
            max_file_bytes=MAX_FILE_BYTES,
        )
        async with self._training:
            done = await run_training(job)
        self.trainings += 1
        log.info(
            "learned %d files of %s in %.1f CPU-seconds, %d left out", done.files, known.root, done.cpu_s, done.left_out
        )
        old = known.memory
        known.memory = await self._in_thread(lambda: RootMemory(known.root, open_segment(target)))
        if old:
            await self._in_thread(old.close)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- use ---

    def memory_of(self, root: Path | None) -> RootMemory | None:
        """The memory to answer from; None where nothing is learned yet, or where it has to be mapped again first."""
        known = self._roots.get(root) if root else None
        if known is None:
            return None
        self._uses += 1
        known.used = self._uses
        if known.memory is None and known.learned >= 0:
            self._loop.call_soon_threadsafe(known.wake.set)
        return known.memory

    def last_used(self) -> Path | None:
        """The root that was asked for last."""
        used = max(self._roots.values(), key=lambda known: known.used, default=None)
        return used.root if used else None

    def knowing(self, path: str) -> Path | None:
        """The first root that has learned a file of this relative path."""
        for known in self._roots.values():
            if known.memory and path in known.memory.files:
                return known.root
        return None


def open_segment(target: Path) -> Segment | None:
    """The segment in this file; None when there is none, or none that can be used. Blocks."""
    try:
        return Segment(target)
    except FileNotFoundError:
        return None
    except (SegmentInvalid, OSError) as error:
        log.warning("learning anew, since %s cannot be used: %s", target, error)
        return None


def _patchable(files: int) -> int:
    """How many files may change before the segment is built anew; some in the smallest project, too."""
    return min(CHANGED_FILES, max(4, int(files * CHANGED_SHARE)))


def _wanted(file: IndexedFile) -> bool:
    return (
        file.size_bytes <= MAX_FILE_BYTES
        and file.language not in _DATA_LANGUAGES
        and file.path.suffix.lower() not in _DATA_SUFFIXES
    )


def _most_wanted(files: Sequence[IndexedFile]) -> list[IndexedFile]:
    """In the order of wanting, for where there are too many: code before prose and settings, then by folder."""
    return sorted(files, key=lambda file: (file.language in _LESS_WANTED, file.path.parent.parts, file.path.name))


async def run_training(job: Job) -> Done:
    """Run a training process; raises WorkerFailed. Ends the process when it is cancelled."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "ghostd.project_model.train"),  # -P: no file of the working directory stands in for a library
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        cwd="/",
    )
    assert process.stdin and process.stdout and process.stderr
    try:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        await process.stdin.drain()
        answer, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
        await process.wait()
    except (BrokenPipeError, ConnectionResetError):
        answer, errors = b"", await process.stderr.read()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process.stdin.close()
    try:
        return msgspec.json.decode(answer, type=Done)
    except msgspec.DecodeError:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise WorkerFailed(f"learning {job.root} failed (exit status {process.returncode}): {last}") from None
