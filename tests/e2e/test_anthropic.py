"""Anthropic's official SDK against a real daemon with a model on this machine."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam
from e2e.conftest import StartDaemon
from gguf_fixtures import CHAT_TEXT, ModelFile, model_file

__all__ = ["model_file"]

pytestmark = [pytest.mark.e2e, pytest.mark.local_model]
HI: list[MessageParam] = [{"role": "user", "content": "hi"}]


@pytest.fixture
async def client(start_daemon: StartDaemon, model_file: ModelFile, ghostd_home: Path) -> AsyncIterator[AsyncAnthropic]:
    """Of a daemon with one model."""
    folder = ghostd_home / "data" / "models"
    await asyncio.to_thread(folder.mkdir, parents=True)
    await asyncio.to_thread(shutil.copy, model_file("qwen"), folder / "tiny.gguf")
    daemon = await asyncio.to_thread(start_daemon)
    async with AsyncAnthropic(api_key="any", base_url=daemon.url, max_retries=0, timeout=40) as made:
        yield made


async def test_a_local_model_answers_and_its_tokens_are_counted_alike(client: AsyncAnthropic) -> None:
    asked: list[MessageParam] = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm.", "signature": "ghostd.e30"}]},
        {"role": "user", "content": [{"type": "text", "text": "and?"}]},
    ]
    for said in (HI, asked):
        reply = await client.messages.create(
            model="tiny", max_tokens=50, extra_body={"temperature": 0}, system="Be brief.", messages=said
        )
        assert [block.text for block in reply.content if block.type == "text"] == [CHAT_TEXT]
        assert reply.stop_reason == "end_turn"
        counted = await client.messages.count_tokens(model="tiny", system="Be brief.", messages=said)
        assert counted.input_tokens == reply.usage.input_tokens + (reply.usage.cache_read_input_tokens or 0)


async def test_a_local_model_streams(client: AsyncAnthropic) -> None:
    async with client.messages.stream(model="tiny", max_tokens=3, extra_body={"temperature": 0}, messages=HI) as stream:
        texts = [text async for text in stream.text_stream]
        message = await stream.get_final_message()
    assert CHAT_TEXT.startswith("".join(texts))
    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3)


async def test_the_stop_sequence_of_a_local_model_is_told(client: AsyncAnthropic) -> None:
    reply = await client.messages.create(
        model="tiny", max_tokens=50, extra_body={"temperature": 0}, messages=HI, stop_sequences=["nowhere", " tiny"]
    )
    assert [block.text for block in reply.content if block.type == "text"] == [CHAT_TEXT.partition(" tiny")[0]]
    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", " tiny")
