"""Streams of the Responses API, translated: their order by the OpenAI API reference, "Streaming events"."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from responses_harness import CALLED, before, call, events_of, judged, kinds
from routing_harness import upstream

from ghostd.conversation import ToolCallDelta
from ghostd.errors import UpstreamFailed
from ghostd.testing.scripted import Step
from ghostd.types import Delta, TokenLogprob, Usage

CHAT = ("openai.chat",)
END = Delta(finish_reason="stop", usage=Usage(10, 4, cached_tokens=3, cache_write_tokens=1, reasoning_tokens=2))
WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": True}
PATCH = {"type": "custom", "name": "apply_patch", "description": "Edits.", "format": {"type": "text"}}


async def test_text_comes_as_one_message() -> None:
    async with before(upstream("a", [Delta("Hel"), Delta("lo"), END], relays=CHAT)) as d:
        events = await d.stream(input="hi")
        assert kinds(events) == [
            "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta",
            "output_text.done", "content_part.done", "output_item.done", "completed",
        ]  # fmt: skip
        response = events[-1]["response"]
        assert response["usage"] == {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 1},
            "output_tokens": 4,
            "output_tokens_details": {"reasoning_tokens": 2},
            "total_tokens": 14,
        }
        (message,) = response["output"]
        assert message["content"] == [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}]
        assert (message["role"], message["status"]) == ("assistant", "completed")


SCRIPTS: dict[str, list[Step]] = {
    "text": [Delta("Hel"), Delta("lo"), END],
    "nothing": [END],
    "refusal": [Delta(refusal="I "), Delta(refusal="won't"), END],
    "text then refusal": [Delta("Well"), Delta(refusal="no"), END],
    "one call": [*call(0, '{"city":', '"Rome"}'), CALLED],
    "parallel calls": [Delta("Let me see."), *call(0, '{"a":1}'), *call(1, '{"b"', ":2}"), CALLED],
    "interleaved calls": [
        *call(0, '{"a"'), *call(1, '{"b"'), *call(0)[1:], Delta(tool_calls=(ToolCallDelta(0, ":1}"),)),
        Delta(tool_calls=(ToolCallDelta(1, ":2}"),)), CALLED,
    ],
    "a call without arguments": [*call(0), CALLED],
    "thoughts": [Delta(reasoning="hm"), Delta(reasoning=" so"), Delta(reasoning_signature="sig"), Delta("yes"), END],
    "two thoughts": [
        Delta(reasoning="one"), Delta(reasoning_signature="s1"), Delta(redacted_reasoning="xx"),
        Delta(reasoning="two"), Delta(reasoning_signature="s2"), *call(0, "{}"), CALLED,
    ],
    "thoughts between texts": [Delta("a"), Delta(reasoning="b"), Delta("c"), Delta(reasoning="d"), END],
    "a signed call": [*call(0, "{}", signature="sig"), CALLED],
    "a signed call after thoughts": [Delta(reasoning="hm"), *call(0, "{}", signature="sig"), CALLED],
    "a patch": [
        *call(0, '{"inp', 'ut":"*** Begin\\', "n+caf\\u00", 'e9 \\ud83d', '\\ude00\\"q\\""}', name="apply_patch"),
        CALLED,
    ],
    "a patch that is no JSON": [*call(0, "*** Begin Patch\n", "*** End Patch", name="apply_patch"), CALLED],
    "cut off": [Delta("Hel"), Delta(finish_reason="length", usage=Usage(1, 1))],
    "cut off amid a call": [*call(0, '{"a":'), Delta(finish_reason="length", usage=Usage(1, 1))],
    "filtered": [Delta("Hel"), Delta(finish_reason="content_filter", usage=Usage(1, 1))],
    "probabilities": [Delta("Hi", logprobs=(TokenLogprob(1, b"Hi", -0.5, ((b"Hi", -0.5), (b"\xe2", -2.0))),)), END],
}  # fmt: skip


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_a_stream_keeps_the_rules_and_says_what_the_whole_reply_says(script: list[Step]) -> None:
    fields: dict[str, Any] = {"input": "hi", "tools": [WEATHER, PATCH], "store": False, "top_logprobs": 1}
    async with before(upstream("a", script, relays=CHAT)) as d:
        events = await d.stream(**fields)
        status, whole = await d.post(model="r", **fields)
        assert status == 200
        streamed = events[-1]["response"]
        assert _without_ids(streamed) == _without_ids(whole)
        ids = [item["id"] for item in streamed["output"]]
        assert len(set(ids)) == len(ids)


def _without_ids(response: dict[str, Any]) -> Any:
    volatile = {"id", "created_at", "completed_at"}
    response = {name: value for name, value in response.items() if name not in volatile}
    response["output"] = [{k: v for k, v in item.items() if k != "id"} for item in response["output"]]
    return response


async def test_parallel_calls_are_items_of_their_own() -> None:
    async with before(upstream("a", SCRIPTS["parallel calls"], relays=CHAT)) as d:
        output = (await d.stream(input="hi", tools=[WEATHER]))[-1]["response"]["output"]
        assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
        assert [item["id"].partition("_")[0] for item in output] == ["msg", "fc", "fc"]
        assert [(item["call_id"], item["name"], json.loads(item["arguments"])) for item in output[1:]] == [
            ("call_0", "weather", {"a": 1}),
            ("call_1", "weather", {"b": 2}),
        ]


async def test_a_call_without_arguments_has_an_empty_object_of_them() -> None:
    async with before(upstream("a", SCRIPTS["a call without arguments"], relays=CHAT)) as d:
        events = await d.stream(input="hi", tools=[WEATHER])
        assert events[-1]["response"]["output"][0]["arguments"] == "{}"
        told = [event for event in events if event["type"].startswith("response.function_call_arguments")]
        assert [event.get("delta") or event["arguments"] for event in told] == ["{}", "{}"]


async def test_free_text_for_a_custom_tool_is_told_as_it_comes() -> None:
    async with before(upstream("a", SCRIPTS["a patch"], relays=CHAT)) as d:
        events = await d.stream(input="hi", tools=[PATCH])
        (item,) = events[-1]["response"]["output"]
        assert (item["type"], item["name"], item["call_id"]) == ("custom_tool_call", "apply_patch", "call_0")
        assert item["input"] == '*** Begin\n+café \U0001f600"q"'
        deltas = [event["delta"] for event in events if event["type"] == "response.custom_tool_call_input.delta"]
        assert deltas == ["*** Begin", "\n+caf", "é ", '\U0001f600"q"']


async def test_thoughts_are_a_summary() -> None:
    """Of the ways to tell thoughts, all clients know this one; each thought is a part."""
    async with before(upstream("a", SCRIPTS["two thoughts"], relays=CHAT)) as d:
        (thoughts, _) = (await d.stream(input="hi"))[-1]["response"]["output"]
        assert [part["text"] for part in thoughts["summary"]] == ["one", "two"]


async def test_a_stream_ends_with_a_mark_that_some_clients_wait_for() -> None:
    async with before(upstream("a", [Delta("Hel"), END], relays=CHAT)) as d:
        assert (await d.raw_stream(input="hi")).endswith(b"}\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
async def test_a_reply_that_was_cut_off_is_incomplete(finish: Any, reason: str) -> None:
    script: list[Step] = [Delta("Hel"), Delta(finish_reason=finish, usage=Usage(1, 1))]
    async with before(upstream("a", script, relays=CHAT)) as d:
        last = (await d.stream(input="hi"))[-1]
        assert last["type"] == "response.incomplete"
        assert last["response"]["status"] == "incomplete"
        assert last["response"]["incomplete_details"] == {"reason": reason}
        assert last["response"]["output"][0]["status"] == "incomplete"


async def test_an_error_amid_a_stream_is_told_in_two_events_and_the_response_is_kept_as_failed() -> None:
    async with before(upstream("a", [Delta("Hel"), UpstreamFailed("out of order", 500)], relays=CHAT)) as d:
        events = events_of(await d.raw_stream(input="hi"))
        assert [event["type"] for event in events[-2:]] == ["error", "response.failed"]
        error, failed = events[-2:]
        assert "out of order" in error["message"]
        assert error["error"]["message"] == error["message"]
        assert failed["response"]["error"] == {"code": "upstream_failed", "message": error["message"]}
        assert failed["response"]["status"] == "failed"
        status, kept = await d.get(f"/v1/responses/{failed['response']['id']}")
        assert (status, kept["status"]) == (200, "failed")


async def test_an_error_before_a_stream_is_a_reply_of_its_own() -> None:
    async with before(upstream("a", [UpstreamFailed("out of order", 500)] * 9, relays=CHAT)) as d:
        status, body = await d.post(model="r", input="hi", stream=True)
        assert status == 502
        assert set(body["error"]) == {"message", "type", "param", "code"}


async def test_a_call_that_goes_on_after_its_end_is_an_error_rather_than_a_wrong_call() -> None:
    script = [*call(0, "{}"), *call(1, "{}"), Delta(tool_calls=(ToolCallDelta(0, "more"),)), CALLED]
    async with before(upstream("a", script, relays=CHAT)) as d:
        events = events_of(await d.raw_stream(input="hi", tools=[WEATHER]))
        assert events[-1]["type"] == "response.failed"


def test_the_judge_finds_a_gap() -> None:
    with pytest.raises(AssertionError, match="gaps"):
        judged(b'event: a\ndata: {"type":"a","sequence_number":1}\n\n')


async def test_a_failure_after_a_long_silence_is_told_in_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment has begun the stream by then, so that the error can have no status of its own."""
    monkeypatch.setattr("ghostd.gateway.sse.SILENCE_S", 0.01)
    go = asyncio.Event()
    failing: list[Step] = [go, UpstreamFailed("out of order", 500)]
    async with before(a := upstream("a", failing, [UpstreamFailed("again", 500)], relays=CHAT)) as d:
        body = {"model": "r", "stream": True, "input": "hi"}
        async with d.http.post(f"{d.served.url}/v1/responses", json=body) as reply:
            assert await reply.content.readany() == b": waiting\n\n"
            await a.until_asked()
            go.set()
            rest = await reply.read()
        events = events_of(rest)
        assert [event["type"] for event in events] == ["error", "response.failed"]
        assert events[1]["response"]["status"] == "failed"
