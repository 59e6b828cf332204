"""What a service has no place for, and is a mere wish, is left out; the reply says so in `x-ghostd-reason`."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from providers.ollama_dialect import OllamaDialect
from providers.openai_dialect import OpenAIDialect
from routing_harness import configured

from ghostd.engine import Engine
from ghostd.routing.registry import Registry
from ghostd.testing.gateway import serving
from ghostd.testing.scripted_upstream import scripted_upstream
from ghostd.testing.upstream_dialect import PROVIDER, Reply, UpstreamDialect, opened
from ghostd.types import Usage

MESSAGES: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
RESPONSES: dict[str, Any] = {"input": "hi", "text": {"verbosity": "low"}, "store": False}


@pytest.mark.parametrize(
    ("dialect", "path", "asked", "told"),
    [
        (OpenAIDialect(), "/v1/messages", {**MESSAGES, "top_k": 5}, ", without top_k"),
        (OpenAIDialect(), "/v1/messages", {**MESSAGES, "top_p": 0.5}, ""),
        (OllamaDialect(), "/v1/messages", {**MESSAGES, "top_k": 5}, ""),
        (OllamaDialect(), "/v1/responses", RESPONSES, ", without verbosity"),
    ],
)
async def test_what_is_left_out_is_told(dialect: UpstreamDialect, path: str, asked: dict[str, Any], told: str) -> None:
    reply = dialect.chat(Reply(("hello",), "stop", Usage(3, 1)))
    async with scripted_upstream(lambda _: reply) as upstream, opened(dialect, upstream) as provider:
        settings = f'providers.{PROVIDER}.preset = "openai"'
        engine = Engine(registry=Registry(configured(settings), [], {PROVIDER: [provider]}))
        async with serving(engine=engine) as served, aiohttp.ClientSession() as client:
            body = {"model": f"{PROVIDER}/{dialect.chat_model}", **asked}
            async with client.post(served.url + path, json=body) as answer:
                assert answer.status == 200, await answer.text()
                assert answer.headers["x-ghostd-reason"] == "asked for by name" + told
