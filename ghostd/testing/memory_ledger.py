"""A ledger that keeps its rows in memory, for tests."""

from __future__ import annotations

from ghostd.records import LedgerRow, Outcome, OutcomeKind


class MemoryLedger:
    """See the port `Ledger`."""

    def __init__(self) -> None:
        self._rows: dict[str, LedgerRow] = {}
        self.outcomes: list[Outcome] = []
        """In the order recorded."""

    @property
    def rows(self) -> list[LedgerRow]:
        """In the order recorded; of rows with the same id only the first."""
        return list(self._rows.values())

    def record(self, row: LedgerRow) -> None:
        """Keep the row."""
        self._rows.setdefault(row.id, row)

    def record_outcome(self, request_id: str, kind: OutcomeKind, value: float = 1.0) -> None:
        """Keep what became of a reply."""
        self.outcomes.append(Outcome(f"out_{len(self.outcomes)}", request_id, 0.0, kind, value))
