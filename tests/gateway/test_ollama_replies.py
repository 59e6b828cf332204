"""What ghostd says in Ollama's dialect: lines, whole replies, errors."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_harness import gateway
from ollama_harness import CHAT, EMBED, END, GENERATE, HELLO, ONE, ask, lines, sent
from routing_harness import USAGE, upstream

from ghostd.conversation import (
    ToolCallDelta,
)
from ghostd.errors import ModelUnavailable, UpstreamUnreachable
from ghostd.testing.scripted import Step
from ghostd.types import Delta, TokenLogprob


async def test_a_chat_streams_lines_unless_told_otherwise() -> None:
    answer = await ask(CHAT, HELLO)
    *parts, last = lines(answer)
    assert [part["message"] for part in parts] == [
        {"role": "assistant", "content": "hello "},
        {"role": "assistant", "content": "world"},
    ]
    assert all(part["done"] is False and part["model"] == "a/m" for part in parts)
    assert last["message"] == {"role": "assistant", "content": ""}
    assert (last["done"], last["done_reason"]) == (True, "stop")
    assert (last["prompt_eval_count"], last["eval_count"]) == (10, 4)
    durations = [last[f"{name}_duration"] for name in ("total", "load", "prompt_eval", "eval")]
    assert all(type(duration) is int and duration >= 0 for duration in durations)
    assert durations[0] == pytest.approx(durations[2] + durations[3], abs=2)


async def test_a_whole_chat_is_one_object() -> None:
    answer = await ask(CHAT, HELLO, stream=False)
    assert answer.headers["content-type"] == "application/json"
    reply = answer.json
    assert reply["message"] == {"role": "assistant", "content": "hello world"}
    assert (reply["done"], reply["done_reason"], reply["eval_count"]) == (True, "stop", 4)
    assert reply["created_at"].endswith("Z")


@pytest.mark.parametrize("stream", [True, False])
async def test_generate_says_its_text_as_response(stream: bool) -> None:
    answer = await ask(GENERATE, HELLO, stream=stream, prompt="hi")
    replies = lines(answer) if stream else [answer.json]
    assert "".join(reply["response"] for reply in replies) == "hello world"
    assert all("message" not in reply for reply in replies)
    assert (replies[-1]["done"], replies[-1]["done_reason"]) == (True, "stop")


TOOLS: list[Step] = [
    Delta(reasoning="I should look. "),
    Delta(tool_calls=(ToolCallDelta(0, id="call_1", name="weather"),)),
    Delta(tool_calls=(ToolCallDelta(0, '{"city":'), ToolCallDelta(1, '{"x"', id="call_2", name="other"))),
    Delta(tool_calls=(ToolCallDelta(0, '"Paris"}'), ToolCallDelta(1, ":1}"))),
    Delta(finish_reason="tool_calls", usage=USAGE),
]
CALLS = [
    {"id": "call_1", "function": {"index": 0, "name": "weather", "arguments": {"city": "Paris"}}},
    {"id": "call_2", "function": {"index": 1, "name": "other", "arguments": {"x": 1}}},
]


async def test_tool_calls_come_whole_with_arguments_as_objects() -> None:
    whole = (await ask(CHAT, TOOLS, stream=False)).json
    assert whole["message"] == {
        "role": "assistant",
        "content": "",
        "thinking": "I should look. ",
        "tool_calls": CALLS,
    }
    assert whole["done_reason"] == "stop"
    first, *called, last = lines(await ask(CHAT, TOOLS))
    assert first["message"] == {"role": "assistant", "content": "", "thinking": "I should look. "}
    assert [part["message"]["tool_calls"] for part in called] == [[call] for call in CALLS]
    assert last["done_reason"] == "stop"


@pytest.mark.parametrize("arguments", ["", "not json", '{"cut": ', "[1]", '"text"'])
async def test_arguments_that_are_no_object_are_shown_as_they_are(arguments: str) -> None:
    call = ToolCallDelta(0, arguments, id="c", name="f")
    script: list[Step] = [Delta(tool_calls=(call,)), Delta(finish_reason="tool_calls", usage=USAGE)]
    (done,) = (await ask(CHAT, script, stream=False)).json["message"]["tool_calls"]
    assert done["function"]["arguments"] == ({"INVALID_JSON": arguments} if arguments else {})


async def test_thoughts_of_generate_are_beside_its_response() -> None:
    script: list[Step] = [Delta(reasoning="hm"), *HELLO]
    whole = (await ask(GENERATE, script, prompt="x", stream=False)).json
    assert (whole["thinking"], whole["response"]) == ("hm", "hello world")
    first, *_ = lines(await ask(GENERATE, script, prompt="x"))
    assert (first["thinking"], first["response"]) == ("hm", "")


async def test_a_refusal_is_told_as_text() -> None:
    script: list[Step] = [Delta(refusal="I will not"), END]
    assert (await ask(CHAT, script, stream=False)).json["message"]["content"] == "I will not"
    assert lines(await ask(CHAT, script))[0]["message"]["content"] == "I will not"


async def test_log_probabilities_come_with_their_tokens() -> None:
    token = TokenLogprob(1, b"hi", -0.5, ((b"hi", -0.5), ("é".encode()[:1], float("-inf"))))
    script: list[Step] = [Delta("hi", logprobs=(token,)), END]
    wanted = [
        {
            "token": "hi",
            "logprob": -0.5,
            "bytes": [104, 105],
            "top_logprobs": [
                {"token": "hi", "logprob": -0.5, "bytes": [104, 105]},
                {"token": "\ufffd", "logprob": -9999.0, "bytes": [195]},
            ],
        }
    ]
    for path, more in ((CHAT, {}), (GENERATE, {"prompt": "x"})):
        options = {"logprobs": True, "top_logprobs": 2, **more}
        assert (await ask(path, script, stream=False, **options)).json["logprobs"] == wanted
        assert lines(await ask(path, script, **options))[0]["logprobs"] == wanted
    assert (await sent(logprobs=True, top_logprobs=2)).sampling.logprobs == 2
    assert (await sent(logprobs=True)).sampling.logprobs == 0
    assert (await sent(top_logprobs=2)).sampling.logprobs is None


@pytest.mark.parametrize(("reason", "told"), [("length", "length"), ("content_filter", "content_filter")])
async def test_other_reasons_to_end_are_told(reason: Any, told: str) -> None:
    script: list[Step] = [Delta("x"), Delta(finish_reason=reason, usage=USAGE)]
    assert (await ask(CHAT, script, stream=False)).json["done_reason"] == told
    assert lines(await ask(CHAT, script))[-1]["done_reason"] == told


async def test_no_line_is_longer_than_an_event_may_be() -> None:
    script: list[Step] = [Delta("é\u0001" * 20_000, reasoning="\u0002" * 20_000), END]
    answer = await ask(CHAT, script)
    assert all(len(line) < 8192 for line in answer.body.splitlines())
    assert "".join(part["message"]["content"] for part in lines(answer)) == "é\u0001" * 20_000
    assert "".join(part["message"].get("thinking", "") for part in lines(answer)) == "\u0002" * 20_000


async def test_a_stream_that_breaks_ends_with_an_error_line() -> None:
    answer = await ask(CHAT, [Delta("half"), UpstreamUnreachable("reset by peer")])
    first, last = lines(answer)
    assert first["message"]["content"] == "half"
    assert list(last) == ["error"]
    assert "reset by peer" in last["error"]


async def test_an_error_before_a_stream_has_its_status() -> None:
    async with gateway(
        ONE + "\nrouting.retry_budget = 0", upstream("a", [ModelUnavailable("rests", 3)], relays=())
    ) as g:
        answer = await g.post(CHAT)
        assert (answer.status, answer.json) == (503, {"error": "rests"})
        assert answer.headers["retry-after"] == "3"


async def test_an_unknown_model_is_not_found_in_ollamas_words() -> None:
    for path, more in (
        (CHAT, {}),
        (GENERATE, {"prompt": "x"}),
        (EMBED, {"input": "x"}),
        (GENERATE, {}),
        (CHAT, {"messages": []}),
    ):
        async with gateway(ONE, upstream("a", HELLO, relays=())) as g:
            answer = await g.post(path, None, **{"model": "llama9:70b", **more})
            assert answer.status == 404
            assert answer.json["error"].startswith("model 'llama9:70b' not found.")
            g.world.calls = len(g.world.ledger.rows)


@pytest.mark.covers("ollama.models", "/api/create, /api/push, /api/blobs", state="not offered")
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nothing", 404),
        ("POST", "/api/nothing", 404),
        ("GET", "/api/chat", 405),
        ("POST", "/api/create", 501),
        ("POST", "/api/push", 501),
        ("POST", "/api/blobs/sha256:abc", 501),
    ],
)
async def test_what_is_not_there_is_told_in_ollamas_shape(method: str, path: str, status: int) -> None:
    async with gateway(ONE, upstream("a", HELLO)) as g:
        body = {"model": "x"} if method == "POST" else None
        async with g.client.request(method, g.served.url + path, json=body) as reply:
            assert reply.status == status
            assert list(await reply.json()) == ["error"]
        async with g.client.head(g.served.url + "/api/blobs/sha256:abc") as reply:
            assert reply.status == 501


async def test_an_empty_body_and_junk_are_told_in_ollamas_shape() -> None:
    async with gateway(ONE, upstream("a", HELLO)) as g:
        for body in (
            b"",
            b"{",
            b"[]",
            b'{"model": "r", "messages": [{"role": "user", "content": "\\ud800"}]}',
            b"\xff",
        ):
            for path in (CHAT, GENERATE, EMBED, "/api/embeddings", "/api/show", "/api/pull", "/api/copy"):
                headers = {"content-type": "application/json"}
                async with g.client.post(g.served.url + path, data=body, headers=headers) as reply:
                    assert reply.status == 400, (path, body)
                    assert list(await reply.json()) == ["error"]
        g.world.calls = len(g.world.ledger.rows)
