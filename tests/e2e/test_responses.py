"""Stored responses of a real daemon, over kill -9, and a local model behind the Responses API."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import openai
import pytest
from e2e.conftest import StartDaemon
from gguf_fixtures import ModelFile, model_file
from openai import AsyncOpenAI
from providers.anthropic_dialect import MODEL, AnthropicDialect
from responses_harness import judged

from ghostd.testing.scripted_upstream import Answer, Seen, scripted_upstream
from ghostd.testing.upstream_dialect import Reply

__all__ = ["model_file"]

pytestmark = [pytest.mark.e2e]

CONFIG = """
frontends = []
project_model.enabled = false
discovery = {{ servers = false, ollama_store = false, lm_studio = false, llama_cpp = false, huggingface = false }}

[providers.anthropic]
base_urls = ["{url}/base"]
keys = ["env:ANTHROPIC_TEST_KEY"]
models = ["{model}"]
"""


def healthy(seen: Seen) -> Answer:
    return AnthropicDialect().chat(Reply())


async def test_kill_9_keeps_what_was_stored(start_daemon: StartDaemon, ghostd_home: Path, tmp_path: Path) -> None:
    config = tmp_path / "ghostd.toml"
    async with scripted_upstream(healthy) as upstream:
        config.write_text(CONFIG.format(url=upstream.url, model=MODEL))
        environment = {"ANTHROPIC_TEST_KEY": "sk-ant-0123456789abcdef"}

        def start() -> Any:
            return start_daemon(f"--config={config}", environment=environment)

        daemon = await asyncio.to_thread(start)
        asked: dict[str, Any] = {"model": f"anthropic/{MODEL}"}
        async with AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key="unused", max_retries=0) as client:
            first = await client.responses.create(**asked, input="remember the word plum")
            conversation = await client.conversations.create(metadata={"a": "b"})
            await client.responses.create(**asked, input="in a conversation", conversation=conversation.id)
            forgotten = await client.responses.create(**asked, input="forget this", store=False)
            upstream.serve = lambda _: Answer(ending="hang", silent=True)
            stuck = await client.responses.create(**asked, input="never", background=True)
            await upstream.requested(4)
        await asyncio.to_thread(daemon.kill)
        upstream.serve = healthy
        again = await asyncio.to_thread(start)
        async with AsyncOpenAI(base_url=f"{again.url}/v1", api_key="unused", max_retries=0) as client:
            assert (await client.responses.retrieve(first.id)).output_text == first.output_text
            assert (await client.responses.retrieve(stuck.id)).status == "failed"
            items = await client.conversations.items.list(conversation.id)
            assert len(items.data) == 2
            await client.responses.create(**asked, input="which word?", previous_response_id=first.id)
            assert b"plum" in upstream.requests[-1].body
            with pytest.raises(openai.NotFoundError):
                await client.responses.retrieve(forgotten.id)
    folder = ghostd_home / "data" / "responses"
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.local_model
async def test_a_local_model_answers(start_daemon: StartDaemon, ghostd_home: Path, model_file: ModelFile) -> None:
    """Its weights are random: what it says is noise, but a schema holds it, and the rules of streams hold for it."""
    folder = ghostd_home / "data" / "models"
    await asyncio.to_thread(lambda: folder.mkdir(parents=True))
    model = await asyncio.to_thread(model_file, "qwen")
    await asyncio.to_thread((folder / "tiny.gguf").write_bytes, await asyncio.to_thread(model.read_bytes))
    daemon = await asyncio.to_thread(start_daemon)
    asked: dict[str, Any] = {"model": "tiny", "max_output_tokens": 24}
    async with AsyncOpenAI(base_url=f"{daemon.url}/v1", api_key="unused", max_retries=0) as client:
        first = await client.responses.create(**asked, input="hi", temperature=0)
        assert first.status in ("completed", "incomplete")
        assert first.usage
        assert first.usage.input_tokens > 0
        count = await client.responses.input_tokens.count(model="tiny", input="hi")
        assert count.input_tokens == first.usage.input_tokens, "as the model's own tokenizer counts"
        second = await client.responses.create(**asked, input="more", previous_response_id=first.id)
        assert second.usage
        assert second.usage.input_tokens > first.usage.input_tokens
        async with client.responses.with_streaming_response.create(
            **asked, input="hi", temperature=0, stream=True
        ) as raw:
            streamed = judged(await raw.read())[-1]["response"]
        assert streamed["output"][0]["content"] == [part.model_dump() for part in first.output[0].content]
        schema = {
            "type": "object",
            "properties": {"n": {"type": "boolean"}},
            "required": ["n"],
            "additionalProperties": False,
        }
        held = await client.responses.create(
            model="tiny", input="hi", text={"format": {"type": "json_schema", "name": "n", "schema": schema}}
        )
        assert isinstance(json.loads(held.output_text)["n"], bool)
