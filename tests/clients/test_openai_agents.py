"""OpenAI's Agents SDK, which asks by the Responses API, before obedient services of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from judges.tools import python_with, run
from obedient.places import KINDS, place

AGENTS = "openai-agents==0.24.0"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", KINDS)
async def test_agents_run_tools_stream_go_on_and_give_types(kind: str) -> None:
    python = python_with("openai-agents", AGENTS)
    script = Path(__file__).with_name("openai_agents.py")
    async with place(kind) as there:
        printed = await run(python, script, there.base_url, there.chat_model)
    assert json.loads(printed.splitlines()[-1]) == {
        "plain": "The tool says: sunny in Paris",
        "streamed": "The tool says: sunny in Oslo",
        "by id": "The tool says: sunny in Rome",
        "by history": "thanks",
        "typed": {"name": "Ann", "age": 7},
    }
