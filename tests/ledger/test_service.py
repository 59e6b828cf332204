"""Rows reach the database whatever happens to the disk, the database, the clock or the rows."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import shutil
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ledger_harness import row, stored, stored_rows

from ghostd.config.ledger import LedgerConfig
from ghostd.ledger.lines import MAX_FEATURES, MAX_TEXT, encode
from ghostd.ledger.reader import open_reader
from ghostd.ledger.reports import usage
from ghostd.ledger.service import LedgerService, open_ledger
from ghostd.ledger.store import Store, migrations, store_path

FAST = LedgerConfig(flush_s=0.01)
SLOW = LedgerConfig(flush_s=3600)
IDS = "SELECT id FROM request ORDER BY id"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


async def until(holds: Callable[[], bool], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await asyncio.to_thread(holds):
            await asyncio.sleep(0.005)


def ids(folder: Path) -> list[str]:
    try:
        return [id_ for (id_,) in stored(folder, IDS)]
    except sqlite3.OperationalError:
        return []


async def test_rows_move_to_the_database_while_the_ledger_is_open(folder: Path) -> None:
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("a"))
        await until(lambda: ids(folder) == ["a"])
        ledger.record(row("b"))
        await until(lambda: ids(folder) == ["a", "b"])


async def test_a_row_is_in_the_journal_before_record_returns(folder: Path) -> None:
    async with open_ledger(folder, SLOW) as ledger:
        ledger.record(row("a"))
        (segment,) = await asyncio.to_thread(lambda: list(folder.glob("*.jsonl")))
        assert await asyncio.to_thread(segment.read_bytes) == encode(row("a"))


async def test_closing_leaves_all_rows_in_the_database_and_no_segment(folder: Path) -> None:
    async with open_ledger(folder, SLOW) as ledger:
        for number in range(5000):
            ledger.record(row(f"{number:04d}"))
    assert ids(folder) == [f"{number:04d}" for number in range(5000)]
    assert [path.name for path in folder.iterdir()] == ["ledger.sqlite3"]


async def test_a_ledger_without_rows_leaves_no_file(folder: Path) -> None:
    async with open_ledger(folder, FAST):
        pass
    assert list(folder.iterdir()) == []


async def test_an_idle_ledger_has_no_timer(folder: Path) -> None:
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("a"))
        await until(lambda: ids(folder) == ["a"])
        scheduled = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        while any(not handle.cancelled() for handle in scheduled):
            await asyncio.to_thread(lambda: None)


async def test_the_files_are_only_the_users(folder: Path) -> None:
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("a"))
        await until(lambda: ids(folder) == ["a"])
        modes = await asyncio.to_thread(lambda: {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()})
    assert (modes, stat.S_IMODE(folder.stat().st_mode)) == ({0o600}, 0o700)


async def test_a_disabled_ledger_writes_nothing(folder: Path) -> None:
    async with open_ledger(folder, LedgerConfig(enabled=False)) as ledger:
        ledger.record(row("a"))
        ledger.record_outcome("a", "shown")
    assert not folder.exists()


async def test_a_row_after_the_end_is_counted_as_lost_and_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with open_ledger(folder, FAST) as ledger:
        pass
    ledger.record(row("late"))
    assert ledger.lost == 1
    assert "the ledger is closed" in caplog.text


# --- what earlier runs left ------------------------------------------------------------


def leave(folder: Path, name: str, content: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)


async def test_all_segments_of_earlier_runs_are_replayed_once(folder: Path) -> None:
    leave(folder, "0000000000000001.jsonl", encode(row("a")) + encode(row("b")))
    leave(folder, "0000000000000007.jsonl", encode(row("b", client="second")) + encode(row("c")))
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("d"))
    assert ids(folder) == ["a", "b", "c", "d"]
    assert stored(folder, "SELECT client FROM request WHERE id = 'b'") == [("zeke",)]
    assert list(folder.glob("*.jsonl")) == []


async def test_torn_and_junk_lines_are_kept_aside_and_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    junk = [b"\xff\xfe", b"{}", b"[" * 100_000, b'{"request":{"id":1}}', b"x" * 700_000]
    torn = encode(row("torn"))[:-20]
    leave(folder, "0000000000000001.jsonl", encode(row("a")) + b"\n".join(junk) + b"\n" + encode(row("b")) + torn)
    async with open_ledger(folder, FAST):
        pass
    assert ids(folder) == ["a", "b"]
    rejected = (folder / "journal.rejected").read_bytes()
    assert all(piece in rejected for piece in (*junk[:4], torn))
    assert rejected.count(b"x") >= 700_000
    assert "journal.rejected" in caplog.text


async def test_a_whole_last_line_without_its_end_counts(folder: Path) -> None:
    leave(folder, "0000000000000001.jsonl", encode(row("a")) + encode(row("b"))[:-1])
    async with open_ledger(folder, FAST):
        pass
    assert ids(folder) == ["a", "b"]


async def test_zeros_of_a_power_cut_are_no_rows(folder: Path) -> None:
    leave(folder, "0000000000000001.jsonl", encode(row("a")) + bytes(5000))
    async with open_ledger(folder, FAST):
        pass
    assert ids(folder) == ["a"]


async def test_rows_of_an_older_ghostd_without_newer_fields_are_read(folder: Path) -> None:
    line = b'{"request":{"id":"old","time_s":1.8e9,"operation":"fill","client":"","project":"","model":"m","route":"",'
    line += b'"deployment":"","provider":"","status":"ok","http_status":200,"gone":[1]}}\n'
    leave(folder, "0000000000000001.jsonl", line)
    async with open_ledger(folder, FAST):
        pass
    assert ids(folder) == ["old"]


# --- a disk that takes nothing ------------------------------------------------------------


@contextmanager
def files_at_most(size_bytes: int) -> Iterator[None]:
    """As if the disk were full: a file cannot grow beyond this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("room", [0, 1, 700, 2000])
async def test_rows_wait_in_memory_while_the_disk_is_full(
    folder: Path, room: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_ledger(folder, SLOW) as ledger:
        with files_at_most(room):
            for number in range(20):
                ledger.record(row(f"full-{number:02d}"))
            assert 17 <= ledger.waiting <= 20
        ledger.record(row("later"))
        assert ledger.waiting == 0
    assert ids(folder) == [*(f"full-{number:02d}" for number in range(20)), "later"]
    assert caplog.text.count("requests cannot be recorded") == 1
    assert not (folder / "journal.rejected").exists()


async def test_rows_that_wait_in_memory_are_written_without_another_request(folder: Path) -> None:
    async with open_ledger(folder, FAST) as ledger:
        with files_at_most(0):
            ledger.record(row("a"))
            assert ledger.waiting == 1
        await until(lambda: ids(folder) == ["a"])
        assert (ledger.waiting, ledger.lost) == (0, 0)


async def test_what_waits_in_memory_is_bounded(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    long = "x" * MAX_TEXT
    async with open_ledger(folder, SLOW) as ledger:
        with files_at_most(0):
            for number in range(6000):
                ledger.record(row(f"{number:04d}", reason=long, project=long))
            assert 0 < ledger.waiting < 6000
            assert ledger.lost == 6000 - ledger.waiting
        kept = ledger.waiting
    assert ids(folder) == [f"{number:04d}" for number in range(6000 - kept, 6000)]
    assert caplog.text.count("is lost") == 1


async def test_rows_that_never_found_room_are_told(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with files_at_most(0):
        async with open_ledger(folder, FAST) as ledger:
            ledger.record(row("a"))
            ledger.record(row("b"))
    assert "2 rows are lost" in caplog.text


async def test_a_database_that_cannot_grow_leaves_rows_in_the_journal(folder: Path) -> None:
    async with open_ledger(folder, FAST) as ledger:
        with files_at_most(3000):
            ledger.record(row("a"))
            await until(lambda: ledger_is_behind(ledger))
            ledger.record(row("b"))
        await until(lambda: ids(folder) == ["a", "b"])


def ledger_is_behind(ledger: LedgerService) -> bool:
    return ledger.behind


async def test_a_folder_that_is_a_file_is_told_and_costs_no_request(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("in the way")
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("a"))
        assert ledger.waiting == 1
        await asyncio.to_thread(folder.unlink)
        await until(lambda: ids(folder) == ["a"])
    assert str(folder) in caplog.text


# --- a database that is not what it should be -----------------------------------------------


async def test_a_damaged_database_is_kept_aside_and_a_new_one_begun(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    leave(folder, "ledger.sqlite3", b"this is no database " * 1000)
    for name in ("a", "b"):
        async with open_ledger(folder, FAST) as ledger:
            ledger.record(row(name))
    assert ids(folder) == ["a", "b"]
    assert (folder / "ledger.sqlite3.damaged-1").read_bytes() == b"this is no database " * 1000
    assert "is damaged" in caplog.text
    assert len(list(folder.glob("*.damaged-*"))) == 1


async def test_pages_that_go_bad_later_lose_no_row_of_the_journal(folder: Path) -> None:
    async with open_ledger(folder, SLOW) as ledger:
        for number in range(2000):
            ledger.record(row(f"old-{number:04d}"))
    with (folder / "ledger.sqlite3").open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(200 * 4096))
    async with open_ledger(folder, SLOW) as ledger:
        for number in range(500):
            ledger.record(row(f"new-{number:04d}"))
    assert ids(folder) == [f"new-{number:04d}" for number in range(500)]
    assert (folder / "ledger.sqlite3.damaged-1").stat().st_size > 200 * 4096


async def test_a_database_that_is_no_ledger_is_kept_aside(folder: Path) -> None:
    folder.mkdir()
    with closing(sqlite3.connect(store_path(folder))) as db:
        db.execute("CREATE TABLE request (id TEXT)")
        db.execute("INSERT INTO request VALUES ('someone''s')")
        db.commit()
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("a"))
    assert ids(folder) == ["a"]
    with closing(sqlite3.connect(folder / "ledger.sqlite3.damaged-1")) as db:
        assert db.execute("SELECT id FROM request").fetchall() == [("someone's",)]


def write_newer(folder: Path) -> None:
    Store(store_path(folder), [*migrations(), "ALTER TABLE request ADD COLUMN newer TEXT"]).close()


async def test_a_newer_ghostds_database_is_left_alone_while_rows_wait(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.mkdir()
    await asyncio.to_thread(write_newer, folder)
    for name in ("a", "b"):
        async with open_ledger(folder, FAST) as ledger:
            ledger.record(row(name))
            await until(lambda: ledger_is_behind(ledger))
    assert ids(folder) == []
    assert "is newer than this ghostd's" in caplog.text
    stored(folder, "PRAGMA user_version = 1")  # as if the newer one ran again
    async with open_ledger(folder, FAST):
        pass
    assert ids(folder) == ["a", "b"]


async def test_an_older_database_is_brought_up_to_date_and_keeps_its_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("old"))
    steps = [*await asyncio.to_thread(migrations), "ALTER TABLE request ADD COLUMN newer TEXT NOT NULL DEFAULT 'n'"]
    monkeypatch.setattr("ghostd.ledger.store.migrations", lambda: steps)
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("new"))
    assert stored(folder, "SELECT id, newer FROM request ORDER BY id DESC") == [("old", "n"), ("new", "n")]
    assert stored(folder, "PRAGMA user_version") == [(2,)]
    monkeypatch.undo()
    assert await asyncio.to_thread(counted, folder) == 2  # an older ghostd can still read it


def counted(folder: Path) -> int:
    with open_reader(folder) as db:
        return usage(db, ()).total.requests


async def test_a_locked_database_only_delays_the_move(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.ledger.store.BUSY_TIMEOUT_S", 0.01)
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("a"))
        await until(lambda: ids(folder) == ["a"])
        with closing(sqlite3.connect(store_path(folder), check_same_thread=False)) as other:
            other.execute("BEGIN IMMEDIATE")
            ledger.record(row("b"))
            await until(lambda: ledger_is_behind(ledger))
            other.execute("ROLLBACK")
        await until(lambda: ids(folder) == ["a", "b"])


async def test_a_database_deleted_under_the_ledger_is_begun_again(folder: Path) -> None:
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("a"))
        await until(lambda: ids(folder) == ["a"])
        await asyncio.to_thread(shutil.rmtree, folder)
        ledger.record(row("lost with the folder"))
        await until(store_path(folder).parent.exists)
        ledger.record(row("b"))
        await until(lambda: "b" in ids(folder))


# --- retention ----------------------------------------------------------------------------


async def test_old_rows_and_outcomes_are_deleted(folder: Path) -> None:
    now, day = time.time(), 86_400
    async with open_ledger(folder, LedgerConfig(flush_s=3600)) as ledger:
        for number in range(5000):
            ledger.record(row(f"old-{number}", time_s=now - 11 * day))
        ledger.record(row("new", time_s=now - 9 * day))
        ledger.record_outcome("new", "shown")
    config = LedgerConfig(flush_s=0.01, retention_days=10)
    async with open_ledger(folder, config):
        await until(lambda: ids(folder) == ["new"])
    assert stored(folder, "SELECT count(*) FROM outcome") == [(1,)]


async def test_a_clock_that_jumps_ahead_deletes_nothing_for_a_day(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86_400.0
    now = time.time()
    clock = [now]
    monkeypatch.setattr("ghostd.ledger.mover.time.time", lambda: clock[0])
    monkeypatch.setattr("ghostd.ledger.mover._CHECK_S", 0.0)
    config = LedgerConfig(flush_s=0.001, retention_days=10)

    async def look(ledger: LedgerService, name: str) -> None:
        ledger.record(row(name, time_s=clock[0]))
        await until(lambda: name in ids(folder))
        noted = "SELECT value FROM meta WHERE key = 'looked_s'"
        await until(lambda: stored(folder, noted) == [(clock[0],)])

    async with open_ledger(folder, config) as ledger:
        await look(ledger, "a")
        await look(ledger, "b")
        clock[0] = now + 5000 * day
        for name in ("c", "d", "e"):
            await look(ledger, name)
        assert await asyncio.to_thread(ids, folder) == ["a", "b", "c", "d", "e"]
        clock[0] = now
        await look(ledger, "f")
        clock[0] = now + 5001 * day
        await look(ledger, "g")
        clock[0] += 1.1 * day  # it has stayed there
        ledger.record(row("h", time_s=clock[0]))
        await until(lambda: ids(folder) == ["c", "d", "e", "g", "h"])


# --- rows ---------------------------------------------------------------------------------


async def test_texts_are_cut_at_the_documented_length(folder: Path) -> None:
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("long", reason="r" * (MAX_TEXT + 1), client="c" * MAX_TEXT, features="1" * MAX_FEATURES))
        ledger.record(row("longer", features="1" * (MAX_FEATURES + 1)))
    long, longer = stored_rows(folder)
    assert (long.reason, long.client, len(long.features)) == (
        "r" * (MAX_TEXT - 1) + "…",
        "c" * MAX_TEXT,
        MAX_FEATURES,
    )
    assert longer.features == ""


async def test_halves_of_surrogate_pairs_and_numbers_that_are_none_are_mended(folder: Path) -> None:
    began = time.time()
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("s", client="a\ud800b", model="😀"))
        ledger.record(row("t", time_s=float("nan"), latency_ms=float("inf"), cost_usd=float("nan")))
        ledger.record(row("u", prompt_tokens=2**70, completion_tokens=-(2**70)))
    s, t, u = stored_rows(folder)
    assert (s.client, s.model) == ("a?b", "😀")
    assert (t.latency_ms, t.cost_usd, t.time_s >= began) == (0.0, None, True)
    assert (u.prompt_tokens, u.completion_tokens) == (2**63 - 1, -(2**63) + 1)


async def test_a_row_of_wrong_types_is_counted_and_told_without_its_content(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("bad", client=object()))
        ledger.record(row("good", client="said in secret"))
        assert ledger.lost == 1
    assert ids(folder) == ["good"]
    assert "cannot be recorded: TypeError" in caplog.text
    assert "secret" not in caplog.text


async def test_nothing_is_logged_when_all_is_well(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with open_ledger(folder, FAST) as ledger:
        ledger.record(row("a"))
        await until(lambda: ids(folder) == ["a"])
    assert caplog.records == []
