"""Whatever a row holds, its line is one line and gives a row that SQLite takes."""

import sqlite3
from contextlib import closing
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from ledger_harness import row

from ghostd.ledger.lines import (
    MAX_FEATURES,
    MAX_LINE_BYTES,
    MAX_TEXT,
    REQUEST_COLUMNS,
    decode,
    encode,
    request_values,
    within_sqlite,
)
from ghostd.records import LedgerRow

texts = st.text(st.characters(), max_size=1200)  # halves of surrogate pairs, too
numbers = st.none() | st.integers() | st.floats()
rows = st.builds(
    row,
    st.text(min_size=1),
    time_s=st.floats(),
    latency_ms=st.floats(),
    first_byte_ms=st.none() | st.floats(),
    cost_usd=st.none() | st.floats(),
    http_status=st.integers(),
    prompt_tokens=st.none() | st.integers(),
    client=texts,
    project=texts,
    reason=texts,
    features=texts,
)


@given(rows)
def test_a_line_gives_its_row_back_within_the_bounds(recorded: LedgerRow) -> None:
    line = encode(recorded)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found = decode(line[:-1])
    assert isinstance(found, LedgerRow)
    assert max(len(found.client), len(found.reason)) <= MAX_TEXT
    assert encode(found) == line
    with closing(sqlite3.connect(":memory:")) as db:
        marks = ", ".join("?" * len(REQUEST_COLUMNS))
        assert db.execute(f"SELECT {marks}", within_sqlite(request_values(found))).fetchone() is not None


@given(st.binary() | st.recursive(st.none(), lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside)))
def test_what_is_no_line_gives_no_row(data: Any) -> None:
    assert decode(data if isinstance(data, bytes) else str(data).encode("utf-8", "replace")) is None


def test_the_longest_row_is_short_enough_to_be_read() -> None:
    longest = {
        name: "\x01" * (MAX_FEATURES if name == "features" else MAX_TEXT)
        for name in REQUEST_COLUMNS
        if isinstance(getattr(row(), name), str) and name not in ("status", "cache")
    }
    line = encode(LedgerRow(**{name: getattr(row(), name) for name in REQUEST_COLUMNS} | longest))
    assert len(line) < MAX_LINE_BYTES
    assert decode(line) is not None
