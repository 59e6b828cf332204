"""Batches of a real daemon that is killed amid them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import openai
import pytest
from batches.batch_world import CHAT, ENDED, echo, jsonl, said
from e2e.conftest import StartDaemon
from e2e.daemons import DaemonProcess

from ghostd.testing.scripted_upstream import Answer, Seen, scripted_upstream

pytestmark = pytest.mark.e2e

_CONFIG = """
frontends = []
[discovery]
servers = false
[project_model]
enabled = false
[batches]
concurrency = 3
[providers.acme]
preset = "openai-compatible"
base_urls = ["{url}/v1"]
keys = ["env:ACME_TEST_KEY"]
models = ["m"]
"""


async def test_kill_9_amid_two_batches_asks_nothing_twice_that_was_answered(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    """What was in flight when the daemon died is asked again, and nothing else."""
    asked: Counter[str] = Counter()
    dying = asyncio.Event()
    alive = True

    def serve(seen: Seen) -> Answer:
        if not seen.path.endswith("/chat/completions"):
            return Answer((b'{"data":[{"id":"m"}]}',), 200, {"content-type": "application/json"}, "length")
        if alive and asked.total() >= 40:
            dying.set()
            return Answer(silent=True, ending="hang")
        asked[said(seen)] += 1
        return echo(seen)

    async with scripted_upstream(serve) as upstream:
        config = tmp_path / "ghostd.toml"
        config.write_text(_CONFIG.format(url=upstream.url))
        environment = {"ACME_TEST_KEY": "sk-acme-0123456789abcdef"}

        daemons: list[DaemonProcess] = []

        async def client() -> openai.AsyncOpenAI:
            daemon = await asyncio.to_thread(start_daemon, f"--config={config}", environment=environment)
            daemons.append(daemon)
            return openai.AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key="unused", timeout=30)

        made: list[str] = []
        async with await client() as first:
            for name in ("one", "two"):
                lines = [
                    {
                        "custom_id": f"{name}-{number}",
                        "method": "POST",
                        "url": CHAT,
                        "body": {"model": "acme/m", "messages": [{"role": "user", "content": f"{name} {number}"}]},
                    }
                    for number in range(50)
                ]
                file = await first.files.create(file=("in.jsonl", jsonl(lines)), purpose="batch")
                batch = await first.batches.create(
                    input_file_id=file.id,
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                    metadata={"name": name},
                )
                made.append(batch.id)
            async with asyncio.timeout(30):
                await dying.wait()
            await asyncio.to_thread(daemons[0].kill)
        alive = False
        async with await client() as second:
            async with asyncio.timeout(60):
                while not all([(await second.batches.retrieve(found)).status in ENDED for found in made]):
                    await asyncio.sleep(0.05)
            for name, batch_id in zip(("one", "two"), made, strict=True):
                batch = await second.batches.retrieve(batch_id)
                assert (batch.status, batch.metadata) == ("completed", {"name": name})
                assert batch.request_counts is not None
                assert (batch.request_counts.total, batch.request_counts.completed) == (50, 50)
                text = (await second.files.content(str(batch.output_file_id))).text
                found = [json.loads(line) for line in text.splitlines()]
                assert [line["custom_id"] for line in found] == [f"{name}-{number}" for number in range(50)]
                for number, line in enumerate(found):
                    content = line["response"]["body"]["choices"][0]["message"]["content"]
                    assert content == f"you said {name} {number}"
    assert asked.keys() == {f"{name} {number}" for name in ("one", "two") for number in range(50)}
    assert asked.total() <= 100 + 3, "more than what was in flight has been asked again"
