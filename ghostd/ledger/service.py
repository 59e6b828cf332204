"""The Ledger port: a journal in front of SQLite."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

from ghostd.config.ledger import LedgerConfig
from ghostd.ledger.complaints import Complaint
from ghostd.ledger.journal import Journal
from ghostd.ledger.lines import encode
from ghostd.ledger.mover import Mover
from ghostd.records import LedgerRow, Outcome, OutcomeKind

_log = logging.getLogger(__name__)

T = TypeVar("T")

_LONGEST_PAUSE_S = 60.0
"""Between tries to reach a database that cannot be written."""


class LedgerService:
    """See the port `Ledger`. Made by `open_ledger`."""

    def __init__(self, mover: Mover | None, executor: ThreadPoolExecutor, flush_s: float) -> None:
        self._mover = mover
        self._executor = executor
        self._flush_s = flush_s
        self._journal = Journal()
        self._wanted = asyncio.Event()
        self._ending = asyncio.Event()
        self._unfit = Complaint()
        self.behind = False
        """Whether the last try to move rows to the database failed."""
        self._closed = False

    @property
    def lost(self) -> int:
        """Rows that could neither be written nor kept in memory."""
        return self._journal.given_up + self._unfit.count

    @property
    def waiting(self) -> int:
        """Rows in memory because the disk takes none."""
        return self._journal.waiting

    def record(self, row: LedgerRow) -> None:
        """Write the row down before this returns; never blocks on the database, never raises."""
        self._append(row)

    def record_outcome(self, request_id: str, kind: OutcomeKind, value: float = 1.0) -> None:
        """Write down what became of a reply, likewise."""
        self._append(Outcome(f"out_{os.urandom(12).hex()}", request_id, time.time(), kind, value))

    def _append(self, row: LedgerRow | Outcome) -> None:
        if self._mover is None:
            return
        try:
            if self._closed:
                self._unfit.say("a row cannot be recorded: the ledger is closed")
                return
            self._journal.append(encode(row))
        except Exception as error:  # whatever a row holds, its request goes on
            self._unfit.say(f"a row cannot be recorded: {type(error).__name__}")
            return
        if not self._wanted.is_set():
            self._wanted.set()

    async def start(self) -> None:
        """Begin a segment; what earlier runs have left is moved soon."""
        if self._mover is None:
            return
        segment = await self._in_thread(self._mover.fresh_segment)
        if segment is not None:
            self._journal.take(segment)
        self._wanted.set()  # for what earlier runs have left

    async def run(self) -> None:
        """Move rows to the database while there are some, until `stop`; then once more."""
        pause_s = self._flush_s
        while True:
            await self._wanted.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._ending.wait()
            ending = self._ending.is_set()
            self._wanted.clear()
            done = await self._move(force=ending)
            if ending:
                return
            pause_s = self._flush_s if done else min(max(2 * pause_s, 1.0), _LONGEST_PAUSE_S)
            if not done or self._unmoved:
                self._wanted.set()

    def stop(self) -> None:
        """Let `run` come to its end."""
        self._ending.set()
        self._wanted.set()

    async def end(self) -> None:
        """Close all files; what is recorded from now on is lost, and the log says so."""
        segment, self._journal.segment = self._journal.segment, None
        self._closed = True
        if self._journal.waiting:
            _log.error("the ledger ends and %d rows are lost: the disk has not taken them", self._journal.waiting)
        if self._mover is not None:
            await self._in_thread(self._mover.close, segment)

    @property
    def _unmoved(self) -> bool:
        """Whether the journal's segment holds rows, or could not be begun."""
        return self._journal.segment is None or self._journal.segment.size_bytes > 0

    async def _move(self, *, force: bool) -> bool:
        """One try to move all rows; while the database takes none, segments are not multiplied, unless by force."""
        mover, journal = self._mover, self._journal
        if mover is None:
            return True
        try:
            complete = None
            journal.retry()
            if self._unmoved and (force or not self.behind):
                fresh = await self._in_thread(mover.fresh_segment)
                complete = journal.take(fresh) if fresh is not None else None
            journal.retry()
            moved = await self._in_thread(mover.move, complete, journal.segment.path if journal.segment else None)
            self.behind = not moved
            if moved and not force and await self._in_thread(mover.prune):
                self._wanted.set()
        except Exception:
            _log.exception("moving the ledger's rows failed; they stay in the journal")
            return False
        return moved and not journal.waiting

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)


@asynccontextmanager
async def open_ledger(folder: Path, config: LedgerConfig) -> AsyncIterator[LedgerService]:
    """The ledger that lies in `folder`, while the block runs; the caller holds the home's lock.

    Rows that an earlier run left in the journal are moved in the background. A folder that cannot be written keeps
    rows in memory, within bounds, and says so in the log.
    """
    executor = ThreadPoolExecutor(1, thread_name_prefix="ledger-write")
    mover = Mover(folder, config.retention_days) if config.enabled else None
    service = LedgerService(mover, executor, config.flush_s)
    await service.start()
    # Not a TaskGroup: that would turn every error of the block into a group.
    task = asyncio.create_task(service.run(), name="ledger")
    try:
        yield service
    finally:
        service.stop()
        try:
            await task
        finally:
            await service.end()
            executor.shutdown(wait=False)
