"""A real daemon's gateway when it is killed, and when its configuration changes, while requests run."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import openai
import pytest
from e2e.conftest import StartDaemon
from e2e.gateway_world import ANTHROPIC, HI, OPENAI, World, world
from gguf_fixtures import ModelFile, model_file

__all__ = ["model_file"]

pytestmark = [pytest.mark.e2e, pytest.mark.local_model]


@pytest.fixture
async def gateway(start_daemon: StartDaemon, tmp_path: Path, model_file: ModelFile) -> AsyncIterator[World]:
    async with world(start_daemon, tmp_path, model_file("qwen")) as made:
        yield made


async def test_kill_9_loses_no_row_of_an_answered_request(gateway: World) -> None:
    answered: list[str] = []
    hung = asyncio.Event()

    async def ask(number: int) -> None:
        try:
            while True:
                raw = await gateway.client.chat.completions.with_raw_response.create(
                    model="main", messages=HI, stream=number % 2 == 0
                )
                if number % 2 == 0:
                    async for _ in raw.parse():  # type: ignore[union-attr]
                        pass
                answered.append(raw.headers["x-ghostd-id"])
                if len(answered) >= 150:
                    hung.set()
        except openai.APIError:
            pass  # the daemon has died

    async with asyncio.TaskGroup() as tasks:
        for number in range(8):
            tasks.create_task(ask(number))
        async with asyncio.timeout(60):
            await hung.wait()
        await asyncio.to_thread(gateway.daemon.kill)
    rows = await gateway.rows(10_000)
    counts = [row["id"] for row in rows if row["status"] == "ok"]
    assert len(counts) == len(set(counts))
    assert set(answered) <= set(counts)
    await gateway.client.close()
    await gateway.begin()
    await gateway.client.chat.completions.create(model="main", messages=HI)
    again = [row["id"] for row in await gateway.rows(10_000)]
    assert len(again) == len(set(again)) == len(rows) + 1
    assert set(answered) <= set(again)


async def test_the_configuration_changes_while_requests_run(gateway: World) -> None:
    stop = asyncio.Event()
    outcomes: list[str] = []

    async def ask() -> None:
        while not stop.is_set():
            raw = await gateway.client.chat.completions.with_raw_response.create(model="main", messages=HI)
            outcomes.append(raw.headers["x-ghostd-deployment"])

    async def until(deployment: str) -> None:
        async with asyncio.timeout(20):
            while not outcomes or outcomes[-1] != deployment:
                await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(3):
            tasks.create_task(ask())
        await until(OPENAI)
        swapped = gateway.text.replace('"openai/gpt-4.1",\n', '{ model = "openai/gpt-4.1", order = 9 },\n')
        gateway.config.write_text(swapped)
        await until(ANTHROPIC)  # seen by itself

        gateway.config.write_text(gateway.text.replace('"openai/gpt-4.1",\n', '"openia/gpt-4.1",\n'))
        line = gateway.text.splitlines().index("[routes.main]") + 2
        refused = await gateway.command("ghostctl", "reload", check=False)
        assert f"{gateway.config}:{line}: " in refused
        assert "no provider 'openia' is configured; did you mean 'openai'?" in refused
        await until(ANTHROPIC)

        gateway.config.write_text(gateway.text)
        told = await gateway.command("ghostctl", "reload")
        assert told in ("in force: routes\n", "nothing to put into force\n"), "it may have been seen already"
        await until(OPENAI)
        stop.set()
    assert {row["status"] for row in await gateway.rows()} == {"ok"}


async def test_a_broken_file_is_told_in_the_log_and_not_used(gateway: World) -> None:
    gateway.config.write_text(gateway.text + "\n[routes.empty]\ndeployments = []\n")
    await asyncio.to_thread(gateway.daemon.wait_output, re.compile(r"the changed configuration is not used: .*:\d+: "))
    whole = await gateway.client.chat.completions.create(model="main", messages=HI)
    assert whole.choices[0].message.content == "I am gpt"
