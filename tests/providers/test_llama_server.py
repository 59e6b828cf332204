"""The provider against llama.cpp's real server, with a tiny model whose words are known."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from gguf_fixtures import ModelFile, model_file
from providers.openai_dialect import LlamaServerDialect

from ghostd.config.providers import ProviderConfig, UpstreamConfig
from ghostd.conversation import Message
from ghostd.errors import UpstreamRejected
from ghostd.ports import UpstreamProvider
from ghostd.providers import presets
from ghostd.providers.http.client import http_client
from ghostd.providers.keys import KeyPool
from ghostd.providers.upstream import Endpoint
from ghostd.testing.memory_secrets import MemorySecrets
from ghostd.testing.upstream_case import chatted, end_of, relay_request, relayed
from ghostd.types import ChatRequest, CompletionRequest, FillRequest, Sampling

__all__ = ["model_file"]
pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(importlib.util.find_spec("xllamacpp") is None, reason="xllamacpp is not installed"),
]
GREEDY = Sampling(temperature=0.0)
TALK = (Message("user", "Say hello."),)


@pytest.fixture
async def provider(model_file: ModelFile) -> AsyncIterator[UpstreamProvider]:
    script = Path(__file__).parent / "llama_server_process.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        str(model_file("qwen")),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None and process.stdin is not None
    try:
        async with asyncio.timeout(30):
            url = (await process.stdout.readline()).decode().strip()
        limits = UpstreamConfig(proxy="")
        keys = KeyPool("llama", ("env:NONE",), MemorySecrets(), asyncio.get_running_loop().time, optional=True)
        async with http_client(limits) as http:
            yield presets.llama_server(Endpoint("llama", url, ProviderConfig(), limits, keys, http))
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def test_everything_that_llama_server_offers(provider: UpstreamProvider) -> None:
    """One server for all of it: it takes a while to start."""
    await provider.check(20.0)
    (info,) = provider.models()
    assert {"chat", "complete", "fill", "embed"} <= info.capabilities and not info.remote
    model = info.id

    said = await chatted(provider, ChatRequest(model, TALK, GREEDY, max_tokens=16))
    finish, usage = end_of(said)
    text = "".join(delta.text for delta in said)
    assert text and finish in {"stop", "length"} and usage.completion_tokens > 0 and usage.prompt_tokens > 0

    async with aclosing(
        provider.complete(CompletionRequest(model, ("def add(a, b):",), sampling=GREEDY, max_tokens=3))
    ) as stream:
        assert end_of([delta async for delta in stream])[1].completion_tokens == 3

    async with aclosing(
        provider.fill(FillRequest(model, "def add(a, b):\n", "\n", max_tokens=8, sampling=GREEDY))
    ) as stream:
        filled = [delta async for delta in stream]
    assert "".join(delta.text for delta in filled) and end_of(filled)[1].completion_tokens > 0

    request = relay_request(LlamaServerDialect(), stream=True, text="Say hello.", temperature=0, max_tokens=16)
    pieces = await relayed(provider, request)
    events = [
        json.loads(line[6:]) for piece in pieces for line in piece.data.split(b"\n\n") if line.startswith(b"data: {")
    ]
    relayed_text = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    assert relayed_text == text
    assert pieces[-1].usage == usage

    with pytest.raises(UpstreamRejected) as caught:
        await chatted(provider, ChatRequest(model, (Message("user", "word " * 2000),), GREEDY))
    assert caught.value.reason == "context"

    wanted = Sampling(temperature=0.0, json_schema='{"type":"boolean"}')
    said = await chatted(provider, ChatRequest(model, TALK, wanted, max_tokens=16))
    assert json.loads("".join(delta.text for delta in said)) in {True, False}
