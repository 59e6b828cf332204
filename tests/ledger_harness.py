"""Rows for the ledger's tests, and what its database holds."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from ghostd.ledger.lines import REQUEST_COLUMNS
from ghostd.ledger.store import store_path
from ghostd.records import LedgerRow

NOON_S = 1_795_000_000.0


def row(id_: str = "req_1", **changes: Any) -> LedgerRow:
    """A row of a request that went well."""
    fields: dict[str, Any] = {
        "id": id_,
        "time_s": NOON_S,
        "operation": "openai.chat",
        "client": "zeke",
        "project": "my-app",
        "model": "auto",
        "route": "auto",
        "deployment": "openai/gpt-4.1",
        "provider": "openai",
        "status": "ok",
        "http_status": 200,
        "latency_ms": 120.5,
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "cost_usd": 0.00036,
        "reason": "the cheapest that can",
        "features": '{"prompt_tokens":100}',
    }
    return LedgerRow(**(fields | changes))


def stored(folder: Path, query: str = "SELECT * FROM request ORDER BY id") -> list[tuple[Any, ...]]:
    """What SQLite itself sees in the ledger that lies in `folder`."""
    with closing(sqlite3.connect(f"file:{store_path(folder)}?mode=rw", uri=True)) as db:
        return db.execute(query).fetchall()


def stored_rows(folder: Path) -> list[LedgerRow]:
    """The rows that SQLite holds."""
    found = stored(folder, f"SELECT {', '.join(REQUEST_COLUMNS)} FROM request ORDER BY rowid")
    return [LedgerRow(**dict(zip(REQUEST_COLUMNS, values, strict=True))) for values in found]
