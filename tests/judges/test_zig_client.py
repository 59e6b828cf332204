"""Zig's own HTTP client and strict JSON decoder against ghostd, compiled with the compiler from PyPI: what Zeke is made
of, though not Zeke."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway_harness import gateway
from judges.tools import python_with, run
from routing_harness import upstream

from ghostd.testing.scripted import Step
from ghostd.types import Delta, TokenLogprob, Usage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SOURCE = Path(__file__).parent / "zig_client.zig"
TALKATIVE: list[Step] = [
    Delta(reasoning="Who am I? "),
    Delta("I am here", logprobs=(TokenLogprob(1, b"I", -0.1),)),
    Delta(finish_reason="stop", usage=Usage(10, 4, cached_tokens=3, reasoning_tokens=2)),
]
"""Says more than the decoder knows."""


async def test_zigs_client_reads_every_reply_with_the_keys_that_zeke_knows(tmp_path: Path) -> None:
    python = python_with("ziglang", "ziglang==0.15.2")
    caches = {"ZIG_GLOBAL_CACHE_DIR": str(tmp_path / "global"), "ZIG_LOCAL_CACHE_DIR": str(tmp_path / "local")}
    await run(python, "-m", "ziglang", "build-exe", SOURCE, cwd=tmp_path, env=caches)
    settings = 'routes."m1:latest".deployments = ["a/m"]'
    async with gateway(settings, upstream("a", TALKATIVE)) as g:
        printed = await run(tmp_path / "zig_client", g.served.url, "m1:latest", timeout_s=60)
        assert printed.splitlines() == ["I am here", "I am here", "I am here", "a/m"]
        assert [row.client for row in g.world.ledger.rows] == ["zig", "zig", "zeke"]
        g.world.calls = 3
