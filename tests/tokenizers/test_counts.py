"""Counts for OpenAI's models, asked at the doors. Expected numbers are those that OpenAI's API told its cookbook."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from providers.openai_dialect import OpenAIDialect

from ghostd.config.providers import ProviderConfig
from ghostd.config.settings import Config
from ghostd.conversation import Message
from ghostd.engine import Engine
from ghostd.providers.presets import openai as preset
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.scripted_upstream import scripted_upstream
from ghostd.testing.upstream_dialect import opened
from ghostd.tokenizers.names import vocabulary_of
from ghostd.tokenizers.service import OfflineTokenizers, open_tokenizers
from ghostd.types import ChatRequest, CompletionRequest

MODELS = ("gpt-4o", "gpt-4", "gpt-5-mini", "gpt-3.5-turbo-instruct", "some-model")
EXAMPLE: list[dict[str, Any]] = [
    {
        "role": "system",
        "content": "You are a helpful, pattern-following assistant that translates corporate jargon into plain "
        "English.",
    },
    {"role": "system", "name": "example_user", "content": "New synergies will help drive top-line growth."},
    {"role": "system", "name": "example_assistant", "content": "Things working well together will increase revenue."},
    {
        "role": "system",
        "name": "example_user",
        "content": "Let's circle back when we have more bandwidth to touch base on opportunities for increased "
        "leverage.",
    },
    {
        "role": "system",
        "name": "example_assistant",
        "content": "Let's talk later when we're less busy about how to do better.",
    },
    {
        "role": "user",
        "content": "This late pivot means we don't have time to boil the ocean for the client deliverable.",
    },
]
WEATHER: list[dict[str, Any]] = [
    {"role": "system", "content": "You are a helpful assistant that can answer to questions about the weather."},
    {"role": "user", "content": "What's the weather like in San Francisco?"},
]
TOOL: dict[str, Any] = {
    "type": "function",
    "name": "get_current_weather",
    "description": "Get the current weather in a given location",
    "parameters": {
        "type": "object",
        "properties": {
            "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
            "unit": {
                "type": "string",
                "description": "The unit of temperature to return",
                "enum": ["celsius", "fahrenheit"],
            },
        },
        "required": ["location"],
    },
}


class Dialect(OpenAIDialect):
    def settings(self) -> ProviderConfig:
        return ProviderConfig(models=MODELS)


@dataclass(frozen=True, slots=True)
class World:
    url: str
    client: aiohttp.ClientSession
    tokenizers: OfflineTokenizers
    engine: Engine
    asked: list[Any]

    async def post(self, path: str, model: str = "gpt-4o", **fields: Any) -> tuple[int, str, Any]:
        body = {"model": f"openai/{model}", **fields}
        async with self.client.post(self.url + path, data=json.dumps(body), headers=JSON) as reply:
            return reply.status, reply.headers.get("x-ghostd-count", ""), await reply.json()

    async def inputs(self, model: str, **fields: Any) -> tuple[int, str]:
        status, how, told = await self.post("/v1/responses/input_tokens", model, **fields)
        assert status == 200, told
        return told["input_tokens"], how


JSON = {"content-type": "application/json"}


@asynccontextmanager
async def counting(**options: Any) -> AsyncIterator[World]:
    dialect = Dialect(preset)
    async with (
        scripted_upstream(dialect.serve) as upstream,
        opened(dialect, upstream) as provider,
        open_tokenizers(**options) as tokenizers,
    ):
        engine = Engine(registry=Registry(Config(), (), {"openai": [provider]}))
        engine.tokens.known = tokenizers
        async with serving(engine=engine) as served, aiohttp.ClientSession() as client:
            yield World(served.url, client, tokenizers, engine, upstream.requests)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with counting() as made:
        yield made


@pytest.mark.parametrize(("model", "tokens"), [("gpt-4o", 124), ("gpt-4", 129)])
async def test_a_conversation_has_as_many_tokens_as_the_service_says(world: World, model: str, tokens: int) -> None:
    said = tuple(Message(message["role"], message["content"], message.get("name")) for message in EXAMPLE)
    found = await world.engine.count_tokens(ChatRequest(f"openai/{model}", said), 1)
    assert (found.tokens, found.exact) == (tokens, True)
    assert world.asked == []  # no model and no service


async def test_a_prompt_has_its_texts_tokens_and_those_given_by_id(world: World) -> None:
    request = CompletionRequest("openai/gpt-3.5-turbo-instruct", ("hello world", 15, "<|endoftext|>"))
    found = await world.engine.count_tokens(request, 1)
    assert (found.tokens, found.exact) == (2 + 1 + 7, True)


async def test_a_tool_is_counted_by_the_published_rule_and_called_an_estimate(world: World) -> None:
    assert await world.inputs("gpt-4o", input=WEATHER, tools=[TOOL]) == (101, "estimated")
    assert await world.inputs("gpt-4", input=WEATHER, tools=[TOOL]) == (105, "estimated")


async def test_a_reasoning_models_count_is_called_an_estimate(world: World) -> None:
    plain, _ = await world.inputs("gpt-4o", input="hi")
    assert await world.inputs("gpt-5-mini", input="hi") == (plain - 1, "estimated")


async def test_claude_code_gets_the_count_of_the_model_behind_its_dialect(world: World) -> None:
    said = [{"role": "user", "content": "hi"}]
    status, how, told = await world.post("/v1/messages/count_tokens", messages=said)
    assert (status, how, told) == (200, "exact", {"input_tokens": 8})


async def test_special_tokens_in_a_text_are_text(world: World) -> None:
    plain, _ = await world.inputs("gpt-4o", input="")
    count, how = await world.inputs("gpt-4o", input="<|endoftext|>")
    assert (count - plain, how) == (7, "exact")
    status, _, told = await world.post("/tokenize", content="<|endoftext|>", with_pieces=True)
    assert status == 200
    assert [token["piece"] for token in told["tokens"]] == ["<", "|", "end", "of", "text", "|", ">"]


@pytest.mark.covers("llamacpp.tokens", "of OpenAI's models", behind="openai")
async def test_tokenize_and_detokenize_agree_with_the_count(world: World) -> None:
    text = "Ein Zürcher Zug — 日本語 🎉\n\n    def f(x):\n\treturn x"
    status, _, told = await world.post("/tokenize", content=text)
    assert status == 200
    empty, _ = await world.inputs("gpt-4o", input="")
    count, _ = await world.inputs("gpt-4o", input=text)
    assert count - empty == len(told["tokens"])
    status, _, back = await world.post("/detokenize", tokens=told["tokens"])
    assert (status, back) == (200, {"content": text})


@pytest.mark.parametrize("token", [2**31 - 1, 199_998 + 5000])
async def test_a_token_that_the_vocabulary_lacks_is_named(world: World, token: int) -> None:
    status, _, told = await world.post("/detokenize", tokens=[15, token])
    assert status == 400
    assert told["error"]["param"] == "tokens"
    assert str(token) in told["error"]["message"]


async def test_what_is_no_text_is_estimated(world: World) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "auto"}
    said = [{"role": "user", "content": [{"type": "input_text", "text": "What is this?"}, image]}]
    count, how = await world.inputs("gpt-4o", input=said)
    assert (count > 0, how) == (True, "estimated")
    assert world.tokenizers.process.pid is None


async def test_other_models_are_estimated_and_have_no_tokenizer(world: World) -> None:
    _, how = await world.inputs("some-model", input="hi")
    assert how == "estimated"
    status, _, told = await world.post("/tokenize", "some-model", content="hi")
    assert (status, told["error"]["param"]) == (400, "model")
    assert world.tokenizers.process.pid is None


async def test_without_the_package_counts_are_estimated() -> None:
    async with counting(package="no_such_package_of_ghostd") as world:
        assert await world.inputs("gpt-4o", input="hi there") == (await world.inputs("some-model", input="hi there"))
        status, _, told = await world.post("/tokenize", content="hi")
        assert (status, told["error"]["param"]) == (400, "model")
        assert "token-counts" in told["error"]["message"]


async def test_the_process_starts_with_the_first_count_and_a_dead_one_is_replaced(world: World) -> None:
    tokenizers = world.tokenizers.process
    assert tokenizers.pid is None
    assert await world.inputs("gpt-4o", input="hi") == (8, "exact")
    first, process = tokenizers.pid, tokenizers._process
    assert process is not None
    os.kill(process.pid, 9)
    await process.wait()
    assert await world.inputs("gpt-4o", input="hi") == (8, "exact")
    assert world.tokenizers.process.pid != first


async def test_an_idle_process_ends() -> None:
    async with counting(idle_s=0.0) as world:
        assert await world.inputs("gpt-4o", input="hi") == (8, "exact")
        # Its time is over at once; whoever asks next starts another.
        assert await world.inputs("gpt-4o", input="hi") == (8, "exact")
    assert world.tokenizers.process.pid is None


async def test_nested_schemas_and_odd_ones_are_counted_without_a_fault(world: World) -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(25):
        deep = {"type": "object", "properties": {"more": deep, "enum": {"enum": [1, None, "x"]}}}
    tool = {"type": "function", "name": "deep", "parameters": deep}
    count, how = await world.inputs("gpt-4o", input="hi", tools=[tool])
    assert (count > 100, how) == (True, "estimated")


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o-mini-2024-07-18", "o200k_base"),
        ("openai/gpt-4.1-nano", "o200k_base"),
        ("ft:gpt-4o:me::x1", "o200k_base"),
        ("o4-mini", "o200k_base"),
        ("gpt-5.1-codex", "o200k_base"),
        ("gpt-4-turbo", "cl100k_base"),
        ("gpt-35-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("gpt-4.9", None),
        ("gpt-4o-audio-preview", None),
        ("gpt-oss-120b", None),
        ("o10", None),
        ("claude-sonnet-4-5", None),
        ("", None),
    ],
)
def test_a_model_is_known_by_its_name(model: str, vocabulary: str | None) -> None:
    found = vocabulary_of(model)
    assert (found.name if found is not None else None) == vocabulary
