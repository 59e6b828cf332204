"""A SIGKILL at any instant loses no row whose record() returned, and doubles none."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ledger.dier import POINTS
from ledger_harness import stored

from ghostd.config.ledger import LedgerConfig
from ghostd.ledger.service import open_ledger

WRITER = Path(__file__).parent / "writer.py"
TESTS = str(WRITER.parents[1])


def record_until_killed(folder: Path, prefix: str, rows: int, flush_s: float) -> int:
    """How many rows a process recorded before it was killed, after about `rows` of them."""
    process = subprocess.Popen(
        [sys.executable, str(WRITER), str(folder), prefix, str(flush_s)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": TESTS},
    )
    assert process.stdout is not None
    recorded = 0
    with process, process.stdout:
        while piece := os.read(process.stdout.fileno(), 4096):
            recorded += len(piece)
            if recorded >= rows:
                process.send_signal(signal.SIGKILL)
                rows = sys.maxsize
    assert process.returncode == -signal.SIGKILL
    return recorded


async def check_kills(folder: Path, kills: int, seed: int) -> None:
    random_ = random.Random(seed)
    expected: set[str] = set()
    possible: set[str] = set()
    for kill in range(kills):
        # Short flushes, so that many kills fall into the move to the database, and into the replay at start.
        rows, flush_s = random_.randint(1, 3000), random_.choice((0.0001, 0.001, 0.01, 1.0))
        recorded = await asyncio.to_thread(record_until_killed, folder, f"k{kill}", rows, flush_s)
        assert recorded >= rows
        expected |= {f"k{kill}-{number:06d}" for number in range(recorded)}
        possible.add(f"k{kill}-{recorded:06d}")  # its record() may have been about to return
    async with open_ledger(folder, LedgerConfig()):
        pass
    found = [id_ for (id_,) in stored(folder, "SELECT id FROM request")]
    assert len(found) == len(set(found))
    assert expected <= set(found) <= expected | possible
    assert [path.name for path in folder.glob("*.jsonl")] == []


@pytest.mark.e2e
async def test_exactly_the_recorded_rows_are_there_once_after_kills(tmp_path: Path) -> None:
    await check_kills(tmp_path / "ledger", kills=12, seed=7)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_exactly_the_recorded_rows_are_there_once_after_many_kills(tmp_path: Path) -> None:
    await check_kills(tmp_path / "ledger", kills=150, seed=11)


@pytest.mark.e2e
@pytest.mark.parametrize("point", POINTS)
async def test_a_kill_at_any_step_of_the_move_loses_and_doubles_nothing(tmp_path: Path, point: str) -> None:
    folder = tmp_path / "ledger"
    script = WRITER.with_name("dier.py")
    for _ in range(2):  # the second time with what the first left behind
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), str(folder), point, env={**os.environ, "PYTHONPATH": TESTS}
        )
        assert await process.wait() == -signal.SIGKILL
    async with open_ledger(folder, LedgerConfig()):
        pass
    assert stored(folder, "SELECT id FROM request ORDER BY id") == [(str(number),) for number in range(5)]
    assert stored(folder, "SELECT request_id, kind FROM outcome") == [("0", "shown")] * 2  # recorded by both
    assert [path.name for path in folder.iterdir()] == ["ledger.sqlite3"]
