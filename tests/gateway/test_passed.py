"""Calls of OpenAI's API that are only passed on to a service that has them."""

from __future__ import annotations

from pathlib import Path

import pytest
from gateway_harness import gateway
from routing_harness import USAGE, upstream

from ghostd.errors import UpstreamModelMissing
from ghostd.gateway.dialects.openai.passed import PATHS
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import Relayed, RelayRequest

ROUTE = 'routes.r.deployments = ["a/m", {model = "b/m", order = 2}]\n'
REPLY = b'{"id":"x_1","newer":[1, 2]}'


@pytest.mark.covers("openai.moderations", behind="openai", state="passed on")
@pytest.mark.covers("openai.images", behind="openai", state="passed on")
@pytest.mark.covers("openai.audio", behind="openai", state="passed on")
@pytest.mark.parametrize(("path", "operation"), PATHS.items())
async def test_each_call_goes_to_the_service_that_offers_it_and_comes_back_as_it_came(
    path: str, operation: str
) -> None:
    offering = upstream("b", [Relayed(REPLY, True, USAGE)], relays=(operation,))
    async with gateway(ROUTE, a := upstream("a"), offering) as g:
        answer = await g.post(path, input="hi", unknown={"field": 1})
        assert (answer.status, answer.body) == (200, REPLY)
        assert answer.headers["x-ghostd-deployment"] == "b/m"
        (request,) = offering.asked
        assert isinstance(request, RelayRequest)
        assert (request.operation, request.fields["unknown"]) == (operation, b'{"field": 1}')
        assert a.asked == []
        assert g.world.row.operation == operation


@pytest.mark.parametrize("path", [*PATHS, "/v1/embeddings"])
async def test_a_service_that_lacks_a_call_is_asked_for_others_all_the_same(path: str) -> None:
    relays = ("openai.chat", "openai.embeddings", *PATHS.values())
    scripts = ([UpstreamModelMissing("Not Found (status 404)")], [Relayed(REPLY, True, USAGE)])
    async with gateway('routes.r.deployments = ["a/m"]\n', upstream("a", *scripts, relays=relays)) as g:
        answer = await g.post(path, input="hi")
        assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
        assert (await g.post()).body == REPLY


async def test_sound_keeps_its_type() -> None:
    sound = [Relayed(b"ID3\x00\xff", content_type="audio/mpeg"), Relayed(b"more", True, content_type="audio/mpeg")]
    async with gateway(ROUTE, upstream("a", sound, relays=("openai.audio.speech",)), upstream("b")) as g:
        answer = await g.post("/v1/audio/speech", input="hi")
        assert (answer.body, answer.headers["content-type"]) == (b"ID3\x00\xffmore", "audio/mpeg")


@pytest.mark.covers("openai.moderations", behind=("anthropic", "gemini", "ollama", "local"), state="refused")
async def test_what_nobody_offers_is_refused_with_the_reason() -> None:
    local = ScriptedProvider(model="local-model")
    async with gateway(ROUTE, upstream("a"), upstream("b"), local=[local]) as g:
        for model in ("r", "local-model", "auto"):
            answer = await g.post("/v1/moderations", model=model, input="hi")
            assert (answer.status, answer.json["error"]["code"]) == (400, "unsupported_parameter")
            assert "does not offer openai.moderations" in answer.json["error"]["message"]
        assert local.requests == []


def test_the_page_names_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "http-api.md").read_text("utf-8")
    for path in PATHS:
        assert f"`POST {path}`" in page
