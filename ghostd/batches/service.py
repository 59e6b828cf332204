"""The Batches port: keeps the list of batches, and runs those that have not ended."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from ghostd.batch import Batch, NewBatch
from ghostd.batches.folder import BatchFolder
from ghostd.batches.patience import SETTLING_S
from ghostd.batches.places import Places
from ghostd.batches.run import Ask, BatchRun, to_its_end
from ghostd.batches.table import BatchTable
from ghostd.config.files import BatchesConfig
from ghostd.database import migrations, open_in_folder
from ghostd.errors import InvalidRequest, Overloaded, StorageFull, StoreError
from ghostd.ports import FileStore

log = logging.getLogger(__name__)

T = TypeVar("T")

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_PRUNE_S = 3_600.0
_RETRY_S = 10.0
"""Between tries of a batch whose disk fails."""
_DATABASE = "batches.sqlite3"


class BatchService:
    """See the port `Batches`. Made by `open_batches`."""

    def __init__(
        self,
        folder: Path,
        config: BatchesConfig,
        files: FileStore,
        ask: Ask,
        executor: ThreadPoolExecutor,
        max_line_bytes: int,
        now: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._config = config
        self._files = files
        self._ask = ask
        self._executor = executor
        self._max_line_bytes = max_line_bytes
        self._now = now
        self._table: BatchTable | None = None
        self._opening = asyncio.Lock()
        self._runs: dict[str, tuple[BatchRun, asyncio.Task[None]]] = {}
        self._beginning = 0
        self._places = Places(config.concurrency)

    # --- the port -----------------------------------------------------------------------

    async def create(self, wanted: NewBatch) -> Batch:
        """See the port."""
        windows = self._config.completion_windows
        if wanted.completion_window not in windows:
            raise InvalidRequest(
                f"Invalid value for 'completion_window': {wanted.completion_window[:50]!r}; supported: "
                f"{', '.join(windows)} (batches.completion_windows).",
                "completion_window",
            )
        file = await self._files.get(wanted.input_file_id)
        if file is None:
            raise InvalidRequest(
                f"Invalid value for 'input_file_id': no such file: {wanted.input_file_id[:100]!r}.", "input_file_id"
            )
        if file.purpose != "batch":
            raise InvalidRequest(
                f"Invalid value for 'input_file_id': its purpose is {file.purpose!r}, not 'batch'.", "input_file_id"
            )
        await self._opened()
        active = len(self._runs) + self._beginning
        if active >= self._config.max_active:
            raise Overloaded(
                f"{active} batches have not ended yet (batches.max_active); wait for one, or cancel it.",
                retry_after_s=60.0,
            )
        now = int(self._now())
        batch = Batch(
            id=f"batch_{os.urandom(16).hex()}",
            wanted=wanted,
            status="validating",
            created_s=now,
            expires_s=now + seconds_of(wanted.completion_window),
        )
        self._beginning += 1
        try:
            await self._keep(batch)
            self._begin(batch)
        finally:
            self._beginning -= 1
        return batch

    async def get(self, batch_id: str) -> Batch | None:
        """See the port."""
        if (found := self._runs.get(batch_id)) is not None:
            return found[0].batch
        return await self._in_thread((await self._opened()).get, batch_id)

    async def list(self, *, after: str | None = None, limit: int) -> tuple[Sequence[Batch], bool]:
        """See the port."""
        rows = await self._in_thread((await self._opened()).page, after, limit + 1)
        if rows is None:
            raise InvalidRequest(f"Invalid value for 'after': no batch is called {after!r}.", "after")
        live = [self._runs[row.id][0].batch if row.id in self._runs else row for row in rows]
        return live[:limit], len(rows) > limit

    async def cancel(self, batch_id: str) -> Batch | None:
        """See the port."""
        if (found := self._runs.get(batch_id)) is None:
            return await self.get(batch_id)
        await found[0].cancel()
        return found[0].batch

    # --- running ------------------------------------------------------------------------

    async def resume(self) -> None:
        """Go on with what an earlier daemon has left."""
        if not await asyncio.to_thread((self._folder / _DATABASE).exists):
            return
        try:
            active = await self._in_thread((await self._opened()).active)
        except StoreError as error:
            log.error("batches cannot go on: %s", error)  # noqa: TRY400 - the user is told what is wrong
            return
        for batch in active:
            log.info("batch %s goes on (%s)", batch.id, batch.status)
            self._begin(batch, asyncio.get_running_loop().time() + SETTLING_S)
        await asyncio.to_thread(_clean, self._folder, {batch.id for batch in active})

    async def run(self) -> None:
        """Forget old batches, until cancelled."""
        while True:
            try:
                if self._table is not None:
                    before_s = self._now() - self._config.keep_days * 86_400
                    await self._in_thread(self._table.prune, before_s)
            except StoreError as error:
                log.warning("old batches cannot be forgotten: %s", error)
            await asyncio.sleep(_PRUNE_S)

    async def close(self) -> None:
        """Stop all runs, to go on at the next start."""
        tasks = [task for _, task in self._runs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._table is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._table.close)

    def _begin(self, batch: Batch, settled_at: float = 0.0) -> None:
        run = BatchRun(
            batch,
            BatchFolder(self._folder / batch.id),
            self._config,
            self._files,
            self._ask,
            self._keep,
            self._now,
            self._places,
            self._max_line_bytes,
            settled_at,
        )
        task = asyncio.create_task(self._run(run), name=f"batch {batch.id}")
        self._runs[batch.id] = (run, task)

    async def _run(self, run: BatchRun) -> None:
        """Run a batch to its end, however often the disk fails."""
        ends = run.run
        while True:
            try:
                await ends()
            except (StoreError, OSError) as error:
                log.warning("batch %s waits: %s", run.batch.id, error)
                await asyncio.sleep(_RETRY_S)
            except Exception:
                log.exception("batch %s cannot go on", run.batch.id)
                if ends == run.give_up:
                    return  # it stays where it is until the next start
                ends = run.give_up
            else:
                self._runs.pop(run.batch.id, None)
                return

    async def _keep(self, batch: Batch) -> None:
        await self._in_thread((await self._opened()).put, batch)

    # --- off the event loop ---------------------------------------------------------------

    async def _opened(self) -> BatchTable:
        """The table; opened when it is first needed, and whatever was wrong with the disk may be mended until then."""
        if self._table is None:
            async with self._opening:
                if self._table is None:
                    return await self._in_thread(self._open)
        return self._table

    def _open(self) -> BatchTable:
        """Runs to its end, whoever has lost interest meanwhile."""
        if self._table is None:
            self._table = BatchTable(open_in_folder(self._folder, _DATABASE, migrations("ghostd.batches")))
        return self._table

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return await to_its_end(asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments))
        except (sqlite3.Error, OSError) as error:
            full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            if full or getattr(error, "errno", 0) in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull("The disk is full; the batch has not been kept.") from error
            raise StoreError(f"The list of batches cannot be read or written: {error}.") from error


def seconds_of(window: str) -> int:
    """Of "24h" and its like."""
    return int(window[:-1]) * _UNITS_S[window[-1]]


def _clean(folder: Path, active: set[str]) -> None:
    """Remove what is left of batches that have ended."""
    for path in folder.iterdir():
        if path.is_dir() and path.name not in active:
            BatchFolder(path).remove()


@asynccontextmanager
async def open_batches(
    folder: Path,
    config: BatchesConfig,
    files: FileStore,
    ask: Ask,
    *,
    max_line_bytes: int = 32 * 1024 * 1024,
    now: Callable[[], float] = time.time,
) -> AsyncIterator[BatchService]:
    """The batches of `folder`, which run while the block does; the caller holds the home's lock.

    What runs at the end goes on at the next start.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="batches")
    service = BatchService(folder, config, files, ask, executor, max_line_bytes, now)
    await service.resume()
    pruning = asyncio.create_task(service.run(), name="batches")
    try:
        yield service
    finally:
        pruning.cancel()
        await asyncio.gather(pruning, return_exceptions=True)
        await service.close()
        executor.shutdown(wait=False)
