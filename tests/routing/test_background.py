"""Work that nobody waits for leaves room for those who wait."""

from __future__ import annotations

import asyncio

import pytest
from routing_harness import World, chat, deltas, upstream

from ghostd.errors import RateLimited
from ghostd.routing.limits import Limits
from ghostd.testing.scripted import ScriptedProvider

ROUTE = 'routes.r.deployments = ["a/m"]\n'


def test_a_share_of_the_rates_is_left_to_others() -> None:
    limit = Limits(rpm=10, tpm=1000)
    for _ in range(7):
        assert limit.wait_s(10, 0.0, spared=0.2) == 0
        limit.take(10, 0.0)
    limit.take(10, 0.0)
    assert limit.wait_s(10, 0.0, spared=0.2) == pytest.approx(6)
    assert limit.wait_s(10, 0.0) == 0
    limit.take(700, 0.0)
    assert limit.wait_s(100, 0.0) == 0
    assert limit.wait_s(100, 0.0, spared=0.2) > 0


@pytest.mark.parametrize("limit", [Limits(rpm=1), Limits(tpm=1), Limits(max_concurrency=1)])
def test_the_smallest_limit_lets_background_work_through(limit: Limits) -> None:
    assert limit.wait_s(1, 0.0, spared=0.2) == 0


def test_one_place_of_several_stays_free() -> None:
    limit = Limits(max_concurrency=2)
    limit.take(0, 0.0)
    assert limit.wait_s(0, 0.0) == 0
    assert limit.wait_s(0, 0.0, spared=0.2) == 1
    limit.give_back(0, 0)
    assert limit.wait_s(0, 0.0, spared=0.2) == 0


async def test_background_work_takes_turns_on_a_model_of_this_machine() -> None:
    """A request that somebody waits for stands behind one that nobody waits for at most."""
    hold = asyncio.Event()
    local = ScriptedProvider(model="mine", hold=hold)
    world = World("", local=[local])
    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(world.ask(chat("mine", interactive=False)))
        await settle()
        assert local.started == 1
        tasks.create_task(world.ask(chat("mine")))
        await settle()
        assert local.started == 2
        hold.set()
    assert local.started == 4
    assert [row.status for row in world.ledger.rows] == ["ok"] * 4
    world.check()


async def test_background_work_waits_longer_for_room_than_others() -> None:
    """Beyond routing.max_backoff_s, until its place is free."""
    settings = ROUTE + "routing.max_backoff_s = 0.01\nproviders.a.max_concurrency = 1\n"
    hold = asyncio.Event()
    world = World(settings, a := upstream("a", [hold, *deltas("first")], deltas("second"), relays=()))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(world.ask(chat(interactive=False)))
        await a.until_asked()
        second = tasks.create_task(world.ask(chat(interactive=False)))
        with pytest.raises(RateLimited):
            await world.ask(chat())
        assert not second.done()
        hold.set()
    assert (first.result(), second.result()) == ("first", "second")


async def settle() -> None:
    """Let everything come to where it waits."""
    for _ in range(20):
        await asyncio.sleep(0)
