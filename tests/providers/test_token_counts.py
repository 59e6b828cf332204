"""Token counts that services tell: what they are asked, and what counts where they do not answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from providers import anthropic_dialect, gemini_dialect
from providers.openai_dialect import OpenAIDialect

from ghostd.config.settings import Config
from ghostd.conversation import Message, Tool, Tools
from ghostd.engine import Engine
from ghostd.errors import UnsupportedParameter, UpstreamMalformed
from ghostd.ports import TokenCounter, UpstreamProvider
from ghostd.routing.registry import Registry
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, json_answer, scripted_upstream
from ghostd.testing.upstream_dialect import UpstreamDialect, opened
from ghostd.types import ChatRequest, CompletionRequest, Sampling

TALK = (Message("system", "Be brief."), Message("user", "hi"))
TOOLS = Tools((Tool("look", "Look up", '{"type":"object","properties":{}}'),))


@asynccontextmanager
async def service(dialect: UpstreamDialect) -> AsyncIterator[tuple[ScriptedUpstream, UpstreamProvider]]:
    async with scripted_upstream(dialect.serve) as upstream, opened(dialect, upstream) as provider:
        yield upstream, provider


def chat(model: str) -> ChatRequest:
    return ChatRequest(model, TALK, Sampling(temperature=0.5), 99, ("END",), TOOLS, user="me")


async def test_anthropic_counts_the_conversation_and_its_tools() -> None:
    async with service(anthropic_dialect.AnthropicDialect()) as (upstream, provider):
        assert isinstance(provider, TokenCounter)
        upstream.play(json_answer({"input_tokens": 42}))
        assert await provider.count_tokens(chat(anthropic_dialect.MODEL)) == 42
        seen = upstream.requests[0]
        assert seen.path.endswith("/v1/messages/count_tokens")
        assert set(seen.json) == {"model", "messages", "system", "tools"}  # it refuses all that only a reply needs
        with pytest.raises(UnsupportedParameter):
            await provider.count_tokens(CompletionRequest(anthropic_dialect.MODEL, ("x",)))


async def test_gemini_counts_the_whole_request() -> None:
    async with service(gemini_dialect.GeminiDialect()) as (upstream, provider):
        assert isinstance(provider, TokenCounter)
        upstream.play(json_answer({"totalTokens": 31}))
        assert await provider.count_tokens(chat(gemini_dialect.MODEL)) == 31
        seen = upstream.requests[0]
        assert seen.path.endswith(f"/{gemini_dialect.MODEL}:countTokens")
        asked = seen.json["generateContentRequest"]
        assert asked["model"] == f"models/{gemini_dialect.MODEL}"
        assert {"contents", "systemInstruction", "tools"} <= set(asked)


DIALECTS: tuple[tuple[Callable[[], UpstreamDialect], str], ...] = (
    (anthropic_dialect.AnthropicDialect, anthropic_dialect.MODEL),
    (gemini_dialect.GeminiDialect, gemini_dialect.MODEL),
)


@pytest.mark.parametrize(("dialect", "model"), DIALECTS)
@pytest.mark.parametrize("body", [{}, {"input_tokens": "many", "totalTokens": "many"}, [1]])
async def test_a_reply_that_is_no_count_is_malformed(
    dialect: Callable[[], UpstreamDialect], model: str, body: Any
) -> None:
    async with service(dialect()) as (upstream, provider):
        upstream.play(json_answer(body))
        assert isinstance(provider, TokenCounter)
        with pytest.raises(UpstreamMalformed):
            await provider.count_tokens(chat(model))


def engine(provider: UpstreamProvider) -> Engine:
    return Engine(registry=Registry(Config(), (), {provider.name: [provider]}))


@pytest.mark.parametrize(("dialect", "model"), DIALECTS)
@pytest.mark.parametrize(
    "answer",
    [json_answer({"error": {"message": "no such call"}}, 404), json_answer({}, 500), Answer((b"<html>",), 200)],
)
async def test_what_a_service_does_not_count_is_estimated(
    dialect: Callable[[], UpstreamDialect], model: str, answer: Answer
) -> None:
    async with service(dialect()) as (upstream, provider):
        name = f"{provider.name}/{model}"
        upstream.play(answer)
        found = await engine(provider).count_tokens(chat(name), 20)
        assert (found.deployment, found.tokens, found.exact) == (name, 20, False)
        upstream.play(json_answer({"input_tokens": 42, "totalTokens": 42}))
        found = await engine(provider).count_tokens(chat(name), 20)
        assert (found.tokens, found.exact) == (42, True)
        assert json.loads(upstream.requests[-1].body)


async def test_openais_tokens_are_estimated_without_a_request() -> None:
    async with service(OpenAIDialect()) as (upstream, provider):
        found = await engine(provider).count_tokens(chat(f"{provider.name}/model-1"), 20)
        assert (found.tokens, found.exact, upstream.requests) == (20, False, [])
