"""A real daemon before an OpenAI, an Anthropic and an Ollama server that play scripts, and a local model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from e2e.conftest import StartDaemon
from e2e.daemons import DaemonProcess
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam
from providers.anthropic_dialect import AnthropicDialect
from providers.ollama_dialect import OllamaDialect
from providers.openai_dialect import OpenAIDialect, wire_usage

from ghostd.conversation import ToolCall
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen, json_answer, scripted_upstream
from ghostd.testing.upstream_dialect import Reply, UpstreamDialect
from ghostd.types import FinishReason, Usage

KEYS = {"OPENAI_TEST_KEY": "sk-openai-0123456789abcdef", "ANTHROPIC_TEST_KEY": "sk-ant-0123456789abcdef"}
OPENAI, ANTHROPIC, OLLAMA, LOCAL = "openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "ollama/qwen3:8b", "tiny"
HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Who are you?"}]
CALLS = (
    ToolCall("call_a1", "weather", '{"city":"Paris"}'),
    ToolCall("call_b2", "weather", '{"city":"Rome"}'),
)

_CONFIG = """
frontends = []

[discovery]
servers = false
ollama_store = false
lm_studio = false
llama_cpp = false
huggingface = false

[project_model]
enabled = false

[routing]
policy = "quality"
connect_s = {patience_s}
first_byte_s = {patience_s}
reply_s = {patience_s}
idle_s = {patience_s}
{routing}

[providers.openai]
base_urls = ["{openai}/v1"]
keys = ["env:OPENAI_TEST_KEY"]
models = ["gpt-4.1"]

[providers.openai.model."gpt-4.1"]
quality = 0.9
price = {{ input = 2, output = 8, cached_input = 0.5 }}

[providers.anthropic]
base_urls = ["{anthropic}/base"]
keys = ["env:ANTHROPIC_TEST_KEY"]
models = ["claude-sonnet-4-5"]

[providers.anthropic.model."claude-sonnet-4-5"]
quality = 0.8
price = {{ input = 3, output = 15, cached_input = 0.3 }}

[providers.ollama]
base_urls = ["{ollama}/base"]
models = ["qwen3:8b"]

[providers.ollama.model."qwen3:8b"]
quality = 0.7

[local.models.tiny]
path = "{gguf}"

[routes.main]
deployments = [
    "openai/gpt-4.1",
    {{ model = "anthropic/claude-sonnet-4-5", order = 2 }},
    {{ model = "ollama/qwen3:8b", order = 3 }},
    {{ model = "tiny", order = 4 }},
]

[aliases]
"gpt-4" = "main"
"""


def reply_to(body: dict[str, Any], name: str) -> Reply:
    """What a healthy server says: it calls the tools it is offered, follows a schema, else says who it is."""
    if body.get("tools") and not _has_results(body):
        finish: FinishReason = "tool_calls"
        return Reply((), finish, Usage(40, 20, cached_tokens=8), CALLS)
    if any(key in body for key in ("response_format", "output_config", "output_format", "format")):
        return Reply(('{"city":', f'"{name}"', "}"), usage=Usage(30, 9))
    return Reply(("I am ", name), usage=Usage(21, 6, cached_tokens=4))


def _has_results(body: dict[str, Any]) -> bool:
    return any(
        message["role"] == "tool" or "tool_result" in str(message.get("content")) for message in body["messages"]
    )


def whole_openai(reply: Reply) -> Answer:
    """A chat completion that is not streamed."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in reply.tool_calls
    ]
    message = {"role": "assistant", "content": "".join(reply.text) or None, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
    return json_answer(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1760000000,
            "model": "gpt-4.1-2025-04-14",
            "choices": [choice],
            "usage": wire_usage(reply.usage),
        }
    )


def serving_as(dialect: UpstreamDialect, name: str) -> Callable[[Seen], Answer]:
    """A healthy server of a dialect."""

    def serve(seen: Seen) -> Answer:
        if dialect.call(seen) != "chat":
            return dialect.serve(seen)
        body = seen.json
        reply = reply_to(body, name)
        if isinstance(dialect, OpenAIDialect) and not body.get("stream"):
            return whole_openai(reply)
        return dialect.chat(reply)

    return serve


@dataclass(slots=True)
class World:
    """All of it. The daemon's home may get a second daemon after the first one's death."""

    openai: ScriptedUpstream
    anthropic: ScriptedUpstream
    ollama: ScriptedUpstream
    config: Path
    text: str
    start: StartDaemon
    daemon: DaemonProcess = field(init=False)
    client: AsyncOpenAI = field(init=False)

    async def begin(self) -> None:
        """Start a daemon."""
        self.daemon = await asyncio.to_thread(self.start, f"--config={self.config}", environment=KEYS)
        self.client = AsyncOpenAI(base_url=f"{self.daemon.url}/v1", api_key="unused", max_retries=0, timeout=30)

    async def command(self, *arguments: str, check: bool = True) -> str:
        """What a command prints, on standard output and error."""
        done = await asyncio.to_thread(self.daemon.command, *arguments, check=check)
        return done.stdout + done.stderr

    async def rows(self, limit: int = 1000) -> list[dict[str, Any]]:
        """The ledger, the newest request first."""
        found: list[dict[str, Any]] = json.loads(
            await self.command("ghostctl", "requests", "--json", f"--limit={limit}")
        )
        return found

    def break_openai(self, fault: str) -> None:
        """From now on the primary fails in one way."""
        healthy = serving_as(OpenAIDialect(), "gpt")

        def serve(seen: Seen) -> Answer:
            if fault == "500":
                return json_answer({"error": {"message": "boom", "type": "server_error"}}, 500)
            if fault == "hang":
                return Answer(ending="hang", silent=True)
            answer = healthy(seen)
            if answer.framing == "length":
                return replace(answer, ending="cut")
            return replace(answer, pieces=answer.pieces[:1], ending="cut")  # the role, and no more

        self.openai.serve = serve


@asynccontextmanager
async def world(
    start: StartDaemon, folder: Path, gguf: Path, routing: str = "", *, patience_s: float = 20
) -> AsyncIterator[World]:
    """The servers, and the daemon, which `start` ends. It waits for so long for a server that hangs."""
    async with AsyncExitStack() as servers:
        openai, anthropic, ollama = [
            await servers.enter_async_context(scripted_upstream(serving_as(dialect, name)))
            for dialect, name in (
                (OpenAIDialect(), "gpt"),
                (AnthropicDialect(), "claude"),
                (OllamaDialect(), "qwen"),
            )
        ]
        text = _CONFIG.format(
            openai=openai.url,
            anthropic=anthropic.url,
            ollama=ollama.url,
            gguf=gguf,
            patience_s=patience_s,
            routing=routing,
        )
        config = folder / "ghostd.toml"
        config.write_text(text)
        found = World(openai, anthropic, ollama, config, text, start)
        await found.begin()
        try:
            yield found
        finally:
            await found.client.close()
            await asyncio.to_thread(found.daemon.close)
