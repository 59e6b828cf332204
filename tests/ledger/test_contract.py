"""Every Ledger passes the port's contract."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from ledger_harness import stored, stored_rows

from ghostd.config.ledger import LedgerConfig
from ghostd.ledger.service import open_ledger
from ghostd.ports import Ledger
from ghostd.records import LedgerRow
from ghostd.testing.ledger_contract import LedgerContract
from ghostd.testing.memory_ledger import MemoryLedger


class TestSqliteLedger(LedgerContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Ledger]:
        async with open_ledger(folder / "ledger", LedgerConfig()) as ledger:
            yield ledger

    def rows(self, ledger: Ledger, folder: Path) -> Sequence[LedgerRow]:
        return stored_rows(folder / "ledger")

    def outcomes(self, ledger: Ledger, folder: Path) -> Sequence[tuple[str, str, float]]:
        return stored(folder / "ledger", "SELECT request_id, kind, value FROM outcome")


class TestMemoryLedger(LedgerContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Ledger]:
        yield MemoryLedger()

    def rows(self, ledger: Ledger, folder: Path) -> Sequence[LedgerRow]:
        return cast("MemoryLedger", ledger).rows

    def outcomes(self, ledger: Ledger, folder: Path) -> Sequence[tuple[str, str, float]]:
        return [(found.request_id, found.kind, found.value) for found in cast("MemoryLedger", ledger).outcomes]
