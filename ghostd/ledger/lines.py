"""A ledger row or outcome as one line of JSON, and back."""

from __future__ import annotations

import math
import time
from operator import attrgetter
from typing import Any

import msgspec

from ghostd.records import LedgerRow, Outcome

MAX_TEXT = 1_000
"""Characters of a text field; longer ones are cut and end with "…"."""
MAX_FEATURES = 8_000
"""Characters of `features`; a longer one is left out, since half of a JSON text is none."""
MAX_LINE_BYTES = 256 * 1024
"""Longest line that is read back: a row of cut texts in JSON's longest escapes fits well into it."""

REQUEST_COLUMNS = LedgerRow.__struct_fields__
OUTCOME_COLUMNS = Outcome.__struct_fields__
request_values = attrgetter(*REQUEST_COLUMNS)
"""A row's fields, in the order of REQUEST_COLUMNS."""
outcome_values = attrgetter(*OUTCOME_COLUMNS)

_LARGEST = 2**63 - 1
"""SQLite's largest integer."""

_NEVER_NONE = frozenset(("latency_ms", "value"))


class Line(msgspec.Struct, omit_defaults=True, gc=False):
    """One line of the journal: exactly one of the two."""

    request: LedgerRow | None = None
    outcome: Outcome | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


def encode(row: LedgerRow | Outcome) -> bytes:
    """The row as a line. Raises only for a value of a wrong type.

    What JSON or the bounds do not take is mended: texts are cut, halves of surrogate pairs become "?", a number that
    is not finite becomes None, or 0 where there is no None.
    """
    try:
        line = _line(row)
    except UnicodeEncodeError:
        return _line(_mended(row)) + b"\n"
    # A text that is too long makes a line that is.
    if len(line) > MAX_TEXT or not _finite(row):
        line = _line(_mended(row))
    return line + b"\n"


def decode(line: bytes) -> LedgerRow | Outcome | None:
    """The line's row; None if it is none."""
    try:
        found = _decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found.request or found.outcome


def within_sqlite(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row's fields with integers that SQLite does not take replaced by the nearest that it does."""
    return tuple(max(-_LARGEST, min(_LARGEST, value)) if type(value) is int else value for value in values)


def _line(row: LedgerRow | Outcome) -> bytes:
    return _encode(Line(request=row) if isinstance(row, LedgerRow) else Line(outcome=row))


def _finite(row: LedgerRow | Outcome) -> bool:
    """Whether the numbers that may not be None are some; JSON has null for the others."""
    return math.isfinite(row.time_s) and math.isfinite(row.latency_ms if isinstance(row, LedgerRow) else row.value)


def _mended(row: LedgerRow | Outcome) -> LedgerRow | Outcome:
    changes: dict[str, Any] = {}
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if isinstance(value, str):
            mended: Any = value.encode("utf-8", "replace").decode()
            if name == "features":
                mended = mended if len(mended) <= MAX_FEATURES else ""
            elif len(mended) > MAX_TEXT:
                mended = mended[: MAX_TEXT - 1] + "…"
        elif isinstance(value, float) and not math.isfinite(value):
            # A row of the year 1970 would be deleted at once.
            mended = time.time() if name == "time_s" else 0.0 if name in _NEVER_NONE else None
        else:
            continue
        if mended != value:
            changes[name] = mended
    return msgspec.structs.replace(row, **changes)
