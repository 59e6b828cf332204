"""Reports on the ledger: usage by day, model, project …, and the last requests."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Literal, get_args

from ghostd.ledger.lines import REQUEST_COLUMNS
from ghostd.records import LedgerRow

Grouping = Literal["day", "model", "project", "client", "provider", "deployment", "route", "operation", "status"]
GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)

_SLOT_S = 900
"""Every time zone's offset is a multiple of it, so that local days can be put together from such slots."""
_ANSWERED = "(status IN ('ok', 'partial') OR deployment != '')"
"""What has had a price, known or not; a request that never got anywhere has cost nothing."""
_SUMS = (
    "count(*)",
    "sum(status = 'ok')",
    "sum(status IN ('error', 'partial'))",
    "sum(prompt_tokens)",
    "sum(completion_tokens)",
    "sum(cached_tokens)",
    "sum(cache_write_tokens)",
    "sum(reasoning_tokens)",
    f"sum(prompt_tokens IS NULL AND {_ANSWERED})",
    "sum(cost_usd)",
    f"sum(cost_usd IS NULL AND {_ANSWERED})",
)

_USD_DIGITS = 10


@dataclass(slots=True)
class Usage:
    """Sums over some requests."""

    requests: int = 0
    ok: int = 0
    failed: int = 0
    """Errors, and replies that broke off; neither the caller's mistakes nor cancelled ones."""
    prompt_tokens: int | None = 0
    """Sums of what is known; None where nothing is."""
    completion_tokens: int | None = 0
    cached_tokens: int | None = 0
    cache_write_tokens: int | None = 0
    reasoning_tokens: int | None = 0
    uncounted: int = 0
    """Requests that were answered and whose tokens nobody has told."""
    cost_usd: float | None = 0.0
    """Sum of the known costs; None where none is known and some request had a price."""
    unpriced: int = 0
    """Requests that were answered and whose price is unknown."""


FIGURES = tuple(field.name for field in fields(Usage))


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Usage in groups, ordered by their keys, and in all."""

    by: tuple[Grouping, ...]
    groups: list[tuple[tuple[str, ...], Usage]]
    total: Usage


def usage(
    db: sqlite3.Connection, by: Sequence[Grouping], since_s: float | None = None, until_s: float | None = None
) -> UsageReport:
    """Usage of the requests that began in [since_s, until_s), by local day and other fields; see `open_reader`."""
    keys = [f"CAST(time_s / {_SLOT_S} AS INTEGER)" if grouping == "day" else grouping for grouping in by]
    grouped = f" GROUP BY {', '.join(str(number) for number in range(1, len(keys) + 1))}" if keys else ""
    bounds = [(sign, moment) for sign, moment in ((">=", since_s), ("<", until_s)) if moment is not None]
    where = f" WHERE {' AND '.join(f'time_s {sign} ?' for sign, _ in bounds)}" if bounds else ""
    rows = db.execute(
        f"SELECT {', '.join((*keys, *_SUMS))} FROM requests{where}{grouped}",  # noqa: S608
        [moment for _, moment in bounds],
    )
    groups: dict[tuple[str, ...], list[float | None]] = {}
    total: list[float | None] = [None] * len(_SUMS)
    for row in rows:
        if not row[len(keys)]:
            continue  # no request at all
        key = tuple(
            _day(value) if grouping == "day" else value for grouping, value in zip(by, row[: len(keys)], strict=True)
        )
        sums = groups.setdefault(key, [None] * len(_SUMS))
        for number, value in enumerate(row[len(keys) :]):
            if value is not None:
                sums[number] = (sums[number] or 0) + value
                total[number] = (total[number] or 0) + value
    return UsageReport(tuple(by), [(key, _usage(groups[key])) for key in sorted(groups)], _usage(total))


def last_requests(db: sqlite3.Connection, limit: int, *, failed: bool = False) -> list[LedgerRow]:
    """The last requests, the newest first; with `failed` only those that did not go well."""
    where = " WHERE status NOT IN ('ok', 'cancelled')" if failed else ""
    rows = db.execute(
        f"SELECT {', '.join(REQUEST_COLUMNS)} FROM requests{where} ORDER BY time_s DESC LIMIT ?",  # noqa: S608
        (limit,),
    )
    return [_row(values) for values in rows]


def _row(values: Sequence[object]) -> LedgerRow:
    named = dict(zip(REQUEST_COLUMNS, values, strict=True))
    named["stream"] = bool(named["stream"])
    return LedgerRow(**named)  # type: ignore[arg-type]


def _usage(sums: Sequence[float | None]) -> Usage:
    found = Usage(**dict(zip(FIGURES, sums, strict=True)))  # type: ignore[arg-type]
    for name in ("requests", "ok", "failed", "uncounted", "unpriced"):
        if getattr(found, name) is None:
            setattr(found, name, 0)
    if not found.uncounted:
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens"):
            if getattr(found, name) is None:
                setattr(found, name, 0)
    if found.cost_usd is not None:
        found.cost_usd = round(found.cost_usd, _USD_DIGITS)  # without what adding binary fractions leaves
    elif not found.unpriced:
        found.cost_usd = 0.0
    return found


def _day(slot: int) -> str:
    try:
        return datetime.fromtimestamp(slot * _SLOT_S).date().isoformat()
    except (OverflowError, ValueError, OSError):
        return "?"  # a clock that was far off
