"""Mistral's fill-in-the-middle: as its API has it, for any model, and passed on to Mistral as it came."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from gateway_harness import gateway
from routing_harness import USAGE, upstream

from ghostd.config.http import HttpConfig
from ghostd.errors import ContextTooLong
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import FillRequest, Relayed, RelayRequest

PATH = "/v1/fim/completions"
FILL = {"model": "scripted-model", "prompt": "def f(", "suffix": "):\n"}


async def ask(provider: ScriptedProvider, **body: Any) -> tuple[int, Any]:
    config = HttpConfig(llamacpp_model="scripted-model")
    async with (
        serving(provider, config=config) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + PATH, json=body) as reply,
    ):
        if reply.content_type == "text/event-stream":
            return reply.status, [event for event in (await reply.text()).split("\n\n") if event]
        return reply.status, await reply.json()


async def test_a_fill_has_mistrals_form() -> None:
    provider = ScriptedProvider()
    status, body = await ask(
        provider, **FILL, max_tokens=9, temperature=0.1, top_p=0.5, random_seed=3, stop="\n\n", metadata={"a": 1}
    )
    assert status == 200
    assert set(body) == {"id", "object", "created", "model", "choices", "usage"}
    assert (body["object"], body["model"]) == ("chat.completion", "scripted-model")
    message = {"role": "assistant", "content": "hello world", "tool_calls": None}
    assert body["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
    assert body["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    (request,) = provider.requests
    assert isinstance(request, FillRequest)
    assert (request.prefix, request.suffix, request.max_tokens, request.stop) == ("def f(", "):\n", 9, ("\n\n",))
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.seed) == (0.1, 0.5, 3)


async def test_a_stream_has_the_role_first_and_the_usage_last() -> None:
    status, (*events, done) = await ask(ScriptedProvider(), **FILL, stream=True)
    assert (status, done) == (200, "data: [DONE]")
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert {(chunk["id"], chunk["object"]) for chunk in chunks} == {(chunks[0]["id"], "chat.completion.chunk")}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert deltas == [{"role": "assistant", "content": "hello"}, {"content": " world"}, {"content": ""}]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert [chunk.get("usage") for chunk in chunks] == [
        None,
        None,
        {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    ]


async def test_a_prompt_alone_is_continued_and_the_model_may_be_left_to_the_settings() -> None:
    provider = ScriptedProvider()
    status, body = await ask(provider, prompt="def f(", suffix=None)
    assert (status, body["model"]) == (200, "scripted-model")
    assert (await ask(provider, **FILL, max_tokens=0))[1]["choices"][0]["message"]["content"] == ""
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": 5}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"suffix": []}, "suffix"),
        ({"temperature": 3}, "temperature"),
        ({"top_p": "x"}, "top_p"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"min_tokens": 5}, "min_tokens"),
        ({"random_seed": -1}, "random_seed"),
        ({"stop": {}}, "stop"),
        ({"stop": ["a"] * 65}, "stop"),
        ({"metadata": []}, "metadata"),
        ({"stream": "no"}, "stream"),
        ({"model": 1}, "model"),
        ({"api_key": "x"}, "api_key"),
    ],
)
async def test_what_is_wrong_is_told_in_mistrals_shape(fields: Any, param: str) -> None:
    provider = ScriptedProvider()
    status, body = await ask(provider, **{**FILL, **fields})
    assert status == 400 and not provider.requests
    assert set(body) == {"object", "message", "type", "param", "code"}
    assert (body["object"], body["type"], body["param"]) == ("error", "invalid_request_error", param)


async def test_other_errors_have_mistrals_shape() -> None:
    status, body = await ask(ScriptedProvider(), **{**FILL, "model": "nobody"})
    assert (status, body["object"], body["code"]) == (404, "error", "model_not_found")
    status, body = await ask(ScriptedProvider(error=ContextTooLong(9, 4)), **FILL)
    assert (status, body["code"]) == (400, "context_length_exceeded")


async def test_mistral_gets_the_request_as_it_came() -> None:
    reply = b'{"id":"x","object":"chat.completion","newer":1}'
    mistral = upstream("a", [Relayed(reply, True, USAGE)], relays=("mistral.fim",))
    async with gateway('routes.r.deployments = ["a/m"]\n', mistral) as g:
        answer = await g.post(PATH, prompt="x", suffix="y", min_tokens=3, newer={"than": "ghostd"})
        assert (answer.status, answer.body) == (200, reply)
        (request,) = mistral.asked
        assert isinstance(request, RelayRequest)
        assert (request.operation, request.fields["min_tokens"]) == ("mistral.fim", b"3")
        assert request.fields["newer"] == b'{"than": "ghostd"}'


async def test_an_alias_of_auto_fills_on_this_machine_only() -> None:
    away, here = upstream("a"), ScriptedProvider(capabilities=frozenset(("fill",)))
    async with gateway('aliases."codestral-latest" = "auto"\n', away, local=[here]) as g:
        answer = await g.post(PATH, model="codestral-latest", prompt="x")
        assert (answer.status, answer.json["model"], away.asked) == (200, "scripted-model", [])
