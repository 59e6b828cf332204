"""Responses that a service makes itself: they pass as they came, and are kept here all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_harness import before, events_of
from routing_harness import USAGE, deltas, failing, upstream

from ghostd.errors import UpstreamFailed, UpstreamModelMissing, UpstreamRejected
from ghostd.gateway.dialects.responses.thoughts import seal
from ghostd.testing.scripted import ScriptedUpstreamProvider, Step
from ghostd.types import ChatRequest, Relayed, RelayRequest

BOTH = ("openai.chat", "openai.responses")
OUTPUT: list[dict[str, Any]] = [
    {"id": "rs_1", "type": "reasoning", "summary": []},
    {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "newer": 1,
     "content": [{"type": "output_text", "text": "Hello", "annotations": []}]},
]  # fmt: skip
SSE = "text/event-stream"


def response(identifier: str = "resp_up", **more: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "background": False,
        "output": OUTPUT,
        "previous_response_id": None,
        "conversation": None,
        "unknown": {"field": [1]},
        **more,
    }


def whole(identifier: str = "resp_up", **more: Any) -> list[Step]:
    return [Relayed(json.dumps(response(identifier, **more)).encode(), True, USAGE, "completed")]


def event(number: int, kind: str, **members: Any) -> bytes:
    data = {"type": kind, "sequence_number": number, **members}
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def streamed(identifier: str = "resp_up") -> list[Step]:
    begun = response(identifier, status="in_progress", output=[])
    return [
        Relayed(event(0, "response.created", response=begun), content_type=SSE),
        Relayed(event(1, "response.output_text.delta", delta='"previous_response_id":null'), content_type=SSE),
        Relayed(event(2, "response.completed", response=response(identifier)), True, USAGE, "completed", SSE),
    ]


def asked(provider: ScriptedUpstreamProvider, number: int = -1) -> dict[str, Any]:
    """The body of a relayed request."""
    request = provider.asked[number]
    assert isinstance(request, RelayRequest)
    return {name: json.loads(value) for name, value in request.fields.items()}


async def test_request_and_reply_pass_as_they_came() -> None:
    script = whole()
    async with before(upstream("a", *failing()), b := upstream("b", script, relays=BOTH)) as d:
        fields = {"model": "r", "input": "hi", "store": False, "tools": [{"type": "web_search"}], "newer": {"x": 1}}
        async with d.http.post(f"{d.served.url}/v1/responses", json=fields) as reply:
            assert (reply.status, await reply.read()) == (200, script[0].data)  # type: ignore[union-attr]
            assert reply.headers["x-ghostd-deployment"] == "b/m"
        assert asked(b) == fields


async def test_a_stream_passes_event_by_event_after_a_failover() -> None:
    a = upstream("a", *failing(), relays=BOTH)
    async with before(a, upstream("b", streamed(), relays=BOTH)) as d:
        body = await d.raw_stream(input="hi")
        assert body == b"".join(step.data for step in streamed() if isinstance(step, Relayed))


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_service_has_answered_is_kept_and_goes_on_elsewhere(stream: bool) -> None:
    """The next request goes to a service that has seen nothing of it: the history goes along."""
    a = upstream("a", streamed() if stream else whole(), *failing(), relays=BOTH)
    b = upstream("b", whole("resp_b"), relays=BOTH)
    async with before(a, b) as d:
        if stream:
            await d.raw_stream(input="hi")
        else:
            await d.post(model="r", input="hi")
        status, kept = await d.get("/v1/responses/resp_up")
        assert (status, kept["output"], kept["unknown"]) == (200, OUTPUT, {"field": [1]})
        status, reply = await d.post(
            model="r", input=[{"role": "user", "content": "more"}], previous_response_id="resp_up"
        )
        assert (status, reply["id"], reply["previous_response_id"]) == (200, "resp_b", "resp_up")
        body = asked(b)
        assert "previous_response_id" not in body
        first, second, third = body["input"]
        assert (first["role"], first["content"]) == ("user", [{"type": "input_text", "text": "hi"}])
        assert second == {name: value for name, value in OUTPUT[1].items() if name != "id"}, "ids mean nothing there"
        assert third == {"role": "user", "content": "more"}


async def test_a_stream_says_again_what_it_continues_and_text_is_left_alone() -> None:
    async with before(upstream("a", whole("resp_1"), streamed("resp_2"), relays=BOTH)) as d:
        await d.post(model="r", input="hi")
        events = events_of(await d.raw_stream(input="more", previous_response_id="resp_1"))
        assert events[0]["response"]["previous_response_id"] == "resp_1"
        assert events[1]["delta"] == '"previous_response_id":null'
        assert events[2]["response"]["previous_response_id"] == "resp_1"
        assert (await d.get("/v1/responses/resp_2"))[1]["previous_response_id"] == "resp_1"


async def test_a_response_that_only_the_service_knows_is_its_own_business() -> None:
    async with before(
        upstream("chat", deltas(), relays=("openai.chat",)), b := upstream("b", whole(), relays=BOTH)
    ) as d:
        status, _ = await d.post(model="r", input="hi", previous_response_id="resp_elsewhere")
        assert status == 200
        assert asked(b)["previous_response_id"] == "resp_elsewhere"
        # What follows here goes on from there, too.
        await d.post(model="r", input="more", previous_response_id="resp_up")
        body = asked(b)
        assert body["previous_response_id"] == "resp_elsewhere"
        assert body["input"][0]["content"] == [{"type": "input_text", "text": "hi"}]
        assert body["input"][-1]["content"] == "more"


async def test_thoughts_that_another_service_has_sealed_are_not_sent_on() -> None:
    sealed = {"type": "reasoning", "id": "rs_x", "summary": [], "encrypted_content": seal([], {"c": "s"})}
    foreign = {"type": "reasoning", "id": "rs_y", "summary": [], "encrypted_content": "gAAAA"}
    own_call = {"type": "function_call", "id": "fc_gh01", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": "1"}
    async with before(a := upstream("a", whole(), relays=BOTH)) as d:
        await d.post(model="r", input=[sealed, foreign, own_call, result], store=False)
        assert asked(a)["input"] == [foreign, {k: v for k, v in own_call.items() if k != "id"}, result]


async def test_nothing_is_kept_that_is_not_to_be_stored() -> None:
    async with before(upstream("a", whole(), relays=BOTH)) as d:
        await d.post(model="r", input="hi", store=False)
        assert (await d.get("/v1/responses/resp_up"))[0] == 404


async def test_a_service_without_the_call_is_asked_for_a_conversation_and_not_again() -> None:
    lacking: list[Step] = [UpstreamModelMissing("Not Found (status 404)")]
    async with before(a := upstream("a", lacking, deltas("yes"), deltas("again"), relays=BOTH)) as d:
        for text in ("yes", "again"):
            status, reply = await d.post(model="r", input="hi")
            assert (status, reply["output"][0]["content"][0]["text"]) == (200, text)
        assert [type(request) for request in a.asked] == [RelayRequest, ChatRequest, ChatRequest]


@pytest.mark.parametrize(
    ("member", "status", "code"),
    [("previous_response_id", 400, "previous_response_not_found"), ("conversation", 404, "conversation_not_found")],
)
async def test_a_service_without_the_call_never_answers_without_the_history(
    member: str, status: int, code: str
) -> None:
    """What nobody here has kept, only a service with the call could know."""
    lacking: list[Step] = [UpstreamModelMissing("Not Found (status 404)")]
    async with before(a := upstream("a", lacking, deltas("yes"), relays=BOTH)) as d:
        assert (await d.post(model="r", input="hi"))[0] == 200
        for stream in (False, True):
            found, body = await d.post(model="r", input="hi", stream=stream, **{member: "resp_unknown"})
            assert (found, body["error"]["code"]) == (status, code)
        assert len(a.asked) == 2


async def test_a_service_that_turns_out_to_lack_the_call_is_not_blamed_for_the_model() -> None:
    lacking: list[Step] = [UpstreamModelMissing("Invalid URL (POST /v1/responses) (status 404)")]
    async with before(upstream("a", lacking, relays=BOTH)) as d:
        status, body = await d.post(model="r", input="hi", previous_response_id="resp_unknown")
        assert (status, body["error"]["code"]) == (400, "previous_response_not_found")


async def test_a_service_without_the_model_says_so() -> None:
    missing: list[Step] = [UpstreamModelMissing("no such model (status 404)")]
    async with before(upstream("a", missing, relays=BOTH)) as d:
        status, body = await d.post(model="r", input="hi")
        assert (status, body["error"]["code"]) == (404, "model_not_found")


async def test_a_refusal_passes_as_it_came() -> None:
    body = b'{"error":{"message":"no","type":"invalid_request_error","param":"input[0].x","code":"bad"}}'
    refusal = UpstreamRejected("no", 400, code="bad", param="input[0].x", body=body, operation="openai.responses")
    async with before(upstream("a", [refusal], relays=BOTH)) as d:
        assert await d.post(model="r", input="hi") == (400, json.loads(body))


async def test_a_stream_that_breaks_off_ends_with_the_events_of_a_failure() -> None:
    script = [*streamed()[:2], UpstreamFailed("gone", 500)]
    async with before(upstream("a", script, relays=BOTH)) as d:
        events = events_of(await d.raw_stream(input="hi"))
        assert [e["type"] for e in events[2:]] == ["error", "response.failed"]
        assert events[-1]["response"]["id"] == "resp_up"
        assert (await d.get("/v1/responses/resp_up"))[1]["status"] == "failed"


async def test_a_relayed_stream_goes_on_in_the_background_under_its_own_id() -> None:
    async with before(a := upstream("a", streamed(), relays=BOTH)) as d:
        body = await d.raw_stream(input="hi", background=True)
        assert body == b"".join(step.data for step in streamed() if isinstance(step, Relayed))
        assert "background" not in asked(a)
        _, kept = await d.get("/v1/responses/resp_up")
        assert (kept["status"], kept["background"], kept["output"]) == ("completed", True, OUTPUT)
        async with d.http.get(f"{d.served.url}/v1/responses/resp_up?stream=true&starting_after=1") as reply:
            assert [event["type"] for event in events_of_part(await reply.read())] == ["response.completed"]


def events_of_part(body: bytes) -> list[dict[str, Any]]:
    blocks = body.removesuffix(b"\n\n").split(b"\n\n")
    return [json.loads(block.partition(b"data: ")[2]) for block in blocks]
