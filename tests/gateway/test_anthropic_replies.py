"""Replies in ghostd's own words, put into Anthropic's dialect: blocks, their order, endings, usage and errors."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import msgspec
import pytest
from gateway_harness import Answer, gateway
from gateway_wire import eventually
from routing_harness import USAGE, hanging, upstream

from ghostd.conversation import ToolCallDelta
from ghostd.errors import (
    ContextTooLong,
    GhostdError,
    KeyRefused,
    ModelUnavailable,
    RateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ghostd.gateway.dialects.anthropic.errors import ErrorReply
from ghostd.gateway.dialects.anthropic.replies import CountReply, MessageReply, ModelReply, ModelsReply
from ghostd.models import ModelInfo
from ghostd.testing.scripted import ScriptedProvider, Step
from ghostd.types import ChatRequest, Delta, Usage

PATH = "/v1/messages"
ONE = 'routes.r.deployments = ["a/m"]'
END = Delta(finish_reason="stop", usage=USAGE)
THINK = {"thinking": {"type": "adaptive", "display": "summarized"}}
INTERLEAVED: list[Step] = [
    Delta("Let me see. "),
    Delta(tool_calls=(ToolCallDelta(0, id="call_1", name="weather"),)),
    Delta(tool_calls=(ToolCallDelta(1, id="call_2", name="clock"), ToolCallDelta(0, '{"city":'))),
    Delta(tool_calls=(ToolCallDelta(1, '{"x"'), ToolCallDelta(0, '"Paris"}'))),
    Delta(tool_calls=(ToolCallDelta(1, ":1}"),)),
    Delta(finish_reason="tool_calls", usage=USAGE),
]
IN_TURN: list[Step] = [
    Delta(tool_calls=(ToolCallDelta(0, id="call_1", name="weather"),)),
    Delta(tool_calls=(ToolCallDelta(0, '{"city":"Pa'),)),
    Delta(tool_calls=(ToolCallDelta(0, 'ris"}'),)),
    Delta(tool_calls=(ToolCallDelta(1, id="call_2", name="clock"),)),
    Delta(tool_calls=(ToolCallDelta(1, '{"x":'),)),
    Delta(tool_calls=(ToolCallDelta(1, "1}"),)),
    Delta(finish_reason="tool_calls", usage=USAGE),
]
TWO_CALLS = [
    {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Paris"}},
    {"type": "tool_use", "id": "call_2", "name": "clock", "input": {"x": 1}},
]


async def ask(script: list[Step], **fields: Any) -> Answer:
    async with gateway(ONE, upstream("a", script, relays=())) as g:
        return await g.post(PATH, **({"max_tokens": 100} | fields))


def events(body: bytes) -> list[dict[str, Any]]:
    """A stream's events, each named as its type."""
    found = []
    for block in body.decode().removesuffix("\n\n").split("\n\n"):
        name, data = re.fullmatch(r"event: (\w+)\ndata: (.*)", block).groups()  # type: ignore[union-attr]
        event = json.loads(data)
        assert event["type"] == name
        found.append(event)
    return found


def assembled(body: bytes) -> dict[str, Any]:
    """The message that a stream makes; AssertionError where it breaks the order that the API promises."""
    begin, *rest = [event for event in events(body) if event["type"] != "ping"]
    assert begin["type"] == "message_start"
    message: dict[str, Any] = begin["message"]
    assert message["content"] == []
    assert message["stop_reason"] is None
    current: dict[str, Any] | None = None
    arguments = ""
    for event in rest:
        kind = event["type"]
        if kind == "content_block_start":
            assert current is None, "a block begins within a block"
            assert event["index"] == len(message["content"])
            current, arguments = event["content_block"], ""
        elif kind == "content_block_delta":
            assert current is not None
            assert event["index"] == len(message["content"])
            delta = event["delta"]
            if delta["type"] == "text_delta":
                current["text"] += delta["text"]
            elif delta["type"] == "thinking_delta":
                current["thinking"] += delta["thinking"]
            elif delta["type"] == "signature_delta":
                assert current["signature"] == "", "the official SDKs keep the last piece only"
                current["signature"] = delta["signature"]
            else:
                assert (delta["type"], current["type"]) == ("input_json_delta", "tool_use")
                arguments += delta["partial_json"]
        elif kind == "content_block_stop":
            assert current is not None
            assert event["index"] == len(message["content"])
            if arguments:
                current["input"] = json.loads(arguments)
            message["content"].append(current)
            current = None
        elif kind == "message_delta":
            assert current is None
            message |= event["delta"]
            message["usage"] |= event["usage"]
    assert [event["type"] for event in rest[-2:]] == ["message_delta", "message_stop"]
    return message


async def both(script: list[Step], **fields: Any) -> dict[str, Any]:
    """The reply, which is the same whole and streamed."""
    whole = await ask(script, **fields)
    assert whole.status == 200, whole.body
    msgspec.json.decode(whole.body, type=MessageReply)
    streamed = await ask(script, stream=True, **fields)
    assert streamed.headers["content-type"] == "text/event-stream"
    message: dict[str, Any] = whole.json
    made = assembled(streamed.body)
    assert message.pop("id").startswith("msg_")
    assert made.pop("id").startswith("msg_")
    assert made == message
    return message


async def test_a_message_of_text() -> None:
    assert await both([Delta("Hel"), Delta("lo"), END]) == {
        "type": "message",
        "role": "assistant",
        "model": "a/m",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 4,
        },
    }


async def test_the_events_of_a_stream_to_the_letter() -> None:
    body = (await ask([Delta("Hel"), Delta("lo"), END], stream=True)).body
    message = events(body)[0]["message"]
    usage = b'{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":4}'
    assert message["usage"]["input_tokens"] > 0, "an estimate, until the model has counted"
    assert body.partition(b"\n\n")[2] == (
        b'event: ping\ndata: {"type":"ping"}\n\n'
        b'event: content_block_start\ndata: {"type":"content_block_start","index":0,'
        b'"content_block":{"type":"text","text":""}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"Hel"}}\n\n'
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        b'"delta":{"type":"text_delta","text":"lo"}}\n\n'
        b'event: content_block_stop\ndata: {"type":"content_block_stop","index":0}\n\n'
        b'event: message_delta\ndata: {"type":"message_delta",'
        b'"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":' + usage + b"}\n\n"
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
    )


@pytest.mark.parametrize("script", [INTERLEAVED, IN_TURN], ids=["interleaved", "in turn"])
async def test_parallel_tool_calls_come_one_after_the_other(script: list[Step]) -> None:
    message = await both(script)
    assert [block for block in message["content"] if block["type"] == "tool_use"] == TWO_CALLS
    assert message["stop_reason"] == "tool_use"


async def test_calls_that_come_in_turn_are_streamed_as_they_come() -> None:
    pieces = [
        (event["index"], event["delta"]["partial_json"])
        for event in events((await ask(IN_TURN, stream=True)).body)
        if event["type"] == "content_block_delta"
    ]
    assert pieces == [(0, '{"city":"Pa'), (0, 'ris"}'), (1, '{"x":'), (1, "1}")]


async def test_text_behind_a_call_that_is_whole() -> None:
    script: list[Step] = [
        Delta(tool_calls=(ToolCallDelta(0, '{"a":"}"}', "c1", "f"),)),
        Delta("And now?"),
        Delta(finish_reason="tool_calls", usage=USAGE),
    ]
    assert [block["type"] for block in (await both(script))["content"]] == ["tool_use", "text"]


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("", {}),
        ("{}", {}),
        ('{"n":1.10,"s":"é"}', {"n": 1.10, "s": "é"}),
        ('{"cut', {"INVALID_JSON": '{"cut'}),
        ("[1]", {"INVALID_JSON": "[1]"}),
    ],
)
async def test_arguments_are_always_an_object(arguments: str, given: object) -> None:
    script: list[Step] = [
        Delta(tool_calls=(ToolCallDelta(0, arguments, "c1", "f"),)),
        Delta(finish_reason="tool_calls", usage=USAGE),
    ]
    assert (await ask(script)).json["content"] == [{"type": "tool_use", "id": "c1", "name": "f", "input": given}]


async def test_a_call_without_an_id_gets_one_that_the_api_allows() -> None:
    script: list[Step] = [
        Delta(tool_calls=(ToolCallDelta(0, "{}", "", "f"), ToolCallDelta(1, "{}", "fünf:1", "g"))),
        Delta(finish_reason="tool_calls", usage=USAGE),
    ]
    ids = [block["id"] for block in (await ask(script)).json["content"]]
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]+", identifier) for identifier in ids)


async def test_a_call_that_goes_on_after_its_end_breaks_the_stream() -> None:
    script: list[Step] = [
        Delta(tool_calls=(ToolCallDelta(0, "{}", "c1", "f"),)),
        Delta(tool_calls=(ToolCallDelta(1, "{}", "c2", "g"),)),
        Delta(tool_calls=(ToolCallDelta(0, '{"more":1}'),)),
        Delta(finish_reason="tool_calls", usage=USAGE),
    ]
    last = events((await ask(script, stream=True)).body)[-1]
    assert last["type"] == "error"
    assert "goes on after its end" in last["error"]["message"]
    assert (await ask(script)).status == 502


async def test_thoughts_come_before_the_answer_when_they_are_asked_for() -> None:
    script: list[Step] = [Delta(reasoning="Hm, "), Delta(reasoning="well."), Delta("Yes."), END]
    thoughts, text = (await both(script, **THINK))["content"]
    assert (thoughts["type"], thoughts["thinking"], text) == (
        "thinking",
        "Hm, well.",
        {"type": "text", "text": "Yes."},
    )
    assert thoughts["signature"], "clients take an empty one for a stream that was cut"
    for fields in ({}, {"thinking": {"type": "disabled"}}, {"thinking": None}):
        assert (await both(script, **fields))["content"] == [text]
    hidden, text = (await both(script, thinking={"type": "adaptive", "display": "omitted"}))["content"]
    assert hidden["thinking"] == ""


async def test_thoughts_keep_their_own_signature_and_secrets() -> None:
    script: list[Step] = [
        Delta(reasoning="One."),
        Delta(reasoning_signature="c2ln"),
        Delta(redacted_reasoning="Zm9v"),
        Delta(reasoning="Two."),
        Delta(reasoning_signature="bWln"),
        Delta("Yes."),
        END,
    ]
    assert (await both(script, **THINK))["content"] == [
        {"type": "thinking", "thinking": "One.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "Zm9v"},
        {"type": "thinking", "thinking": "Two.", "signature": "bWln"},
        {"type": "text", "text": "Yes."},
    ]


async def test_white_space_between_blocks_makes_no_block() -> None:
    """The API refuses blocks of white space when they are sent back."""
    call = Delta(tool_calls=(ToolCallDelta(0, "{}", "c1", "f"),))
    done = Delta(finish_reason="tool_calls", usage=USAGE)
    message = await both([Delta(reasoning="Hm."), Delta("\n\n"), call, done], **THINK)
    assert [block["type"] for block in message["content"]] == ["thinking", "tool_use"]
    message = await both([Delta("\n"), Delta("\n x"), END])
    assert message["content"] == [{"type": "text", "text": "\n\n x"}]
    assert (await both([Delta("\n"), END]))["content"] == [{"type": "text", "text": "\n"}]
    assert (await both([END]))["content"] == []


@pytest.mark.parametrize(
    ("finish", "reason"),
    [("stop", "end_turn"), ("length", "max_tokens"), ("tool_calls", "tool_use"), ("content_filter", "refusal")],
)
async def test_why_a_message_ended(finish: Any, reason: str) -> None:
    assert (await both([Delta("x", finish_reason=finish, usage=USAGE)]))["stop_reason"] == reason


@pytest.mark.parametrize(("told", "reason"), [("END", "stop_sequence"), ("other", "end_turn"), (None, "end_turn")])
async def test_the_stop_sequence_is_told_where_the_provider_tells_it(told: str | None, reason: str) -> None:
    """Sent along to a provider whose replies say which one it was."""
    script: list[Step] = [Delta("x", finish_reason="stop", usage=USAGE, stop_sequence=told)]
    telling = ModelInfo("m", "a", frozenset(("chat",)), tells_stop=True)
    async with gateway(ONE, a := upstream("a", script, info=telling)) as g:
        message = (await g.post(PATH, max_tokens=100, stop_sequences=["STOP", "END"])).json
    assert isinstance(a.asked[0], ChatRequest)
    assert a.asked[0].stop == ("STOP", "END")
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, "END" if reason == "stop_sequence" else None)


@pytest.mark.parametrize(
    ("texts", "said", "at"),
    [
        (("one EN", "D two"), "one ", "END"),
        (("one STOP", "END"), "one ", "STOP"),
        (("ENDSTOP",), "", "END"),
        (("one EN", "STO"), "one ENSTO", None),
        (("one", " EN"), "one EN", None),
    ],
)
async def test_stop_sequences_are_watched_for_where_the_service_would_swallow_them(
    texts: tuple[str, ...], said: str, at: str | None
) -> None:
    """To most services a reply that ends at a stop text ends like any other."""
    message = await both([*map(Delta, texts), END], stop_sequences=["STOP", "END"])
    assert message["content"] == ([{"type": "text", "text": said}] if said else [])
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence" if at else "end_turn", at)


async def test_the_service_is_left_at_a_stop_sequence_that_it_was_not_told_of() -> None:
    script: list[Step] = [Delta("seven END"), asyncio.Event()]
    async with gateway(ONE, a := upstream("a", script, relays=())) as g:
        message = (await g.post(PATH, max_tokens=100, stop_sequences=["END"])).json
        await a.until_closed()
        assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
        assert message["usage"]["output_tokens"] == 2  # estimated: the service tells its usage at its own end only
        assert g.world.row.status == "ok"
        assert isinstance(a.asked[0], ChatRequest)
        assert a.asked[0].stop == ()


async def test_text_before_a_call_does_not_wait_for_a_stop_sequence_to_go_on() -> None:
    script: list[Step] = [Delta("ST"), Delta(tool_calls=(ToolCallDelta(0, "{}", "call_1", "f"),)), END]
    message = await both(script, stop_sequences=["STOP"])
    assert [block["type"] for block in message["content"]] == ["text", "tool_use"]


async def test_a_refusal_in_the_models_words() -> None:
    message = await both([Delta(refusal="I will "), Delta(refusal="not."), END])
    assert message["content"] == [{"type": "text", "text": "I will not."}]
    assert message["stop_reason"] == "refusal"
    assert message["stop_details"] == {"type": "refusal", "category": None, "explanation": "I will not."}


async def test_what_was_cached_is_counted_apart() -> None:
    usage = (await both([Delta("x", finish_reason="stop", usage=Usage(100, 9, 60, 30, 5))]))["usage"]
    assert usage == {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "output_tokens": 9,
        "output_tokens_details": {"thinking_tokens": 5},
    }


async def test_a_reply_without_usage_has_an_estimate() -> None:
    call = ToolCallDelta(0, '{"x":10}', "call_1", "f")
    script: list[Step] = [Delta("twelve bytes"), Delta(tool_calls=(call,)), Delta(finish_reason="tool_calls")]
    usage = (await both(script))["usage"]
    assert usage["input_tokens"] > 0
    assert usage["output_tokens"] == 5


async def test_a_reply_says_where_it_came_from_if_it_is_asked_to() -> None:
    async with gateway(ONE, upstream("a", [Delta("x"), END], relays=())) as g:
        answer = await g.post(PATH, {"x-ghostd-metadata": "1"}, max_tokens=5)
        assert answer.json["routing_metadata"]["model_used"] == "a/m"
        assert answer.headers["x-ghostd-deployment"] == "a/m"


# --- errors --------------------------------------------------------------------------------------


def rejected(status: int, **more: Any) -> UpstreamRejected:
    return UpstreamRejected("it says no", status, **more)


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (rejected(400), 400, "invalid_request_error"),
        (rejected(422), 422, "invalid_request_error"),
        (rejected(413), 413, "request_too_large"),
        (RateLimited("slowly", retry_after_s=7.0), 429, "rate_limit_error"),
        (KeyRefused("no such key"), 502, "api_error"),
        (UpstreamUnreachable("gone"), 502, "api_error"),
        (UpstreamTimeout("late", "total"), 504, "timeout_error"),
        (ModelUnavailable("it rests", 3.0), 529, "overloaded_error"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_errors_in_the_words_of_the_dialect(error: GhostdError, status: int, kind: str) -> None:
    for stream in (False, True):
        async with gateway(f"{ONE}\nrouting.max_attempts = 1", upstream("a", [error], relays=())) as g:
            answer = await g.post(PATH, max_tokens=5, stream=stream)
        assert answer.status == status, answer.body
        told = msgspec.json.decode(answer.body, type=ErrorReply)
        assert (told.type, told.error.type) == ("error", kind)
        assert told.request_id == answer.headers["request-id"]
        if kind in ("rate_limit_error", "overloaded_error"):
            assert int(answer.headers["retry-after"]) >= 3


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ContextTooLong(210_000, 200_000), "prompt is too long: 210000 tokens > 200000 maximum"),
        (rejected(400, reason="context"), "prompt is too long: it says no"),
    ],
    ids=["counted", "told by the upstream"],
)
async def test_a_prompt_that_is_too_long_is_told_in_words_that_agents_act_on(error: GhostdError, message: str) -> None:
    answer = await ask([error])
    assert answer.status == 400
    assert answer.json["error"] == {"type": "invalid_request_error", "message": message}


async def test_unknown_models_paths_and_methods() -> None:
    async with gateway(ONE, upstream("a", [END], relays=())) as g:
        answer = await g.post(PATH, model="claude-nowhere", max_tokens=5)
        assert (answer.status, answer.json["error"]["type"]) == (404, "not_found_error")
        assert "claude-nowhere" in answer.json["error"]["message"]
        url = g.served.url
        for method, path, status in (
            ("POST", "/v1/messages/batches", 404),
            ("GET", "/v1/messages", 405),
            ("DELETE", "/v1/messages/count_tokens", 405),
        ):
            headers = {"Content-Type": "application/json"}
            async with g.client.request(method, url + path, data=b"{}", headers=headers) as reply:
                told = msgspec.json.decode(await reply.read(), type=ErrorReply)
                assert (reply.status, told.request_id) == (status, reply.headers["request-id"])
        for body, headers, status in (
            (b"{", {"Content-Type": "application/json"}, 400),
            (b"[]", {"Content-Type": "application/json"}, 400),
            (b'{"model":"r","max_tokens":NaN}', {"Content-Type": "application/json"}, 400),
            (b"{}", {"Content-Type": "text/plain"}, 415),
            (b"", {"Content-Type": "application/json"}, 400),
            (b'{"model":"r","messages":"\xff"}', {"Content-Type": "application/json"}, 400),
            (b'{"model":"\\ud800"}', {"Content-Type": "application/json"}, 400),
            (b'{"model":"r","x":' + b"[" * 5000 + b"]" * 5000 + b"}", {"Content-Type": "application/json"}, 400),
        ):
            async with g.client.post(url + PATH, data=body, headers=headers) as reply:
                told = msgspec.json.decode(await reply.read(), type=ErrorReply)
                assert (reply.status, told.error.type) == (status, "invalid_request_error"), body[:40]
        g.world.calls = len(g.world.ledger.rows)


async def test_a_stream_that_breaks_ends_with_an_error_event() -> None:
    body = (await ask([Delta("half"), UpstreamUnreachable("reset by peer")], stream=True)).body
    *_, last = events(body)
    assert last["type"] == "error"
    assert last["error"]["type"] == "api_error"
    assert b"message_stop" not in body


@pytest.mark.parametrize("script", [hanging(), [Delta("x"), *hanging()]], ids=["before", "amid"])
async def test_a_client_that_hangs_up_frees_the_upstream(script: list[Step]) -> None:
    async with gateway(ONE, a := upstream("a", script, relays=())) as g:
        task = asyncio.ensure_future(g.post(PATH, max_tokens=5, stream=True))
        await a.until_asked()
        task.cancel()
        await a.until_closed()
        await eventually(lambda: len(g.world.ledger.rows) == 1)
        assert g.world.row.status == "cancelled"


# --- counts and models ---------------------------------------------------------------------------


async def test_a_count_is_an_estimate_where_no_tokenizer_is_at_hand() -> None:
    async with gateway(ONE, a := upstream("a", [END], relays=())) as g:
        short = await g.post("/v1/messages/count_tokens")
        long = await g.post(
            "/v1/messages/count_tokens",
            system="word " * 400,
            tools=[{"name": "x", "input_schema": {"type": "object", "description": "word " * 400}}],
        )
        assert not a.asked
        g.world.calls = 0
    assert msgspec.json.decode(short.body, type=CountReply).input_tokens in range(1, 20)
    assert msgspec.json.decode(long.body, type=CountReply).input_tokens in range(900, 1200)
    assert (short.headers["x-ghostd-count"], short.headers["x-ghostd-deployment"]) == ("estimated", "a/m")


async def test_a_count_is_that_of_the_model_that_would_be_asked_however_long_the_prompt() -> None:
    other = ScriptedProvider(model="embedder", capabilities=frozenset(("embed",)))
    own = ScriptedProvider(model="own", context_tokens=100)
    async with gateway("", local=[other, own]) as g:
        answer = await g.post("/v1/messages/count_tokens", model="auto", system="word " * 4000)
        refused = await g.post("/v1/messages/count_tokens", model="embedder")
        g.world.calls = len(g.world.ledger.rows)
    assert (answer.headers["x-ghostd-deployment"], answer.json["input_tokens"] > 4000) == ("own", True)
    assert (refused.status, "cannot chat" in refused.json["error"]["message"]) == (400, True)


async def test_what_only_our_signatures_carry_is_no_part_of_the_estimate() -> None:
    block = {"type": "thinking", "thinking": "", "signature": "ghostd." + "A" * 400_000}
    said = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [block]}]
    async with gateway(ONE, upstream("a", [END], relays=())) as g:
        answer = await g.post("/v1/messages/count_tokens", messages=said)
        g.world.calls = 0
    assert answer.json["input_tokens"] < 100


@pytest.mark.parametrize("headers", [{"anthropic-version": "2023-06-01"}, {"x-api-key": "any"}])
async def test_models_in_the_dialect_of_who_asks(headers: dict[str, str]) -> None:
    info = ModelInfo(
        "", "a", frozenset(("chat",)), created=1_759_104_000, context_tokens=1000, max_output_tokens=99, remote=True
    )
    async with gateway(ONE, upstream("a", [END], info=info, models=("m", "n"))) as g:

        async def get(path: str) -> tuple[int, bytes]:
            async with g.client.get(g.served.url + path, headers=headers) as reply:
                return reply.status, await reply.read()

        status, body = await get("/v1/models")
        page = msgspec.json.decode(body, type=ModelsReply)
        names = [model.id for model in page.data]
        assert (status, names[:3], page.has_more) == (200, ["a/m", "a/n", "r"], False)
        assert (page.first_id, page.last_id) == (names[0], names[-1])
        status, body = await get("/v1/models/a%2Fm")
        assert msgspec.json.decode(body, type=ModelReply) == page.data[0]
        assert page.data[0] == ModelReply("model", "a/m", "a/m", "2025-09-29T00:00:00Z", "active", 1000, 99)
        paged = msgspec.json.decode((await get("/v1/models?limit=1&after_id=a/m"))[1], type=ModelsReply)
        assert ([model.id for model in paged.data], paged.has_more) == (["a/n"], True)
        paged = msgspec.json.decode((await get("/v1/models?limit=1&before_id=r"))[1], type=ModelsReply)
        assert ([model.id for model in paged.data], paged.has_more) == (["a/n"], True)
        for query in ("limit=0", "limit=1001", "limit=x", "after_id=nobody", "after_id=r&before_id=r"):
            status, body = await get(f"/v1/models?{query}")
            assert (status, msgspec.json.decode(body, type=ErrorReply).error.type) == (400, "invalid_request_error")
        status, body = await get("/v1/models/nobody")
        assert (status, msgspec.json.decode(body, type=ErrorReply).error.type) == (404, "not_found_error")


async def test_openais_clients_get_openais_list() -> None:
    async with gateway(ONE, upstream("a", [END])) as g:
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": "Bearer x", "x-api-key": "y"}):
            async with g.client.get(f"{g.served.url}/v1/models", headers=headers) as reply:
                assert (await reply.json())["object"] == "list"


async def test_head_of_the_root_is_a_sign_of_life() -> None:
    """Claude Code asks for it."""
    async with gateway(ONE, upstream("a", [END])) as g, g.client.head(f"{g.served.url}/") as reply:
        assert reply.status == 200


async def test_names_that_no_provider_has_go_where_the_configuration_says() -> None:
    settings = f'{ONE}\nrouting.unknown_model = "fallback"\n[aliases]\n"claude-opus-4-1" = "r"'
    local = ScriptedProvider(model="own")
    async with gateway(settings, upstream("a", [Delta("x"), END], relays=()), local=[local]) as g:
        assert (await g.post(PATH, model="claude-opus-4-1", max_tokens=5)).json["model"] == "a/m"
        assert (await g.post(PATH, model="claude-haiku-9", max_tokens=5)).json["model"] in ("a/m", "own")
