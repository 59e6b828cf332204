"""Alarms ring in time, whatever else is set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ghostd.alarms import NEVER, Alarms, MovingAlarm


class Limit:
    """One that does this when it rings."""

    def __init__(self, due: float, act: Callable[[], None]) -> None:
        self.due = due
        self.ring = act


async def test_alarms_ring_when_they_are_due_and_not_once_they_are_taken_back() -> None:
    loop, alarms = asyncio.get_running_loop(), Alarms()
    rung: list[str] = []
    last = asyncio.Event()

    def ring(name: str) -> None:
        rung.append(name)
        if name == "late":
            last.set()

    now = loop.time()
    alarms.set(Limit(now + 0.04, lambda: ring("late")))
    alarms.set(Limit(now + 0.02, lambda: ring("early")))
    never = Limit(now + 0.01, lambda: ring("never"))
    alarms.set(never)
    alarms.take_back(never)
    async with asyncio.timeout(5):
        await last.wait()
    assert rung == ["early", "late"]


async def test_an_alarm_may_set_another_and_closing_takes_all_back() -> None:
    loop, alarms = asyncio.get_running_loop(), Alarms()
    second = asyncio.Event()

    def ring() -> None:
        alarms.set(Limit(loop.time(), second.set))

    alarms.set(Limit(loop.time(), ring))
    async with asyncio.timeout(5):
        await second.wait()
    unheard = asyncio.Event()
    alarms.set(Limit(loop.time(), unheard.set))
    alarms.close()
    alarms.set(Limit(loop.time() + 0.01, second.clear))
    async with asyncio.timeout(5):
        while second.is_set():
            await asyncio.sleep(0)
    assert not unheard.is_set()


async def test_a_limit_that_moves_rings_once_at_its_last_place() -> None:
    loop = asyncio.get_running_loop()
    rung: list[float] = []
    done = asyncio.Event()

    def ring() -> None:
        rung.append(loop.time())
        done.set()

    alarm = MovingAlarm(loop, ring)
    began = loop.time()
    alarm.move(began + 60)
    alarm.move(began + 0.01)
    alarm.move(began + 0.05)
    async with asyncio.timeout(5):
        await done.wait()
    assert len(rung) == 1 and rung[0] >= began + 0.049
    done.clear()
    alarm.move(began)
    alarm.due = NEVER
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    alarm.close()
    assert not done.is_set()
