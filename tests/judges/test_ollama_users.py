"""Libraries that speak Ollama's API in their own words, installed once (see `tools`), in front of an OpenAI service."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from judges.tools import python_with, run
from providers.openai_dialect import OpenAIDialect
from routing_harness import configured

from ghostd.conversation import ToolCall
from ghostd.engine import Engine
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.scripted_upstream import Answer, Seen, scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, Reply, opened
from ghostd.types import Usage

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SCRIPT = Path(__file__).parent / "ollama_users.py"
LIBRARIES: dict[str, tuple[str, ...]] = {
    "langchain": ("langchain-ollama==1.1.0",),
    "litellm": ("litellm==1.110.2",),
    "llm": ("llm==0.36", "llm-ollama==0.19.1"),
    "llamaindex": ("llama-index-llms-ollama==0.11.0",),
}
SAID: dict[str, dict[str, Any]] = {
    "langchain": {
        "whole": "I am here",
        "streamed": "I am here",
        "later": "I am here",
        "calls": [["weather", {"city": "Paris"}]],
        "structured": "Paris",
        "prompted": "I am here",
        "vectors": 2,
    },
    "litellm": {
        "ollama": ["I am here", "I am here", True],
        "ollama_chat": ["I am here", "I am here", True],
        "vectors": 2,
    },
    "llm": {"whole": "I am here", "streamed": "I am here"},
    "llamaindex": {"whole": "I am here", "streamed": "I am here", "prompted": "I am here"},
}


def service(dialect: OpenAIDialect) -> Callable[[Seen], Answer]:
    """Calls the tools that it is offered, follows a schema, else says who it is."""

    def serve(seen: Seen) -> Answer:
        if dialect.call(seen) != "chat":
            return dialect.serve(seen)
        if seen.json.get("tools"):
            call = ToolCall("call_1", "weather", '{"city":"Paris"}')
            return dialect.chat(Reply((), "tool_calls", Usage(40, 20), (call,)))
        if "response_format" in seen.json:
            return dialect.chat(Reply(('{"city":', '"Paris"}')))
        return dialect.chat(Reply(("I am ", "here")))

    return serve


@pytest.mark.parametrize("library", list(LIBRARIES))
async def test_a_library_gets_what_it_expects(library: str, tmp_path: Path) -> None:
    python = python_with(f"ollama-{library}", *LIBRARIES[library])
    dialect = OpenAIDialect()
    async with scripted_upstream(service(dialect)) as upstream, opened(dialect, upstream) as provider:
        settings = f'providers.{PROVIDER}.preset = "openai"\naliases.helper = "{PROVIDER}/{dialect.chat_model}"'
        registry = Registry(configured(settings), [], {PROVIDER: [provider]})
        async with serving(engine=Engine(registry=registry)) as served:
            printed = await run(python, SCRIPT, library, served.url, "helper", env={"HOME": str(tmp_path)})
    assert json.loads(printed.splitlines()[-1]) == SAID[library]
