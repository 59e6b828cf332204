"""Readers see each row exactly once while the ledger writes and moves rows."""

import asyncio
from pathlib import Path

from ledger_harness import NOON_S, row, stored

from ghostd.config.ledger import LedgerConfig
from ghostd.ledger.experiments import Arm, experiments
from ghostd.ledger.lines import encode
from ghostd.ledger.reader import open_reader
from ghostd.ledger.reports import usage
from ghostd.ledger.service import open_ledger
from ghostd.ledger.statistics import Estimate


def counted(folder: Path) -> tuple[int, int]:
    with open_reader(folder) as db:
        requests = usage(db, ()).total.requests
        (distinct,) = db.execute("SELECT count(DISTINCT id) FROM requests").fetchone()
        return requests, distinct


async def test_a_reader_misses_no_row_and_counts_none_twice_at_any_moment(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    recorded = 0
    async with open_ledger(folder, LedgerConfig(flush_s=0.0005)) as ledger:
        for _ in range(60):
            for _ in range(25):
                ledger.record(row(f"{recorded:05d}"))
                recorded += 1
            readers = await asyncio.gather(*(asyncio.to_thread(counted, folder) for _ in range(3)))
            assert readers == [(recorded, recorded)] * 3
    assert stored(folder, "SELECT count(*) FROM request") == [(recorded,)]


async def test_a_reader_that_stays_holds_up_no_writer(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"

    def read_while_written() -> tuple[int, int]:
        with open_reader(folder) as db:
            before = usage(db, ()).total.requests
            asyncio.run_coroutine_threadsafe(write_more(), loop).result()
            return before, usage(db, ()).total.requests

    async def write_more() -> None:
        ledger.record(row("second"))
        async with asyncio.timeout(30):
            while await asyncio.to_thread(stored, folder, "SELECT count(*) FROM request") != [(2,)]:
                await asyncio.sleep(0.005)

    loop = asyncio.get_running_loop()
    async with open_ledger(folder, LedgerConfig()) as ledger:
        ledger.record(row("first"))
    async with open_ledger(folder, LedgerConfig(flush_s=0.001)) as ledger:
        assert await asyncio.to_thread(read_while_written) == (1, 1)
    assert await asyncio.to_thread(counted, folder) == (2, 2)


async def test_outcomes_that_wait_in_the_journal_count(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    async with open_ledger(folder, LedgerConfig(flush_s=3600)) as ledger:
        for number in range(4):
            ledger.record(row(f"r{number}", experiment="e/a", session=f"s{number}", time_s=NOON_S))
            ledger.record_outcome(f"r{number}", "shown")
        ledger.record_outcome("r0", "accepted")
        ledger.record_outcome("r1", "thumb", 1)
        ledger.record_outcome("r1", "thumb", -1)  # thought better of it
        ledger.record_outcome("of no request", "thumb", 1)

        def report() -> Arm:
            with open_reader(folder) as db:
                ((arm,),) = (found.arms for found in experiments(db))
                return arm

        estimates = (await asyncio.to_thread(report)).estimates
    accepted, thumbs = estimates["accepted"], estimates["thumbs_up"]
    assert accepted is not None
    assert (accepted.value, accepted.requests) == (0.25, 4)
    assert thumbs == Estimate(0.0, None, None, 1, 1)


def test_refused_and_cancelled_requests_are_no_failures_of_an_arm(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    folder.mkdir()
    statuses = ["ok"] * 8 + ["error", "partial", "refused", "cancelled"]
    lines = [encode(row(str(n), status=status, experiment="a/b/arm", session="")) for n, status in enumerate(statuses)]
    (folder / "0000000000000001.jsonl").write_bytes(b"".join(lines))
    with open_reader(folder) as db:
        (found,) = experiments(db, "a/b")
    success = found.arms[0].estimates["success"]
    assert success is not None
    assert (found.arms[0].requests, found.arms[0].subjects, success.value, success.requests) == (12, 12, 0.8, 10)


def test_several_arms_are_compared_more_strictly_with_the_first(tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    folder.mkdir()
    lines = [
        encode(row(f"{arm}{n}", status="ok" if n % 10 else "error", experiment=f"e/{arm}", session=f"{arm}{n}"))
        for arm in "abc"
        for n in range(100)
    ]
    (folder / "0000000000000001.jsonl").write_bytes(b"".join(lines))
    with open_reader(folder) as db:
        (found,) = experiments(db)
    first, second = (c for c in found.comparisons if c.metric == "success")
    assert [(c.first, c.second) for c in (first, second)] == [("a", "b"), ("a", "c")]
    assert first.difference is not None
    # Newcombe's interval for 90/100 less 90/100 is ±0.0881 at 95 % and wider at 97.5 %.
    assert 0.09 < first.difference.high < 0.12
    assert "no difference shown between a and b" in first.conclusion
