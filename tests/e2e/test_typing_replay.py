"""Real files, typed before a daemon and `ghostd lsp` by benchmarks/typing_replay.py."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

REPLAY = Path(__file__).parents[2] / "benchmarks" / "typing_replay.py"
WAYS = ("end", "hole", "accept")


async def test_no_stale_suggestion_is_shown_while_somebody_types() -> None:
    """Also with text behind the cursor, and where suggestions are accepted. How fast they come is not judged here."""
    rows = _rows(await _printed(sys.executable, REPLAY, "--quick", "--ways", *WAYS))
    assert len(rows) == len(WAYS)
    assert [row["stale"] for row in rows] == ["0"] * len(WAYS)
    assert all(row["right"].endswith(" %") and int(row["keys"]) > 50 for row in rows), rows  # there were suggestions
    end, hole, accept = (int(row["accepted"].removesuffix(" %")) for row in rows)
    assert end == hole == 0 < accept


def _rows(printed: str) -> list[dict[str, str]]:
    """Each table's line of totals, by the names of its columns."""
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in printed.splitlines() if line[:1] == "|"]
    head = lines[0]
    return [dict(zip(head, line, strict=True)) for line in lines if line[0].startswith("**")]


async def _printed(*command: str | Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = await process.communicate()
    finally:
        with suppress(ProcessLookupError):  # nobody is left of the group after an orderly end
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, err.decode()[-4000:]
    return out.decode()
