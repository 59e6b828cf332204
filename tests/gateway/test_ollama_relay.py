"""Requests in Ollama's dialect for a server that speaks it: what goes there and what comes back, byte for byte."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from gateway_harness import gateway
from gateway_wire import eventually, wire
from ollama_harness import CHAT, EMBED, GENERATE, HELLO
from routing_harness import USAGE, hanging, upstream

from ghostd.errors import UpstreamFailed, UpstreamRejected
from ghostd.testing.scripted import ScriptedUpstreamProvider, Step
from ghostd.types import Relayed, RelayRequest

RELAYS = ("ollama.chat", "ollama.generate", "ollama.embed")
ROUTE = 'routes.r.deployments = ["a/m", {model = "b/m", order = 2}]\n'
WHOLE = b'{ "model":"m","message":{"role":"assistant","content":"h\\u00e9","brand_new":1},"done":true,"x":null}'
LINES = (
    b'{"model":"m","message":{"role":"assistant","content":"h"},"done":false,"brand_new":[1]}\n',
    b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop"}\n',
)


def whole(body: bytes = WHOLE) -> list[Step]:
    return [Relayed(body, True, USAGE, "stop")]


def stream() -> list[Step]:
    kind = "application/x-ndjson"
    return [Relayed(LINES[0], content_type=kind), Relayed(LINES[1], True, USAGE, "stop", kind)]


def asked(endpoint: ScriptedUpstreamProvider) -> RelayRequest:
    request = endpoint.asked[-1]
    assert isinstance(request, RelayRequest)
    return request


@pytest.mark.parametrize(("path", "operation"), [(CHAT, "ollama.chat"), (GENERATE, "ollama.generate")])
async def test_a_stream_passes_as_it_came_with_all_that_ghostd_does_not_know(path: str, operation: str) -> None:
    extra = {"prompt": "x", "brand_new": {"deep": [1, None]}, "template": "{{ .System }}", "context": [1, 2],
             "options": {"mirostat": 2, "newer": True}}  # fmt: skip
    async with gateway(ROUTE, a := upstream("a", stream(), relays=RELAYS)) as g:
        answer = await g.post(path, None, **extra)
        assert (answer.status, answer.body) == (200, b"".join(LINES))
        assert answer.headers["content-type"] == "application/x-ndjson"
        request = asked(a)
        assert (request.operation, request.model, request.stream) == (operation, "m", True)
        assert {name: json.loads(request.fields[name]) for name in extra} == extra
        assert "stream" not in request.fields
        assert (g.world.row.status, g.world.row.completion_tokens) == ("ok", 4)


async def test_a_whole_reply_passes_as_it_came() -> None:
    async with gateway(ROUTE, upstream("a", whole(), relays=RELAYS)) as g:
        answer = await g.post(CHAT, None, stream=False)
        assert (answer.status, answer.body) == (200, WHOLE)
        assert answer.headers["content-type"] == "application/json"


async def test_embeddings_pass_as_they_came() -> None:
    body = b'{"model":"m","embeddings":[[3,4]],"brand_new":1}'
    async with gateway(ROUTE, a := upstream("a", whole(body), relays=RELAYS)) as g:
        answer = await g.post(EMBED, None, input=["x"], truncate=True)
        assert answer.body == body
        assert json.loads(asked(a).fields["truncate"]) is True


async def test_an_ollama_server_loads_and_unloads_its_models_itself() -> None:
    body = b'{"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"load","brand_new":1}'
    async with gateway('routes.r.deployments = ["a/m"]', a := upstream("a", whole(body), relays=RELAYS)) as g:
        for path, more in ((CHAT, {"messages": []}), (GENERATE, {"messages": None})):
            answer = await g.post(path, None, keep_alive="10m", **more)
            assert answer.body == body
            assert (asked(a).stream, asked(a).fields["keep_alive"]) == (False, b'"10m"')


async def test_what_an_ollama_server_says_of_a_refusal_passes_as_it_came() -> None:
    said = b'{"error":"\\"m\\" does not support tools","brand_new":1}'
    refusal = UpstreamRejected("no tools", 400, body=said, operation="ollama.chat")
    async with gateway('routes.r.deployments = ["a/m"]', upstream("a", [refusal], relays=RELAYS)) as g:
        answer = await g.post(CHAT)
        assert (answer.status, answer.body) == (400, said)


async def test_a_server_of_another_dialect_takes_over() -> None:
    broken: list[Step] = [UpstreamFailed("out of order", 500)]
    async with gateway(ROUTE, upstream("a", broken, relays=RELAYS), upstream("b", HELLO, relays=())) as g:
        answer = await g.post(CHAT, None, stream=False)
        assert answer.json["message"]["content"] == "hello world"
        assert answer.headers["x-ghostd-deployment"] == "b/m"


async def test_a_client_of_the_closed_schema_gets_no_reply_that_was_passed_on() -> None:
    headers = {"User-Agent": "zig/0.16.0 (std.http)"}
    async with gateway(ROUTE, upstream("a", HELLO, relays=RELAYS)) as g:
        answer = await g.post(CHAT, headers, stream=False)
        assert sorted(answer.json["message"]) == ["content", "role"]
        assert "done_reason" not in answer.json


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("relays", [RELAYS, ()])
async def test_a_client_that_hangs_up_frees_the_upstream(begun: bool, relays: Any) -> None:
    first: list[Step] = [stream()[0] if relays else HELLO[0]] if begun else []
    a = upstream("a", [*first, asyncio.Event()], relays=relays)
    async with gateway('routes.r.deployments = ["a/m"]', a) as g:
        async with wire(g.served) as client:
            body = json.dumps({"model": "r", "messages": [{"role": "user", "content": "hi"}]}).encode()
            g.world.calls += 1
            await client.send(client.post(body, path=CHAT))
            await a.until_asked()
            if begun:
                await client.reader.readuntil(b'"h')
        async with asyncio.timeout(20):
            await a.until_closed()
        await eventually(lambda: bool(g.world.ledger.rows))
        assert g.world.row.status == "cancelled"


async def test_a_request_that_nobody_answers_says_so_in_ollamas_shape() -> None:
    settings = "routing.first_byte_s = 0.05\nrouting.retry_budget = 0\nroutes.r.deployments = ['a/m']"
    async with gateway(settings, upstream("a", hanging(), relays=RELAYS)) as g:
        answer = await g.post(CHAT)
        assert (answer.status, list(answer.json)) == (504, ["error"])
