"""Claude Code itself, unchanged, with ghostd in front of every kind of service."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from clients.claude_code import ask
from gateway_harness import gateway
from gguf_fixtures import CHAT_TEXT, ModelFile, model_file, models_dir
from matrix.servers import KINDS, Place, place, spoken
from routing_harness import USAGE, upstream

from ghostd.config.local import LocalConfig
from ghostd.config.settings import Config
from ghostd.conversation import ToolCall, ToolCallDelta
from ghostd.engine import Engine
from ghostd.errors import ContextTooLong
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted_upstream import Answer, Seen
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import ChatRequest, Delta
from ghostd.workers.provider import local_provider

__all__ = ["model_file", "models_dir"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
CALLED = ("anthropic", "gemini", "ollama", "openai", "openai-compatible", "mistral", "llama-server")
TOOLS = ("Bash", "Read")


@pytest.fixture(
    params=[
        pytest.param(kind, id=str(kind), marks=pytest.mark.representative if kind.name == "openai" else ())
        for kind in KINDS
        if kind.name in CALLED
    ]
)
async def there(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A gateway before one kind of service."""
    async with place(request.param, tmp_path) as found:
        yield found


def working(there: Place, project: Path) -> None:
    """The service's model makes a file, looks at it by two tools at once, and says that it is done."""
    written = ToolCall("call_1", "Bash", json.dumps({"command": "echo naïve > made.txt", "description": "make it"}))
    looked = (
        ToolCall("call_2", "Read", json.dumps({"file_path": str(project / "made.txt")})),
        ToolCall("call_3", "Bash", json.dumps({"command": "wc -c made.txt", "description": "count it"})),
    )
    replies = [
        Reply(("I make ", "it."), "tool_calls", tool_calls=(written,), reasoning=("A file ", "is wanted.")),
        Reply((), "tool_calls", tool_calls=looked),
        Reply(("All ", "done.")),
    ]

    def serve(seen: Seen) -> Answer:
        asked = sum(b"command" in request.body for request in there.upstream.requests)
        return spoken(there.dialect, seen, replies[min(asked, 3) - 1])

    there.upstream.serve = serve


async def test_a_tool_loop_is_finished(there: Place, tmp_path: Path) -> None:
    project = tmp_path / "project"
    working(there, project)
    said = await ask(there.served.url, tmp_path, "Make a file.", "--model", there.model, tools=TOOLS)
    assert (said["subtype"], said["is_error"], said["result"]) == ("success", False, "All done."), said
    assert await asyncio.to_thread((project / "made.txt").read_text, "utf-8") == "naïve\n"
    bodies = [seen.body.decode() for seen in there.upstream.requests]
    assert len(bodies) == 3
    assert "7 made.txt" in bodies[2], "the result of the second of two parallel calls"
    assert bodies[2].count("naïve") + bodies[2].count("na\\u00efve") >= 2, "the call, and the file that it made"
    assert (said["usage"]["input_tokens"], said["usage"]["output_tokens"]) == (36, 15)
    assert [(row.status, row.prompt_tokens, row.client) for row in there.ledger.rows] == [("ok", 12, "claude-cli")] * 3
    if there.kind.name == "gemini":
        assert bodies[1].count("c2lnbmF0dXJl") == 1, "what Gemini wants back with its call"
    if there.kind.name == "ollama":
        assert "A file is wanted." in bodies[1], "thoughts go back to the model that had them"


@pytest.mark.local_model
async def test_a_model_on_this_machine_finishes_a_tool_loop(
    tmp_path: Path, model_file: ModelFile, models_dir: Path
) -> None:
    """Its weights begin a call, which the grammar of its template completes, and answer once there is a result."""
    await asyncio.to_thread(shutil.copy, model_file("caller"), models_dir / "tiny.gguf")
    ledger = MemoryLedger()
    async with local_provider(LocalConfig(), models_dir, tmp_path) as provider:
        await provider.refresh()
        engine = Engine(registry=Registry(Config(), (provider,)), ledger=ledger)
        async with serving(engine=engine) as served:
            said = await ask(served.url, tmp_path, "Hi.", "--model", "tiny", "--tools", "Read",
                "--system-prompt", "You read files.", tools=("Read",),
            )  # fmt: skip
    assert (said["is_error"], said["result"], said["num_turns"]) == (False, CHAT_TEXT, 2), said
    assert [(row.status, row.deployment) for row in ledger.rows] == [("ok", "tiny")] * 2


def asked(request: object) -> ChatRequest:
    assert isinstance(request, ChatRequest)
    return request


async def test_its_own_model_names_go_where_the_configuration_says(tmp_path: Path) -> None:
    """The smaller model that it asks beside the main one, too."""
    settings = 'routes.r.deployments = ["a/m"]\nrouting.unknown_model = "fallback"'
    reply = [Delta("Hello."), Delta(finish_reason="stop", usage=USAGE)]
    async with gateway(settings, a := upstream("a", reply, relays=())) as g:
        for model in ("opus", "claude-haiku-4-5"):
            said = await ask(g.served.url, tmp_path, "Hi.", "--model", model)
            assert said["result"] == "Hello.", said
        g.world.calls = len(g.world.ledger.rows)
    assert all(asked(request).messages for request in a.asked)


async def test_names_that_say_claude_are_offered_in_its_own_list(tmp_path: Path) -> None:
    settings = 'routes.r.deployments = ["a/m"]\naliases."claude-local" = "r"'
    reply = [Delta("Hello."), Delta(finish_reason="stop", usage=USAGE)]
    async with gateway(settings, upstream("a", reply, relays=())) as g:
        said = await ask(g.served.url, tmp_path, "Hi.", "--model", "claude-local")
        assert said["result"] == "Hello.", said
        g.world.calls = len(g.world.ledger.rows)
    found = await asyncio.to_thread((tmp_path / "home" / ".claude" / "cache" / "gateway-models.json").read_bytes)
    assert [model["id"] for model in json.loads(found)["models"]] == ["claude-local"]


async def test_tools_that_it_loads_later_are_offered_then(tmp_path: Path) -> None:
    search = ToolCallDelta(0, '{"query":"select:CronList"}', "call_1", "ToolSearch")
    script = [Delta(tool_calls=(search,)), Delta(finish_reason="tool_calls", usage=USAGE)]
    reply = [Delta("Done."), Delta(finish_reason="stop", usage=USAGE)]
    settings = 'routes.r.deployments = ["a/m"]\naliases."claude-opus-5-5" = "r"'
    async with gateway(settings, a := upstream("a", script, reply, relays=())) as g:
        said = await ask(g.served.url, tmp_path, "Hi.", "--model", "claude-opus-5-5")
        assert said["is_error"] is False, said
        g.world.calls = len(g.world.ledger.rows)
    before, after = ({tool.name for tool in asked(request).tools.tools} for request in a.asked)
    assert after - before == {"CronList"}
    assert "DeferredToolPlaceholder" not in after


async def test_a_prompt_that_is_too_long_is_understood(tmp_path: Path) -> None:
    error = ContextTooLong(210_000, 200_000)
    async with gateway('routes.r.deployments = ["a/m"]', upstream("a", [error], relays=())) as g:
        said: Any = await ask(g.served.url, tmp_path, "Hi.", "--model", "r")
        g.world.calls = len(g.world.ledger.rows)
    assert said["is_error"] is True
    assert said["result"].startswith("Prompt is too long"), said
