"""What clients that fill holes say of ghostd: Tabby's agent and Mistral's SDK, installed once (see `tools`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from judges.tools import node_with, python_with, run

from ghostd.config.http import HttpConfig
from ghostd.config.settings import Config
from ghostd.engine import Engine
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import FillRequest

HERE = Path(__file__).parent
TABBY_AGENT = "tabby-agent@1.5.0"
MISTRAL_SDK = "mistralai==3.7.0"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.representative
async def test_tabbys_agent_completes_and_tells_what_became_of_it(tmp_path: Path) -> None:
    provider, ledger = ScriptedProvider(pieces=("return a", " + b")), MemoryLedger()
    engine = Engine(registry=Registry(Config(), [provider]), ledger=ledger)
    folder = node_with("tabby-agent", TABBY_AGENT)
    async with serving(engine=engine, config=HttpConfig(llamacpp_model="scripted-model")) as served:
        script = HERE / "tabby_agent.mjs"
        printed = await run("node", script, folder, served.url, env={"HOME": str(tmp_path)}, timeout_s=60)
    told = json.loads(printed.splitlines()[-1])
    assert told["reply"]["choices"][0]["text"] == "return a + b"
    assert (told["status"], told["issues"], told["noted"]) == ("ready", [], [True, True])
    assert told["health"]["model"] == "scripted-model"
    (request,) = provider.requests
    assert isinstance(request, FillRequest)
    assert (request.prefix, request.language) == ("def add(a, b):\n    ", "python")
    assert [(outcome.kind, outcome.request_id) for outcome in ledger.outcomes] == [
        ("shown", told["reply"]["id"]),
        ("accepted", told["reply"]["id"]),
    ]


async def test_mistrals_sdk_fills_whole_and_as_a_stream() -> None:
    python = python_with("mistralai", MISTRAL_SDK)
    async with serving(ScriptedProvider()) as served:
        told = json.loads(await run(python, HERE / "mistral_sdk.py", served.url, "scripted-model"))
    assert told == {
        "whole": "hello world",
        "total": 9,
        "streamed": "hello world",
        "finish": "stop",
        "counted": 9,
        "refused": [404, "model_not_found"],
    }
