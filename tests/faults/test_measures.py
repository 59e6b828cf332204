"""Hanging upstreams and callers that leave, before a real daemon with its usual settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults.fault import Mode
from faults.measures import hang_up_seconds, with_one_hanging

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.mark.parametrize("mode", ["plain", "stream"])
@pytest.mark.parametrize("concurrency", [1, 6])
async def test_of_60_requests_at_most_3_meet_a_hanging_deployment_and_none_fails(
    tmp_path: Path, mode: Mode, concurrency: int
) -> None:
    shared = await with_one_hanging(tmp_path / "home", 60, concurrency, mode, {})
    assert [verdict for verdict in shared.verdicts if verdict.outcome != "ok"] == []
    assert shared.touches <= 3


@pytest.mark.parametrize(
    ("mode", "after_first_byte"),
    [("plain", False), ("stream", False), ("stream", True)],
    ids=["a plain reply", "a stream before its first byte", "a stream after its first byte"],
)
async def test_a_caller_that_hangs_up_ends_its_upstream_request(
    tmp_path: Path, mode: Mode, after_first_byte: bool
) -> None:
    """It waits 30 s for it; that it takes less than 50 ms is for the benchmark to say."""
    assert len(await hang_up_seconds(tmp_path / "home", mode, after_first_byte=after_first_byte, times=3)) == 3
