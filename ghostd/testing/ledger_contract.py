"""What every Ledger must do. Subclass LedgerContract, say how to open yours and how to read it, and pytest runs it."""

# ruff: noqa: D102 (the names of the tests say it)

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from msgspec.structs import replace

from ghostd.ports import Ledger
from ghostd.records import LedgerRow

FULL = LedgerRow(
    id="req_full",
    time_s=1_795_000_000.25,
    operation="openai.chat",
    client="zeke",
    project="my-app",
    model="auto",
    route="auto",
    deployment="openai/gpt-4.1",
    provider="openai",
    status="partial",
    http_status=200,
    error="UpstreamTimeout",
    attempts=3,
    stream=True,
    latency_ms=120.5,
    first_byte_ms=20.25,
    prompt_tokens=100,
    completion_tokens=20,
    cached_tokens=64,
    cache_write_tokens=0,
    reasoning_tokens=7,
    cost_usd=0.00036,
    cache="miss",
    reason="the cheapest that can; größer als 8k",
    experiment="models/b",
    session="5f1c",
    features='{"prompt_tokens":100,"language":"zig"}',
)
"""A row with something in every field."""
BARE = LedgerRow("req_bare", 1_795_000_001.0, "fill", "", "", "m", "", "", "", "refused", 404)
"""A row with nothing but what must be."""


class LedgerContract(ABC):
    """The tests. Each opens a ledger of its own."""

    @abstractmethod
    def opened(self, folder: Path) -> AbstractAsyncContextManager[Ledger]:
        """A ledger without rows, which may keep files in `folder`."""

    @abstractmethod
    def rows(self, ledger: Ledger, folder: Path) -> Sequence[LedgerRow]:
        """What it holds, in any order, after its block has ended."""

    @abstractmethod
    def outcomes(self, ledger: Ledger, folder: Path) -> Sequence[tuple[str, str, float]]:
        """Request id, kind and value of what became of replies, in any order, after its block has ended."""

    async def _recorded(self, folder: Path, *rows: LedgerRow) -> dict[str, LedgerRow]:
        async with self.opened(folder) as ledger:
            for row in rows:
                ledger.record(row)
        found = await asyncio.to_thread(self.rows, ledger, folder)
        assert len({row.id for row in found}) == len(found)
        return {row.id: row for row in found}

    async def test_a_row_is_kept_as_it_was_recorded(self, tmp_path: Path) -> None:
        assert await self._recorded(tmp_path, FULL, BARE) == {"req_full": FULL, "req_bare": BARE}

    async def test_an_unknown_figure_stays_unknown(self, tmp_path: Path) -> None:
        """Port: LedgerRow's None is never 0."""
        found = (await self._recorded(tmp_path, BARE))["req_bare"]
        assert (found.cost_usd, found.prompt_tokens, found.first_byte_ms) == (None, None, None)

    async def test_a_row_recorded_twice_is_there_once(self, tmp_path: Path) -> None:
        assert await self._recorded(tmp_path, FULL, replace(FULL, client="other"), FULL) == {"req_full": FULL}

    async def test_what_no_database_takes_does_not_raise(self, tmp_path: Path) -> None:
        """Port: record never raises."""
        rows = [
            replace(FULL, id="surrogate", client="\ud800x"),
            replace(FULL, id="endless", reason="x" * 5_000_000),
            replace(FULL, id="nan", latency_ms=math.nan, cost_usd=math.inf),
            replace(FULL, id="large", prompt_tokens=10**30),
            replace(FULL, id="zero", client="a\0b\nc"),
        ]
        assert (await self._recorded(tmp_path, *rows)).keys() == {row.id for row in rows}

    async def test_what_became_of_a_reply_is_kept(self, tmp_path: Path) -> None:
        async with self.opened(tmp_path) as ledger:
            ledger.record(FULL)
            ledger.record_outcome(FULL.id, "shown")
            ledger.record_outcome(FULL.id, "accepted", 1.0)
            ledger.record_outcome(FULL.id, "thumb", -1.0)
        assert sorted(await asyncio.to_thread(self.outcomes, ledger, tmp_path)) == [
            ("req_full", "accepted", 1.0),
            ("req_full", "shown", 1.0),
            ("req_full", "thumb", -1.0),
        ]
