"""What has failed is not ranked last for ever: a check, or a success, brings it back."""

from __future__ import annotations

import asyncio

import pytest
from routing_harness import failing, upstream, whole, world

from ghostd.errors import UpstreamFailed

BY_QUALITY = """
[routes.r]
deployments = ["a/m", "b/m"]
policy = "quality"

[providers.a.model.m]
quality = 0.9

[providers.b.model.m]
quality = 0.8

[routing]
"""


async def test_a_failure_ranks_a_deployment_behind_others_until_a_check_finds_it_well() -> None:
    a = upstream("a", *failing(), whole("a again"))
    async with world(BY_QUALITY, a, upstream("b", *[whole("b")] * 3)) as w:
        assert [await w.ask() for _ in range(3)] == ["b", "b", "b"]
        assert len(a.asked) == 1
        health = w.deployment("a/m").health
        loop = asyncio.get_running_loop()
        assert not health.neglected(loop.time(), 30.0)
        await asyncio.sleep(31)
        assert health.neglected(loop.time(), 30.0)
        health.found_well(loop.time())
        assert not health.neglected(loop.time(), 30.0)
        assert await w.ask() == "a again"


async def test_a_check_ends_no_row_of_failures() -> None:
    """A server whose list of models works and whose models do not still rests."""
    a = upstream("a", *failing(3))
    async with world(BY_QUALITY + "breaker_failures = 3\n", a, upstream("b", *[whole("b")] * 5)) as w:
        loop = asyncio.get_running_loop()
        for _ in range(3):
            assert await w.ask() == "b"
            w.deployment("a/m").health.found_well(loop.time())
        assert w.deployment("a/m").health.state(loop.time()) == "half-open"
        assert len(a.asked) == 3


async def test_after_a_rest_it_gets_its_trial_though_others_answer() -> None:
    a = upstream("a", *failing(), whole("a again"))
    async with world(BY_QUALITY + "breaker_failures = 1\nrest_s = 5\n", a, upstream("b", *[whole("b")] * 3)) as w:
        assert [await w.ask() for _ in range(2)] == ["b", "b"]
        await asyncio.sleep(6)
        assert await w.ask() == "b"
        w.deployment("a/m").health.found_well(asyncio.get_running_loop().time())
        assert await w.ask() == "a again"


async def test_a_request_that_no_server_survives_takes_the_deployment_from_nobody_else() -> None:
    """Its repeats count as one failure; those of three requests rest the deployment."""
    a = upstream("a", *failing(6), whole(), *failing(9))
    async with world('routes.r.deployments = ["a/m"]\n[routing]\nbreaker_failures = 3\nmax_attempts = 3\n', a) as w:
        for _ in range(2):
            with pytest.raises(UpstreamFailed):
                await w.ask()
        assert len(a.asked) == 6, "each was repeated"
        health = w.deployment("a/m").health
        assert health.rests_until is None
        assert await w.ask() == "good"
        for _ in range(3):
            assert health.rests_until is None
            with pytest.raises(UpstreamFailed):
                await w.ask()
        assert health.rests_until is not None
