"""Requests of the Messages API to an upstream of the same dialect: passed on as they came, replies likewise."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_harness import gateway
from matrix.servers import KINDS, Place, place
from providers.anthropic_dialect import written
from routing_harness import USAGE, failing, upstream

from ghostd.testing.scripted_upstream import Answer, json_answer, sse_answer
from ghostd.testing.upstream_dialect import KEYS, Reply
from ghostd.types import Delta, Relayed, RelayRequest

ANTHROPIC = next(kind for kind in KINDS if kind.name == "anthropic")
HEADERS = {"anthropic-version": "2023-06-01", "x-api-key": "the-clients-own"}


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Place]:
    async with asyncio.timeout(20), place(ANTHROPIC, tmp_path) as found:
        yield found


async def post(there: Place, body: dict[str, Any], path: str = "/v1/messages?beta=true", **more: str) -> Any:
    """Status, headers and body of the reply."""
    async with (
        aiohttp.ClientSession(headers=HEADERS | more) as client,
        client.post(there.served.url + path, json=body) as reply,
    ):
        return reply.status, reply.headers, await reply.read()


def body_for(there: Place, **more: Any) -> dict[str, Any]:
    return {"model": there.model, "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **more}


async def test_a_request_goes_on_with_all_that_ghostd_does_not_know(there: Place) -> None:
    there.answers(Reply())
    asked = body_for(
        there,
        hologram={"depth": [1.10, None]},
        tools=[{"type": "web_search_20250305", "name": "web_search", "max_uses": 5}],
        temperature=7,
        mcp_servers=[{"type": "url", "url": "https://x.test", "name": "x"}],
    )
    beta = {"anthropic-beta": "something-newer-2031-01-01,context-1m-2025-08-07"}
    status, _, _ = await post(there, asked, **beta)
    assert status == 200
    (seen,) = there.upstream.requests
    assert seen.target == "/base/v1/messages?beta=true"
    assert seen.json == asked | {"model": ANTHROPIC.dialect().chat_model}
    assert seen.headers["anthropic-beta"] == beta["anthropic-beta"]
    assert seen.headers["x-api-key"] in KEYS, "never the client's"
    assert "the-clients-own" not in str(seen)


async def test_a_reply_comes_as_it_was_said(there: Place) -> None:
    message: dict[str, Any] = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5-20250929",
        "content": [{"type": "hologram", "depth": 3}, {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"}],
        "stop_reason": "pause_turn",
        "stop_sequence": None,
        "context_management": {"applied_edits": []},
        "usage": {"input_tokens": 3, "output_tokens": 4, "inference_geo": "eu"},
    }
    more = {"anthropic-ratelimit-requests-remaining": "7"}
    there.upstream.serve = lambda _: json_answer(message, headers=more)
    status, headers, body = await post(there, body_for(there))
    assert (status, json.loads(body)) == (200, message)
    assert headers["anthropic-ratelimit-requests-remaining"] == "7"


async def test_a_stream_comes_byte_by_byte(there: Place) -> None:
    events = list(there.dialect.chat(Reply(reasoning=("Hm.",))).pieces)
    newer = {"type": "content_block_delta", "index": 1, "delta": {"type": "scent_delta", "scent": "rose"}}
    events.insert(-3, written(newer))
    there.upstream.serve = lambda _: sse_answer(events)
    status, headers, body = await post(there, body_for(there, stream=True))
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    assert body == b"".join(events)


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_a_refusal_comes_as_it_was_said(there: Place, status: int) -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "no", "hue": 3}, "request_id": "u"}
    there.upstream.serve = lambda _: json_answer(error, status)
    found, _, body = await post(there, body_for(there))
    assert (found, json.loads(body)) == (status, error)


async def test_a_thread_that_the_next_service_does_not_hold_is_told_to_the_client() -> None:
    """It was begun where it was held; the client sends the whole conversation then."""
    settings = 'routes.r.deployments = ["a/m", {model = "b/m", order = 2}]\nrouting.max_attempts = 2'
    a = upstream("a", *failing(), relays=("anthropic.messages",))
    b = upstream("b", [Delta("Yes."), Delta(finish_reason="stop", usage=USAGE)], relays=())
    async with gateway(settings, a, b) as g:
        thread = {"type": "continue", "previous_message_id": "msg_1"}
        answer = await g.post("/v1/messages", max_tokens=5, thread=thread)
        assert answer.status == 400
        assert answer.json["error"]["details"] == {"error_code": "thread_unsupported_request"}
        assert not b.asked


@pytest.mark.parametrize("stream", [False, True])
async def test_an_overloaded_service_is_told_as_such(there: Place, stream: bool) -> None:
    there.upstream.serve = lambda _: there.dialect.error(529, "Overloaded", headers={"retry-after": "3"})
    status, headers, body = await post(there, body_for(there, stream=stream))
    assert (status, json.loads(body)["error"]["type"]) == (529, "overloaded_error")
    assert headers["retry-after"] == "3"


async def test_a_count_is_the_services_own(there: Place) -> None:
    there.upstream.serve = lambda _: json_answer({"input_tokens": 14, "context_management": None})
    asked = {key: value for key, value in body_for(there, hologram=1).items() if key != "max_tokens"}
    status, _, body = await post(there, asked, "/v1/messages/count_tokens?beta=true")
    assert (status, json.loads(body)) == (200, {"input_tokens": 14, "context_management": None})
    assert there.upstream.requests[0].json["hologram"] == 1
    assert [row.operation for row in there.ledger.rows] == ["anthropic.count_tokens"]


async def test_a_count_that_the_service_refuses_is_refused(there: Place) -> None:
    there.upstream.serve = lambda _: there.dialect.error(400, "no such tool")
    status, _, body = await post(there, body_for(there), "/v1/messages/count_tokens")
    assert (status, json.loads(body)["error"]["message"]) == (400, "no such tool")


@pytest.mark.parametrize("answer", [json_answer({"detail": "Not Found"}, 404), json_answer({}, 405)])
async def test_a_service_that_counts_nothing_has_its_prompts_estimated(there: Place, answer: Answer) -> None:
    there.upstream.serve = lambda _: answer
    status, headers, body = await post(there, body_for(there), "/v1/messages/count_tokens")
    assert (status, headers["x-ghostd-count"]) == (200, "estimated")
    assert json.loads(body)["input_tokens"] > 0


@pytest.mark.parametrize(("status", "kind"), [(401, "authentication_error"), (429, "rate_limit_error")])
async def test_a_count_that_fails_otherwise_is_no_estimate(there: Place, status: int, kind: str) -> None:
    there.upstream.serve = lambda _: there.dialect.error(status, "no")
    found, headers, _ = await post(there, body_for(there), "/v1/messages/count_tokens")
    assert found >= 400
    assert "x-ghostd-count" not in headers


async def test_thoughts_that_no_anthropic_model_has_signed_are_left_out(there: Place) -> None:
    """A conversation that began with another provider's model goes on with one of Anthropic's, which refuses them."""
    there.answers(Reply())
    own = {"type": "thinking", "thinking": "Hm.", "signature": "EqQBCgIYAhIM"}
    foreign = {"type": "thinking", "thinking": "Well.", "signature": "ghostd.e30"}
    quoted = {"type": "tool_use", "id": "t1", "name": "x", "input": {"signature": "ghostd.e30", "n": 1.10}}
    said = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [foreign]},
        {"role": "assistant", "content": [own, foreign, quoted], "hue": 3},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": '"signature":"ghostd.'}]},
    ]
    assert (await post(there, body_for(there, messages=said)))[0] == 200
    sent = there.upstream.requests[0].json["messages"]
    assert sent == [said[0], {"role": "assistant", "content": [own, quoted], "hue": 3}, said[3]]


async def test_a_stream_that_is_cut_ends_with_an_error(there: Place) -> None:
    pieces = there.dialect.chat(Reply()).pieces
    there.upstream.serve = lambda _: Answer(pieces[:5], headers={"content-type": "text/event-stream"}, ending="cut")
    status, _, body = await post(there, body_for(there, stream=True))
    assert status == 200
    *_, last = body.removesuffix(b"\n\n").split(b"\n\n")
    assert last.startswith(b'event: error\ndata: {"type":"error"')


async def test_a_conversation_fails_over_to_another_dialect_and_back() -> None:
    """What only one service understands goes to that one alone."""
    settings = 'routes.r.deployments = ["a/m", {model = "b/m", order = 2}]\nrouting.max_attempts = 2'
    a = upstream("a", *failing(), [Relayed(b"{}", True, USAGE)], relays=("anthropic.messages",))
    b = upstream("b", [Delta(reasoning="Hm."), Delta("Yes."), Delta(finish_reason="stop", usage=USAGE)], relays=())
    own = {"type": "thinking", "thinking": "Mine.", "signature": "EqQB"}
    said: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
        {"role": "assistant", "content": [own, {"type": "text", "text": "Hello."}]},
        {"role": "user", "content": "and?"},
    ]
    more = {"max_tokens": 3000, "thinking": {"type": "adaptive", "display": "summarized"}, "hologram": 1}
    async with gateway(settings, a, b) as g:
        first = await g.post("/v1/messages", messages=said, **more)
        assert first.headers["x-ghostd-deployment"] == "b/m"
        content = first.json["content"]
        assert [block["type"] for block in content] == ["thinking", "text"]
        said += [{"role": "assistant", "content": content}, {"role": "user", "content": "go on"}]
        g.world.deployment("a/m").health.found_well(asyncio.get_running_loop().time())
        second = await g.post("/v1/messages", messages=said, **more)
        assert second.headers["x-ghostd-deployment"] == "a/m"
    asked = a.asked[-1]
    assert isinstance(asked, RelayRequest)
    sent = json.loads(asked.fields["messages"])
    assert sent[1]["content"][0] == own
    assert sent[3]["content"] == [{"type": "text", "text": "Yes."}]
    assert sent[0] == said[0]
    assert asked.fields["hologram"] == b"1"
