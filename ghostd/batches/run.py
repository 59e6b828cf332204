"""One batch from its beginning, or from where a restart has found it, to its end."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from array import array
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from ghostd.batch import BackgroundReply, BackgroundRequest, Batch, BatchProblem, BatchStatus
from ghostd.batches.folder import BatchFolder
from ghostd.batches.lines import Examiner, LineSplitter, answered, decode_line, model_of, unanswered, usage_of
from ghostd.batches.patience import Patience, Tries
from ghostd.batches.places import Places
from ghostd.config.files import BatchesConfig
from ghostd.errors import StoreError
from ghostd.ports import FileStore

log = logging.getLogger(__name__)

T = TypeVar("T")

Ask = Callable[[BackgroundRequest], Awaitable[BackgroundReply]]
"""Answers a request, whatever happens; raises nothing but CancelledError."""

_GRACE_S = 5.0
"""For an answer to be written down when its batch is cancelled."""
_RETRY_S = 5.0
"""Between tries to write to a disk that takes nothing."""
_WRITTEN_BYTES = 256 * 1024
_LEFT_OVER = {
    "expired": ("batch_expired", "This request could not be executed before the completion window expired."),
    "cancelled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
}


class BatchRun:
    """Runs a batch. Where the disk fails it raises StoreError or OSError, and may be run again from there."""

    def __init__(
        self,
        batch: Batch,
        folder: BatchFolder,
        config: BatchesConfig,
        files: FileStore,
        ask: Ask,
        keep: Callable[[Batch], Awaitable[None]],
        now: Callable[[], float],
        places: Places,
        max_line_bytes: int,
        settled_at: float,
    ) -> None:
        """`keep` writes down how it fares; `places` are shared by all batches: one for each request that runs.

        `settled_at` is Patience's.
        """
        self._batch = batch
        self._folder = folder
        self._config = config
        self._files = files
        self._ask = ask
        self._keep = keep
        self._now = now
        self._places = places
        self._max_line_bytes = max_line_bytes
        self._limit: asyncio.Timeout | None = None
        self._patience = Patience(config.max_attempts, settled_at)

    @property
    def batch(self) -> Batch:
        """How it fares."""
        if not self._batch.total:
            return self._batch
        progress = self._folder.progress
        return replace(self._batch, completed=progress.completed, failed=progress.failed, usage=progress.usage)

    def _is(self, *statuses: BatchStatus) -> bool:
        return self._batch.status in statuses

    async def cancel(self) -> None:
        """Ask nothing more."""
        if not self._is("validating", "in_progress"):
            return
        limit = self._limit
        await self._becomes(replace(self._batch, status="cancelling", cancelling_s=int(self._now())))
        if limit is not None:
            with suppress(RuntimeError):  # it has expired meanwhile
                limit.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Run it to its end."""
        try:
            if self._is("validating"):
                await self._validate()
            if self._batch.ended_s is None:
                await self._work()
        finally:
            await asyncio.shield(asyncio.to_thread(self._folder.close))
        await asyncio.to_thread(self._folder.remove)

    async def give_up(self) -> None:
        """End it because of a mistake in ghostd."""
        if self._batch.ended_s is None:
            problem = BatchProblem("internal_error", "ghostd failed to run this batch; its log has the details.")
            await self._becomes(replace(self.batch, status="failed", failed_s=int(self._now()), problems=(problem,)))
        await asyncio.to_thread(self._folder.remove)

    # --- the requests -----------------------------------------------------------------

    async def _validate(self) -> None:
        """Copy the good lines, or fail with what is wrong."""
        examiner = Examiner(self._batch.wanted.endpoint, self._config.max_requests)
        await asyncio.to_thread(self._folder.begin_requests)
        await self._examine(examiner)
        await asyncio.to_thread(self._folder.end_requests)
        now = int(self._now())
        if not self._is("validating"):  # cancelled meanwhile
            return
        if examiner.problems:
            problems = tuple(examiner.problems)
            await self._becomes(replace(self._batch, status="failed", failed_s=now, problems=problems))
            return
        await self._becomes(
            replace(self._batch, status="in_progress", in_progress_s=now, total=examiner.count, model=examiner.model)
        )

    async def _examine(self, examiner: Examiner) -> None:
        splitter = LineSplitter(self._max_line_bytes)

        def take(block: bytes) -> None:
            self._folder.add_requests(
                [line for raw in splitter.feed(block) if (line := examiner.take(raw)) is not None]
            )

        try:
            async with aclosing(self._files.read(self._batch.wanted.input_file_id)) as blocks:
                async for block in blocks:
                    await asyncio.to_thread(take, block)
                    if examiner.full or not self._is("validating"):
                        return
            await asyncio.to_thread(take, b"\n")
        except OverflowError:
            examiner.too_long(self._max_line_bytes)
        except StoreError:
            if await self._files.get(self._batch.wanted.input_file_id) is not None:
                raise
            examiner.problems.append(BatchProblem("invalid_input_file", "The input file is not there any more."))
        examiner.end()

    async def _work(self) -> None:
        """Answer what is not answered yet, until the end or as long as time is left; then make the files."""
        begins = array("q", [0])
        if self._batch.total:
            await asyncio.to_thread(self._folder.open_log)
            begins = await asyncio.to_thread(self._folder.offsets)
        outcome = "completed"
        if self._is("in_progress"):
            try:
                left_s = self._batch.expires_s - self._now()
                async with asyncio.timeout(left_s) as self._limit:
                    await self._answer_all(begins)
            except TimeoutError:
                outcome = "expired"
            finally:
                self._limit = None
        if self._is("cancelling"):
            outcome = "cancelled"
        elif outcome == "completed" and not self._is("finalizing"):
            await self._becomes(replace(self.batch, status="finalizing", finalizing_s=int(self._now())))
        await self._finish(outcome, begins)

    async def _answer_all(self, begins: array[int]) -> None:
        answered_before = self._folder.progress.results
        left = deque(line for line in range(self._batch.total) if line not in answered_before)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(min(self._config.concurrency, len(left))):
                tasks.create_task(self._worker(left, begins))

    async def _worker(self, left: deque[int], begins: array[int]) -> None:
        while left:
            line = left.popleft()
            await self._answer(line, await self._on_disk(partial(self._folder.request, begins[line], begins[line + 1])))

    async def _answer(self, number: int, line: bytes) -> None:
        """Ask until there is an answer that stays, and note it."""
        wanted = decode_line(line)
        model = model_of(wanted.body)
        request = BackgroundRequest(
            self._batch.wanted.endpoint, bytes(wanted.body), {**self._batch.wanted.hints, "x-intent": "batch"}
        )
        tries = Tries()
        while True:
            await self._patience.wait(model)
            async with self._places.place(self._batch.id):
                reply = await self._ask(request)
            pause_s = self._patience.pause_s(tries, reply, model)
            if pause_s is None:
                break
            await asyncio.sleep(pause_s)
        await to_its_end(self._on_disk(partial(self._note, number, wanted.custom_id, reply)))

    def _note(self, number: int, custom_id: str, reply: BackgroundReply) -> None:
        ok = 200 <= reply.status < 300
        self._folder.append(number, ok, usage_of(reply.body), answered(custom_id, reply))

    # --- the end ----------------------------------------------------------------------

    async def _finish(self, outcome: str, begins: array[int]) -> None:
        """Make the files and end. May be repeated: the files have ids that follow from the batch's."""
        files: dict[str, str | None] = {"output": None, "errors": None}
        if self._batch.total:
            await self._on_disk(self._folder.sync)
            progress = self._folder.progress
            if progress.completed:
                files["output"] = await self._make("output", self._folder.answers(ok=True))
            if progress.failed or (outcome in _LEFT_OVER and len(progress.results) < self._batch.total):
                files["errors"] = await self._make("errors", self._errors(outcome, begins))
        now = int(self._now())
        ended = replace(self.batch, output_file_id=files["output"], error_file_id=files["errors"])
        match outcome:
            case "expired":
                ended = replace(ended, status="expired", expired_s=now)
            case "cancelled":
                ended = replace(ended, status="cancelled", cancelled_s=now)
            case _:
                ended = replace(ended, status="completed", completed_s=now)
        await self._becomes(ended)

    def _errors(self, outcome: str, begins: array[int]) -> Iterator[bytes]:
        """Requests that failed, then those that nobody got to."""
        yield from self._folder.answers(ok=False)
        if outcome not in _LEFT_OVER:
            return
        for number in range(self._batch.total):
            if number not in self._folder.progress.results:
                line = decode_line(self._folder.request(begins[number], begins[number + 1]))
                yield unanswered(line.custom_id, *_LEFT_OVER[outcome])

    async def _make(self, kind: str, lines: Iterator[bytes]) -> str:
        """A file of these lines; its id."""
        digest = hashlib.blake2b(f"{self._batch.id} {kind}".encode(), digest_size=12).hexdigest()
        async with self._files.incoming(limited=False) as incoming:
            async for block in _blocks(lines):
                await incoming.write(block)
            kept = await incoming.keep(
                purpose="batch_output",
                filename=f"{self._batch.id}_{kind}.jsonl",
                expires_after_s=self._batch.wanted.output_expires_after_s,
                file_id=f"file-{digest}",
            )
        return kept.id

    async def _becomes(self, batch: Batch) -> None:
        self._batch = batch
        await self._keep(batch)

    async def _on_disk(self, function: Callable[[], T]) -> T:
        """Do it in a thread; wait for room where the disk is full: what has been answered is not thrown away."""
        while True:
            try:
                return await asyncio.to_thread(function)
            except OSError as error:
                log.warning("the answers of batch %s cannot be written, it waits: %s", self._batch.id, error.strerror)
                await asyncio.sleep(_RETRY_S)


async def to_its_end(work: Awaitable[T]) -> T:
    """What must not be left half done: a cancellation takes effect when it has ended."""
    doing = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing], timeout=_GRACE_S)
        doing.cancel()
        raise


async def _blocks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The lines with their ends, some at a time, read in a thread."""

    def more() -> bytes:
        block: list[bytes] = []
        size = 0
        for line in lines:
            block += (line, b"\n")
            size += len(line) + 1
            if size > _WRITTEN_BYTES:
                break
        return b"".join(block)

    while block := await asyncio.to_thread(more):
        yield block
