"""The coding agent Codex finishes its tool loops through ghostd's Responses API, on every kind of service."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from clients.npm import installed
from matrix.servers import KINDS, Kind, spoken
from responses_harness import door

from ghostd.config.settings import Config
from ghostd.conversation import ToolCall
from ghostd.engine import Engine
from ghostd.routing.registry import Registry
from ghostd.testing.memory_ledger import MemoryLedger
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen, scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, Reply, opened
from ghostd.types import Usage

VERSION = "0.169.0"
KNOWN_MODEL = "gpt-5.5"
"""A name that this version of Codex knows: it then offers `apply_patch` as a tool of free text."""
DONE = "The file is there."
PATCH = '*** Begin Patch\n*** Add File: made.txt\n+made by a "patch"\n*** End Patch\n'
USAGE = Usage(1200, 50)
CONFIG = """
model = "{model}"
model_provider = "ghostd"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.ghostd]
name = "ghostd"
base_url = "{url}/v1"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0

[analytics]
enabled = false
"""
CELLS = [
    pytest.param(kind, id=str(kind), marks=[pytest.mark.representative] if kind.name == "anthropic" else [])
    for kind in KINDS
]


@dataclass(frozen=True, slots=True)
class Service:
    url: str
    """Of the gateway."""
    model: str
    upstream: ScriptedUpstream
    ledger: MemoryLedger


@asynccontextmanager
async def served(kind: Kind, replies: Sequence[Reply]) -> AsyncIterator[Service]:
    """A gateway before a service that gives these replies, one after the other."""
    dialect = kind.dialect()
    left = list(replies)

    def serve(seen: Seen) -> Answer:
        if seen.method != "POST":
            return dialect.models(dialect.names())
        return spoken(dialect, seen, left.pop(0))

    async with scripted_upstream(serve) as upstream, opened(dialect, upstream) as provider:
        model = f"{PROVIDER}/{dialect.chat_model}"
        settings = {
            "providers": {PROVIDER: {"preset": "openai-compatible", "base_urls": [provider.endpoint]}},
            "aliases": {KNOWN_MODEL: model},
        }
        ledger = MemoryLedger()
        engine = Engine(
            registry=Registry(msgspec.convert(settings, Config), (), {PROVIDER: (provider,)}), ledger=ledger
        )
        async with door(engine) as found:
            yield Service(found.served.url, model, upstream, ledger)
        await engine.router.close()


async def codex(home: Path, project: Path, url: str, model: str, prompt: str) -> list[dict[str, Any]]:
    """The events of one run of `codex exec`; it is ended at the latest with the test."""
    modules = await installed(f"@openai/codex@{VERSION}")
    for folder in (home, project):
        await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread((home / "config.toml").write_text, CONFIG.format(model=model, url=url))
    process = await asyncio.create_subprocess_exec(
        modules / ".bin" / "codex", "exec", "--json", "--skip-git-repo-check", prompt,
        cwd=project,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(home)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        async with asyncio.timeout(120):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, (out + err).decode(errors="replace")[-3000:]
    return [json.loads(line) for line in out.splitlines()]


def said(events: list[dict[str, Any]]) -> list[str]:
    """What the agent told its user."""
    items = [event["item"] for event in events if event["type"] == "item.completed"]
    return [item["text"] for item in items if item["type"] == "agent_message"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", CELLS)
async def test_it_runs_a_command(kind: Kind, tmp_path: Path) -> None:
    arguments = json.dumps({"cmd": "echo made by a command > made.txt && cat made.txt"})
    call = ToolCall("call_one1", "exec_command", arguments)
    replies = [Reply(("I make it.",), "tool_calls", USAGE, (call,)), Reply((DONE,), usage=USAGE)]
    async with served(kind, replies) as there:
        events = await codex(tmp_path / "home", tmp_path / "project", there.url, there.model, "Make the file.")
        assert (tmp_path / "project" / "made.txt").read_text() == "made by a command\n"
        assert said(events) == ["I make it.", DONE]
        assert b"made by a command" in there.upstream.requests[-1].body.split(b"echo made by a command", 1)[1]
        usage = next(event["usage"] for event in events if event["type"] == "turn.completed")
        assert (usage["input_tokens"], usage["output_tokens"]) == (2 * 1200, 2 * 50)
        assert [row.status for row in there.ledger.rows] == ["ok", "ok"]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", CELLS)
async def test_it_applies_a_patch(kind: Kind, tmp_path: Path) -> None:
    """Codex offers the tool as one of free text, and takes a call of no other kind."""
    if kind.name in ("openai", "openai-compatible", "llama-server"):
        pytest.skip("requests for responses pass to it as they came: it has tools of free text itself, or not")
    call = ToolCall("call_one1", "apply_patch", json.dumps({"input": PATCH}))
    replies = [Reply((), "tool_calls", USAGE, (call,)), Reply((DONE,), usage=USAGE)]
    async with served(kind, replies) as there:
        events = await codex(tmp_path / "home", tmp_path / "project", there.url, KNOWN_MODEL, "Make the file.")
        assert (tmp_path / "project" / "made.txt").read_text() == 'made by a "patch"\n'
        assert said(events) == [DONE]
        assert b"Success. Updated the following files" in there.upstream.requests[-1].body


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_it_is_told_what_went_wrong(tmp_path: Path) -> None:
    kind = next(kind for kind in KINDS if kind.name == "anthropic")
    async with served(kind, []) as there:
        there.upstream.serve = lambda _: kind.dialect().error(400, "that was wrong")
        with pytest.raises(AssertionError, match="that was wrong"):
            await codex(tmp_path / "home", tmp_path / "project", there.url, KNOWN_MODEL, "Make the file.")
