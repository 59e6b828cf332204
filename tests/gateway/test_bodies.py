"""The bodies of all requests together have a bound: further ones wait their turn, or are told to come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
from gateway_harness import CHAT, Gateway, gateway
from routing_harness import upstream, whole

from ghostd.errors import Overloaded
from ghostd.gateway import app
from ghostd.gateway.bodies import Bodies
from ghostd.testing.scripted import ScriptedUpstreamProvider

SIZE = 300_000
JSON = {"Content-Type": "application/json"}


def settings(limit: int) -> str:
    """One that takes bodies of up to a million bytes."""
    return f'routes.r.deployments = ["a/m"]\n[http]\nmax_body_bytes = 1000000\nmax_bodies_bytes = {limit}\n'


def body(size: int = SIZE) -> bytes:
    return json.dumps({"model": "r", "messages": [{"role": "user", "content": "x" * size}]}).encode()


async def status(g: Gateway, data: Any) -> int:
    """Of the reply to a chat with this body."""
    g.world.calls += 1
    async with g.client.post(g.served.url + CHAT, data=data, headers=JSON) as reply:
        await reply.read()
        return reply.status


async def asked(provider: ScriptedUpstreamProvider, count: int) -> None:
    """So many requests have reached the upstream."""
    async with asyncio.timeout(10):
        await provider.until_asked(count)


async def test_one_waits_until_another_is_over_and_small_ones_pass() -> None:
    gate = asyncio.Event()
    a = upstream("a", [gate, *whole()], whole(), whole())
    async with gateway(settings(SIZE + 100_000), a) as g, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(status(g, body()))
        await asked(a, 1)
        second = tasks.create_task(status(g, body()))
        assert await status(g, body(10)) == 200
        assert len(a.asked) == 2 and not second.done()
        gate.set()
        assert (await first, await second) == (200, 200)


async def test_who_waits_for_too_long_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "Bodies", partial(Bodies, patience_s=0.5))
    gate = asyncio.Event()
    a = upstream("a", [gate, *whole()], whole())
    async with gateway(settings(SIZE), a) as g, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(status(g, body()))
        await asked(a, 1)
        async with g.client.post(g.served.url + CHAT, data=body(), headers=JSON) as reply:
            error = (await reply.json())["error"]
            assert (reply.status, error["code"]) == (503, "overloaded")
            assert "http.max_bodies_bytes" in error["message"]
            assert int(reply.headers["retry-after"]) >= 1
        gate.set()
        assert await first == 200
        assert await status(g, body()) == 200, "all of it is free again"


async def test_a_body_of_unknown_length_is_taken_for_the_largest() -> None:
    more, begun = asyncio.Event(), asyncio.Event()

    async def pieces() -> AsyncIterator[bytes]:
        yield body()[:200_000]
        begun.set()
        await more.wait()
        yield body()[200_000:]

    a = upstream("a", whole())
    async with gateway(settings(1_000_000), a) as g, asyncio.TaskGroup() as tasks:
        first = tasks.create_task(status(g, pieces()))
        await begun.wait()
        assert await status(g, body(10)) == 200
        second = tasks.create_task(status(g, body()))
        assert await status(g, body(11)) == 200
        assert not second.done() and len(a.asked) == 2
        more.set()
        assert (await first, await second) == (200, 200)


async def test_turns_come_in_order_and_those_who_leave_lose_theirs() -> None:
    budget = Bodies(100)
    await budget.take(60)
    turns = [asyncio.create_task(budget.take(size)) for size in (50, 10, 30)]
    await asyncio.sleep(0)
    assert not any(turn.done() for turn in turns) and not budget.take_now(1)
    turns[0].cancel()
    await asyncio.gather(turns[0], return_exceptions=True)
    await asyncio.gather(*turns[1:])
    assert budget.used_bytes == 100
    for size in (60, 10, 30):
        budget.give_back(size)
    assert budget.used_bytes == 0


async def test_one_body_always_has_room() -> None:
    budget = Bodies(100, patience_s=0)
    await budget.take(1_000)
    with pytest.raises(Overloaded):
        await budget.take(1)
    budget.give_back(1_000)
    assert budget.take_now(1)


async def test_a_turn_that_comes_as_its_waiter_leaves_is_given_back() -> None:
    budget = Bodies(100)
    await budget.take(100)
    turn = asyncio.create_task(budget.take(100))
    await asyncio.sleep(0)
    budget.give_back(100)
    turn.cancel()
    await asyncio.gather(turn, return_exceptions=True)
    assert budget.used_bytes in (0, 100) and (budget.used_bytes == 0) == turn.cancelled()
