"""Requests whose upstream speaks the caller's own dialect: what goes there and what comes back, byte for byte."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Sequence
from typing import Any

import pytest
from gateway_harness import CHAT, MESSAGES, gateway
from gateway_wire import wire
from routing_harness import USAGE, hanging, upstream

from ghostd.errors import RateLimited, UpstreamError, UpstreamFailed, UpstreamRejected, UpstreamUnreachable
from ghostd.redaction import remember
from ghostd.testing.gateway import check_stream
from ghostd.testing.scripted import ScriptedUpstreamProvider, Step
from ghostd.types import Delta, Relayed, RelayRequest, Usage

ROUTE = 'routes.r.deployments = ["a/m", {model = "b/m", order = 2}]\n'
REPLY = b'{ "id":"chatcmpl-7", "object":"chat.completion","choices":[ {"unknown": [1, 2]} ],"system_fingerprint":null}'
EVENTS = (
    b': hello\n\ndata: {"id":"x","choices":[{"index":0,"delta":{"content":"h\\u00e9"}}],"obfuscation":"abc"}\n\n',
    b'data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
)


def whole(body: bytes = REPLY, **changes: Any) -> list[Step]:
    return [Relayed(body, True, USAGE, "stop", **changes)]


def stream(*events: bytes) -> list[Step]:
    pieces: list[Step] = [Relayed(event, content_type="text/event-stream") for event in events[:-1]]
    return [*pieces, Relayed(events[-1], True, USAGE, "stop", "text/event-stream")]


def relayed(endpoint: ScriptedUpstreamProvider) -> RelayRequest:
    request = endpoint.asked[-1]
    assert isinstance(request, RelayRequest)
    return request


async def test_a_reply_passes_as_it_came() -> None:
    async with gateway(ROUTE, upstream("a", whole())) as g:
        answer = await g.post()
        assert (answer.status, answer.body) == (200, REPLY)
        assert answer.headers["content-type"] == "application/json"


async def test_a_stream_passes_as_it_came() -> None:
    async with gateway(ROUTE, upstream("a", stream(*EVENTS))) as g:
        answer = await g.post(stream=True)
        assert (answer.status, answer.body) == (200, b"".join(EVENTS))
        assert answer.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize("streamed", [False, True])
async def test_what_a_request_held_goes_without_the_garbage_collector(*, streamed: bool) -> None:
    """Bodies may be large, and to look for what refers to itself costs every request."""
    async with gateway(ROUTE, upstream("a", stream(*EVENTS) if streamed else whole())) as g:
        await g.post(stream=streamed)
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await g.post(stream=streamed)
            gc.collect()
            left = {type(found).__name__ for found in gc.garbage}
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()
    assert left.isdisjoint({"Exchange", "EventStream", "Serving", "Call", "Trace", "Attempt", "CIMultiDict"})


@pytest.mark.parametrize("value", ["\u00e9", "\udcff", "a\tb"])
async def test_a_header_that_cannot_be_passed_on_is_the_callers_mistake_not_the_upstreams(value: str) -> None:
    async with gateway(ROUTE, a := upstream("a", whole())) as g:
        body = json.dumps({"model": "r", "messages": MESSAGES}).encode()
        g.world.calls += 1
        async with wire(g.served) as client:
            head = client.post(body, "OpenAI-Organization: ORG")
            await client.send(head.replace(b"ORG", value.encode("utf-8", "surrogateescape")))
            status, _, refusal = await client.reply()
        assert (status, json.loads(refusal)["error"]["code"]) == (400, "invalid_value")
        assert b"openai-organization" in refusal
        assert a.asked == []
        assert g.world.row.status == "refused"


async def test_a_request_passes_with_all_that_ghostd_does_not_know() -> None:
    extra = {"brand_new": {"deep": [1, None]}, "metadata": {"a": "b"}, "service_tier": "flex", "n": 3}
    async with gateway(ROUTE, a := upstream("a", whole())) as g:
        headers = {"openai-organization": "org-1", "authorization": "Bearer secret"}
        await g.post(CHAT, headers, **extra)
        request = relayed(a)
        assert (request.operation, request.model, request.stream) == ("openai.chat", "m", False)
        assert {name: json.loads(value) for name, value in request.fields.items()} == {
            "model": "r", "messages": MESSAGES, **extra
        }  # fmt: skip
        assert request.headers == {"openai-organization": "org-1"}


@pytest.mark.parametrize(
    ("options", "wanted"),
    [(None, False), ({}, False), ({"include_usage": False}, False), ({"include_usage": True}, True)],
)
async def test_the_usage_of_a_stream_is_shown_to_those_who_ask(options: object, wanted: bool) -> None:
    async with gateway(ROUTE, a := upstream("a", stream(*EVENTS))) as g:
        await g.post(stream=True, stream_options=options)
        assert relayed(a).with_usage is wanted


async def test_the_defaults_of_a_deployment_are_for_requests_that_give_none() -> None:
    settings = (
        'routes.r.deployments = ["mild"]\ndeployments.mild = {model = "a/m", temperature = 0.25, max_tokens = 77}\n'
    )
    async with gateway(settings, a := upstream("a", whole())) as g:
        await g.post()
        assert (relayed(a).fields["temperature"], relayed(a).fields["max_completion_tokens"]) == (b"0.25", b"77")
        await g.post(temperature=1, max_completion_tokens=5)
        assert relayed(a).fields["temperature"] == b"1"
        assert relayed(a).fields["max_completion_tokens"] == b"5"
        await g.post(max_tokens=6)
        assert "max_completion_tokens" not in relayed(a).fields


async def test_headers_say_where_a_reply_came_from() -> None:
    priced = ROUTE + "[providers.a.model.m.price]\ninput = 1\noutput = 1\n"
    async with gateway(priced, upstream("a", whole(), stream(*EVENTS))) as g:
        for streamed in (False, True):
            headers = (await g.post(stream=streamed)).headers
            assert headers["x-ghostd-id"] == g.world.row.id
            assert headers["x-ghostd-route"] == "r"
            assert headers["x-ghostd-deployment"] == "a/m"
            assert headers["x-ghostd-attempts"] == "1"
            assert headers["x-ghostd-reason"] == "ordered of r"
            assert headers.get("x-ghostd-cost-usd") == (None if streamed else "0.00001400")


async def test_an_upstreams_headers_pass_but_never_over_ghostds_own() -> None:
    kept = {"x-ratelimit-remaining-requests": "7", "x-ghostd-deployment": "fake"}
    async with gateway(ROUTE, upstream("a", whole(headers=kept))) as g:
        headers = (await g.post()).headers
        assert headers["x-ratelimit-remaining-requests"] == "7"
        assert headers.getall("x-ghostd-deployment") == ["a/m"]


async def test_an_upstreams_headers_pass_with_a_stream_and_with_vectors() -> None:
    kept = {"x-ratelimit-remaining-requests": "7", "set-cookie": "a=b", "x-ghostd-deployment": "fake"}
    pieces = [Relayed(EVENTS[0], content_type="text/event-stream", headers=kept), *stream(EVENTS[1])]
    async with gateway(ROUTE, upstream("a", pieces, whole(headers=kept))) as g:
        for answer in (await g.post(stream=True), await g.post("/v1/embeddings", input="x")):
            assert answer.status == 200
            assert answer.headers["x-ratelimit-remaining-requests"] == "7"
            assert answer.headers.getall("x-ghostd-deployment") == ["a/m"]
            assert answer.headers["openai-processing-ms"].isdecimal()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_deployments_own_limits_are_told_as_openai_tells_its_own(streamed: bool) -> None:
    """They win over the upstream's, of which other programs may use up the rest."""
    limits = 'routes.r.deployments = ["one"]\n[deployments.one]\nmodel = "a/m"\nrpm = 60\ntpm = 6000\n'
    kept = {"x-ratelimit-remaining-requests": "7"}
    script = stream(EVENTS[0]) if streamed else whole(headers=kept)
    async with gateway(limits, upstream("a", script)) as g:
        for left in (59, 58):
            headers = (await g.post(stream=streamed)).headers
            told = {name: value for name, value in headers.items() if name.startswith("x-ratelimit-")}
            assert told["x-ratelimit-limit-requests"] == "60"
            assert told["x-ratelimit-limit-tokens"] == "6000"
            assert int(told["x-ratelimit-remaining-requests"]) == left
            assert 5900 < int(told["x-ratelimit-remaining-tokens"]) < 6000
            assert told["x-ratelimit-reset-requests"].endswith("s")
            assert 0 < float(told["x-ratelimit-reset-requests"].removesuffix("s")) <= 2


async def test_a_request_over_the_limits_is_told_them_and_when_to_come_again() -> None:
    limits = 'routes.r.deployments = ["one"]\n[deployments.one]\nmodel = "a/m"\nrpm = 1\n'
    async with gateway(limits, upstream("a", whole())) as g:
        assert (await g.post()).status == 200
        answer = await g.post()
    assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limit_exceeded")
    told = {name: value for name, value in answer.headers.items() if name.startswith("x-ratelimit-")}
    assert (told["x-ratelimit-limit-requests"], told["x-ratelimit-remaining-requests"]) == ("1", "0")
    assert 50 < int(answer.headers["retry-after"]) <= 60


KEY = "sk-abcdef0123456789"


@pytest.mark.parametrize(
    "error",
    [
        UpstreamFailed(f"bad key {KEY}", 500),
        UpstreamRejected(f"not with {KEY}", 400, code=KEY, kind=KEY, param=KEY),
        UpstreamRejected("no", 400, body=f'{{"error":{{"message":"{KEY}"}}}}'.encode(), operation="openai.chat"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
async def test_a_key_that_an_upstream_repeats_in_an_error_goes_nowhere(error: UpstreamError, begun: bool) -> None:
    remember(KEY)
    pieces: list[Step] = [Relayed(EVENTS[0], content_type="text/event-stream")] if begun else []
    async with gateway('routes.r.deployments = ["a/m"]\n', upstream("a", [*pieces, error])) as g:
        for _ in range(1 if begun else 3):  # the third finds the deployment at rest
            answer = await g.post(stream=True)
            assert b"[redacted]" in answer.body
            assert KEY.encode() not in answer.body
        assert KEY not in g.world.deployment("a/m").health.last_error


async def test_a_key_that_an_upstream_repeats_in_a_header_goes_nowhere() -> None:
    remember(KEY)
    kept = {"x-ratelimit-key": f"Bearer {KEY}"}
    step = whole(headers=kept, content_type=f"application/json; key={KEY}")
    async with gateway(ROUTE, upstream("a", step)) as g:
        headers = (await g.post()).headers
        assert headers["x-ratelimit-key"] == "Bearer [redacted]"
        assert headers["content-type"] == "application/json; key=[redacted]"


async def test_routing_metadata_is_added_when_it_is_asked_for() -> None:
    async with gateway(ROUTE, upstream("a", whole())) as g:
        answer = await g.post(headers={"x-ghostd-metadata": "1"})
        assert answer.body.startswith(REPLY[:-1])
        found = answer.json["routing_metadata"]
        assert (found["provider"], found["model_used"], found["was_cached"]) == ("a", "a/m", False)
        assert type(found["latency_ms"]) is int
        assert "routing_metadata" not in (await g.post()).json


async def test_a_stream_that_breaks_ends_with_an_error_event_and_no_done() -> None:
    broken: list[Step] = [Relayed(EVENTS[0], content_type="text/event-stream"), UpstreamUnreachable("reset by peer")]
    async with gateway(ROUTE, upstream("a", broken), b := upstream("b", stream(*EVENTS))) as g:
        answer = await g.post(stream=True)
        assert answer.status == 200
        assert answer.body.startswith(EVENTS[0])
        rest = answer.body.removeprefix(EVENTS[0])
        error = json.loads(rest.removeprefix(b"data: "))["error"]
        assert (error["code"], error["type"]) == ("upstream_unreachable", "server_error")
        assert b"[DONE]" not in answer.body
        assert not b.asked
        assert g.world.row.status == "partial"


async def test_a_stream_fails_over_to_a_translating_deployment_before_its_first_event() -> None:
    good: list[Step] = [Delta("hello"), Delta(finish_reason="stop", usage=USAGE)]
    async with gateway(ROUTE, upstream("a", [UpstreamFailed("down", 502)]), upstream("b", good, relays=())) as g:
        answer = await g.post(stream=True, stream_options={"include_usage": True})
        said = check_stream(answer.body, chat=True, with_usage=True)
        assert (said.choices[0].text, said.model) == ("hello", "b/m")
        assert said.usage == {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}
        assert answer.headers["x-ghostd-attempts"] == "2"


async def test_an_upstreams_own_error_object_passes() -> None:
    body = b'{"error":{"message":"no","type":"invalid_request_error","param":"n","code":null,"more":1}}'
    no = UpstreamRejected("no", 422, param="n", body=body, operation="openai.chat")
    async with gateway('routes.r.deployments = ["a/m"]', upstream("a", [no])) as g:
        answer = await g.post()
        assert (answer.status, answer.body) == (422, body)
        assert (g.world.row.status, g.world.row.http_status) == ("refused", 422)


async def test_a_rate_limit_reaches_the_caller_with_its_time() -> None:
    limited = RateLimited("slow down", retry_after_s=42.0)
    async with gateway('routes.r.deployments = ["a/m"]', upstream("a", [limited])) as g:
        answer = await g.post()
        assert (answer.status, answer.headers["retry-after"]) == (429, "42")
        assert answer.json["error"]["code"] == "rate_limit_exceeded"


async def test_a_client_that_hangs_up_before_the_first_byte_ends_the_request_upstream() -> None:
    a = upstream("a", hanging())
    async with gateway(ROUTE, a) as g:
        for streamed in (False, True):
            task = asyncio.create_task(g.post(stream=streamed))
            await a.until_asked(1 + streamed)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await a.until_closed(1 + streamed)
        assert [row.status for row in g.world.ledger.rows] == ["cancelled"] * 2


async def test_a_request_whose_time_is_over_is_recorded_as_an_error_and_not_as_a_client_that_left() -> None:
    async with gateway("http.request_timeout_s = 0.3\n" + ROUTE, upstream("a", hanging())) as g:
        for streamed in (False, True):
            answer = await g.post(stream=streamed)
            assert (answer.status, answer.json["error"]["code"]) == (504, "request_timeout")
        found = [(row.status, row.http_status, row.error) for row in g.world.ledger.rows]
        assert found == [("error", 504, "RequestExpired")] * 2


async def test_a_stream_whose_time_is_over_in_its_midst_is_recorded_as_broken_off() -> None:
    a = upstream("a", [Relayed(EVENTS[0], content_type="text/event-stream"), *hanging()])
    async with gateway("http.request_timeout_s = 2\n" + ROUTE, a) as g:
        answer = await g.post(stream=True)
        assert b'"request_timeout"' in answer.body
        (row,) = g.world.ledger.rows
        assert (row.status, row.http_status, row.error) == ("partial", 504, "RequestExpired")


# --- who may ask what ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["api_base", "base_url", "api_key"])
async def test_a_request_cannot_say_where_it_goes_or_with_whose_key(name: str) -> None:
    async with gateway(ROUTE, a := upstream("a", whole())) as g:
        answer = await g.post(CHAT, **{name: "http://evil.test"})
        assert (answer.status, answer.json["error"]["param"]) == (400, name)
        assert not a.asked
        row = g.world.row
        assert (row.status, row.http_status, row.model, row.operation) == ("refused", 400, "r", "openai.chat")
        assert (await g.post(CHAT, **{name: None})).status == 200


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"model": 7}, "model"),
        ({"model": "x" * 501}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_usage": 3}}, "stream_options.include_usage"),
        ({"tags": {"intent": 1}}, "tags.intent"),
    ],
    ids=str,
)
async def test_what_ghostd_reads_itself_must_be_right(fields: dict[str, Any], param: str) -> None:
    async with gateway(ROUTE, a := upstream("a", whole())) as g:
        answer = await g.post(**fields)
        assert (answer.status, answer.json["error"]["param"]) == (400, param)
        assert not a.asked
        assert (g.world.row.status, g.world.row.error) == ("refused", "InvalidRequest")


async def test_a_body_that_is_no_json_is_refused_and_recorded() -> None:
    async with gateway(ROUTE, upstream("a", whole())) as g:
        g.world.calls += 1
        headers = {"content-type": "application/json", "x-client": "editor"}
        async with g.client.post(g.served.url + CHAT, data=b'{"model"', headers=headers) as reply:
            assert reply.status == 400
        assert (g.world.row.status, g.world.row.model, g.world.row.client) == ("refused", "", "editor")


# --- Zeke ------------------------------------------------------------------------------


ZEKE = {"id", "object", "created", "model", "choices", "usage"}
ANSWER: Sequence[Step] = [
    Delta("hel", reasoning="hm"),
    Delta("lo", finish_reason="stop", usage=Usage(7, 2, cached_tokens=3, reasoning_tokens=1)),
]


@pytest.mark.parametrize(
    ("headers", "fields", "metadata"),
    [
        ({"user-agent": "zig/0.16.0 (std.http)"}, {}, False),
        ({"x-client": "zeke"}, {}, False),
        ({}, {"tags": {"intent": "code", "source": "zeke", "project": "my-app", "complexity": None}}, True),
    ],
    ids=["user agent", "x-client", "tags"],
)
async def test_a_client_with_a_closed_schema_never_gets_a_relayed_reply(
    headers: dict[str, str], fields: dict[str, Any], metadata: bool
) -> None:
    """CONTRACTS: Zeke fails on any key that it does not know."""
    async with gateway(ROUTE, a := upstream("a", ANSWER)) as g:
        answer = await g.post(headers=headers, **fields)
        assert set(answer.json) == ZEKE | ({"routing_metadata"} if metadata else set())
        message = {"role": "assistant", "content": "hello"}
        assert answer.json["choices"] == [{"index": 0, "message": message, "finish_reason": "stop"}]
        assert set(answer.json["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}
        assert not isinstance(a.asked[0], RelayRequest)


# --- hints ------------------------------------------------------------------------------


async def test_hints_come_in_headers() -> None:
    headers = {
        "X-Client": "editor", "X-Project": "ghost", "X-Intent": "refactor", "X-Latency": "low", "X-Size-Hint": "large",
        "X-Session-Id": "s1", "X-Budget": "0.01", "X-Language": "zig",
    }  # fmt: skip
    async with gateway(ROUTE, upstream("a", whole())) as g:
        await g.post(headers=headers, reasoning_effort="low", max_tokens=20)
        row = g.world.row
        assert (row.client, row.project) == ("editor", "ghost")
        features = json.loads(row.features)
        assert features["complexity"] == "complex"
        assert (features["urgent"], features["thrifty"], features["intent"]) == (True, True, "refactor")
        assert (features["language"], features["reply_tokens"]) == ("zig", 20)


async def test_hints_come_in_tags_which_win() -> None:
    tags = {"intent": "explain", "source": "zeke", "complexity": "medium", "project": "p", "priority": "low-cost"}
    async with gateway(ROUTE, upstream("a", ANSWER)) as g:
        await g.post(headers={"x-intent": "refactor", "x-project": "other"}, tags=tags)
        row = g.world.row
        assert (row.client, row.project) == ("zeke", "p")
        features = json.loads(row.features)
        assert (features["complexity"], features["intent"], features["thrifty"]) == ("medium", "explain", True)


async def test_the_client_is_its_program_if_it_says_nothing() -> None:
    async with gateway(ROUTE, upstream("a", whole())) as g:
        await g.post(headers={"user-agent": "OpenAI/Python 2.8.1"})
        assert g.world.row.client == "OpenAI"


async def test_what_a_request_needs_is_seen_without_decoding_it() -> None:
    parts = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 40_000}},
        {"type": "file", "file": {"file_id": "f"}},
    ]
    tool = {"type": "function", "function": {"name": "f"}}
    async with gateway(ROUTE, upstream("a", whole())) as g:
        await g.post(
            messages=[{"role": "user", "content": parts}], tools=[tool], response_format={"type": "json_object"}
        )
        features = json.loads(g.world.row.features)
        assert features["needs"] == ["files", "json", "tools", "vision"]
        assert 800 <= features["prompt_tokens"] <= 1000
        await g.post(tools=[], response_format={"type": "text"})
        assert json.loads(g.world.row.features)["needs"] == []


# --- other doors --------------------------------------------------------------------------


async def test_embeddings_pass_as_they_came() -> None:
    body = b'{"object":"list","data":[{"embedding":"AAAA"}],"usage":{"prompt_tokens":1}}'
    async with gateway(ROUTE, a := upstream("a", whole(body))) as g:
        answer = await g.post("/v1/embeddings", input=["a", "b"], encoding_format="base64", brand_new=1)
        assert answer.body == body
        assert relayed(a).operation == "openai.embeddings"
        assert relayed(a).fields["brand_new"] == b"1"


async def test_completions_pass_as_they_came_unless_they_name_a_file_of_this_machine() -> None:
    filled: list[Step] = [Delta("x"), Delta(finish_reason="stop", usage=USAGE)]
    async with gateway(ROUTE, a := upstream("a", whole(), filled)) as g:
        assert (await g.post("/v1/completions", prompt="a", suffix="b")).body == REPLY
        assert relayed(a).operation == "openai.completions"
        answer = await g.post("/v1/completions", prompt="a", suffix="b", file_path="/secret/a.py")
        assert answer.json["choices"][0]["text"] == "x"
        assert not isinstance(a.asked[-1], RelayRequest)
