"""ghostd's own questions over HTTP: where a request would go, and what became of a reply."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from gateway_harness import CHAT, MESSAGES, Gateway, gateway
from routing_harness import upstream, whole

SETTINGS = 'routes.r.deployments = ["a/m"]'


async def explained(g: Gateway, body: Any) -> tuple[int, Any]:
    """Asked over the Unix socket, the only place where it can be asked."""
    connector = aiohttp.UnixConnector(str(g.served.socket))
    async with (
        aiohttp.ClientSession(connector=connector) as client,
        client.post("http://localhost/ghostd/v1/route/explain", json=body) as reply,
    ):
        return reply.status, await reply.json()


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ({"messages": MESSAGES}, ""),
        ({"prompt": "x"}, ""),
        ({"input": "x"}, ""),
    ],
    ids=["chat", "completions", "embeddings"],
)
async def test_every_kind_of_request_can_be_explained_and_leaves_no_trace(body: dict[str, Any], problem: str) -> None:
    async with gateway(SETTINGS, a := upstream("a", whole())) as g:
        status, found = await explained(g, {"model": "r", **body})
        assert (status, found["route"], found["problem"]) == (200, "r", problem)
        assert [candidate["name"] for candidate in found["candidates"]] == ["a/m"]
        assert not a.asked


@pytest.mark.parametrize(
    ("body", "status"), [({}, 400), ([], 400), ({"model": "nothing"}, 404), ({"model": "r", "api_base": "x"}, 400)]
)
async def test_what_cannot_be_explained_says_why_and_leaves_no_trace(body: Any, status: int) -> None:
    async with gateway(SETTINGS, upstream("a", whole())) as g:
        found, error = await explained(g, body)
        assert found == status
        assert error["error"]["message"]


async def test_explanations_are_not_for_the_network() -> None:
    async with gateway(SETTINGS, upstream("a", whole())) as g:
        url = g.served.url + "/ghostd/v1/route/explain"
        async with g.client.post(url, json={"model": "r", "messages": MESSAGES}) as reply:
            assert reply.status == 404


async def test_what_became_of_a_reply_is_noted_under_its_id() -> None:
    async with gateway(SETTINGS, upstream("a", whole())) as g:
        reply_id = (await g.post(CHAT)).headers["x-ghostd-id"]
        feedback = g.served.url + "/v1/ghostd/feedback"
        for kind, value in (("shown", 1.0), ("accepted", 1.0), ("thumb", -1.0)):
            async with g.client.post(feedback, json={"id": reply_id, "kind": kind, "value": value}) as reply:
                assert reply.status == 200
        assert [(o.request_id, o.kind, o.value) for o in g.world.ledger.outcomes] == [
            (reply_id, "shown", 1.0), (reply_id, "accepted", 1.0), (reply_id, "thumb", -1.0),
        ]  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        {"id": "x", "kind": "shown"},
        {"id": "req_" + "x" * 100, "kind": "shown"},
        {"id": "req_1", "kind": "thumb", "value": 0.5},
        {"id": "req_1", "kind": "accepted", "value": 2},
        {"id": "req_1", "kind": "liked"},
        {"id": "req_1", "kind": "shown", "comment": "secret"},
        {"kind": "shown"},
    ],
    ids=str,
)
async def test_feedback_that_makes_no_sense_is_refused(body: dict[str, Any]) -> None:
    async with gateway(SETTINGS, upstream("a", whole())) as g:
        async with g.client.post(g.served.url + "/v1/ghostd/feedback", json=body) as reply:
            assert reply.status == 400
        assert not g.world.ledger.outcomes


async def test_many_requests_at_once_each_have_their_row() -> None:
    async with gateway(SETTINGS, upstream("a", whole())) as g:
        answers = await asyncio.gather(*(g.post(CHAT) for _ in range(50)))
        assert {answer.status for answer in answers} == {200}
        assert {answer.headers["x-ghostd-id"] for answer in answers} == {row.id for row in g.world.ledger.rows}


async def test_a_field_that_nobody_knows_is_named() -> None:
    """By `param`, as OpenAI names an unknown parameter."""
    async with gateway(SETTINGS, upstream("a", whole())) as g:
        body = {"id": "req_1", "kind": "shown", "com`ment": "secret"}
        async with g.client.post(g.served.url + "/v1/ghostd/feedback", json=body) as reply:
            error = (await reply.json())["error"]
        assert (reply.status, error["param"]) == (400, "com`ment")
        assert error["message"] == "Unknown parameter: 'com`ment'."
