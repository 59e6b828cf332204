"""Records rows and kills itself at a point of their way to the database: `dier.py FOLDER POINT`."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ledger_harness import row

from ghostd.config.ledger import LedgerConfig
from ghostd.ledger import mover
from ghostd.ledger.service import open_ledger
from ghostd.ledger.store import Store


def die(*_: object, **__: object) -> Any:
    os.kill(os.getpid(), signal.SIGKILL)


def before(owner: Any, name: str) -> None:
    setattr(owner, name, die)


def after(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    def call(*arguments: Any, **named: Any) -> None:
        original(*arguments, **named)
        die()

    setattr(owner, name, call)


def at_sql(text: str) -> None:
    """When SQLite begins a statement with this in it."""

    def connect(*arguments: Any, **named: Any) -> Any:
        db = original(*arguments, **named)
        db.set_trace_callback(lambda sql: die() if text in sql else None)
        return db

    original: Any = sqlite3.connect
    setattr(sqlite3, "connect", connect)  # noqa: B010 (mypy minds an assignment)


POINTS: dict[str, Callable[[], None]] = {
    "with a fresh segment": lambda: after(mover, "open_segment"),
    "before the database is opened": lambda: before(mover, "Store"),
    "while the tables are made": lambda: at_sql("CREATE INDEX"),
    "before the rows go in": lambda: before(Store, "insert"),
    "between rows": lambda: at_sql("INSERT INTO outcome"),
    "before the commit": lambda: at_sql("COMMIT"),
    "after the commit": lambda: after(Store, "insert"),
    "when the segment is gone": lambda: after(Path, "unlink"),
    "while closing": lambda: before(Store, "close"),
}


async def main() -> None:
    async with open_ledger(Path(sys.argv[1]), LedgerConfig(flush_s=0.01)) as ledger:
        for number in range(5):
            ledger.record(row(f"{number}"))
        ledger.record_outcome("0", "shown")
        POINTS[sys.argv[2]]()


if __name__ == "__main__":
    asyncio.run(main())
