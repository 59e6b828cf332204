"""`POST /v1/chat/completions`: what it takes and what it says, by OpenAI's reference and by what Zeke accepts."""

from __future__ import annotations

import io
from typing import Any

import aiohttp
import msgspec
import pytest

from ghostd.config.http import HttpConfig
from ghostd.conversation import Message, Refusal, Text, ToolCall, ToolResult
from ghostd.errors import ContextTooLong, GhostdError, ModelUnavailable, Overloaded, WorkerCrashed
from ghostd.testing.gateway import check_failed_stream, check_stream, serving
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import ChatRequest, Delta, Sampling, TokenLogprob, Usage

URL = "/v1/chat/completions"
USER = {"role": "user", "content": "hi"}


def chat(**fields: Any) -> dict[str, Any]:
    return {"model": "scripted-model", "messages": [USER], **fields}


async def post(provider: ScriptedProvider, body: Any, path: str = URL) -> tuple[int, Any, aiohttp.ClientResponse]:
    async with (
        serving(provider) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + path, json=body) as reply,
    ):
        return reply.status, await reply.json(), reply


async def stream(provider: ScriptedProvider, body: Any) -> bytes:
    async with (
        serving(provider) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + URL, json=body) as reply,
    ):
        assert reply.status == 200
        assert reply.headers["Content-Type"] == "text/event-stream"
        return await reply.read()


def last(provider: ScriptedProvider) -> ChatRequest:
    request = provider.requests[-1]
    assert isinstance(request, ChatRequest)
    return request


class Script(ScriptedProvider):
    """Streams the deltas of `script`, then ends without a word of its own."""

    script: tuple[Delta, ...] = ()

    async def _stream(self, request: Any) -> Any:
        self.requests.append(request)
        for delta in self.script:
            yield delta


def scripted(*script: Delta) -> Script:
    provider = Script()
    provider.script = script
    return provider


ZEKE_CHAT = {"id", "object", "created", "model", "choices", "usage"}


@pytest.mark.parametrize("path", [URL, "/v1/v1/chat/completions"])
@pytest.mark.parametrize(
    "extra",
    [
        {
            "temperature": None,
            "max_tokens": None,
            "stream": False,
            "tags": {"intent": "architecture", "source": "zeke", "language": None, "complexity": None},
        },
        {"temperature": 0.699999988079071, "max_tokens": 4096, "stream": False},
    ],
)
async def test_zeke_gets_exactly_the_keys_that_it_knows(path: str, extra: dict[str, Any]) -> None:
    """A replay of what Zeke sends; its decoder fails on any key that it does not know."""
    status, body, _ = await post(ScriptedProvider(), chat(model="auto", **extra), path)
    assert status == 200
    assert set(body) == ZEKE_CHAT | ({"routing_metadata"} if "tags" in extra else set())
    if "tags" in extra:
        known = {"provider", "model_used", "latency_ms", "was_cached", "cost_usd", "routing_reason"}
        assert set(body["routing_metadata"]) <= known
        assert type(body["routing_metadata"]["latency_ms"]) is int
    assert type(body["created"]) is int
    assert body["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "hello world"}, "finish_reason": "stop"}
    ]
    assert body["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
    assert body["model"] == "scripted-model"


async def test_every_field_reaches_the_model() -> None:
    provider = ScriptedProvider()
    status, _, _ = await post(
        provider,
        chat(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            min_p=0.05,
            repetition_penalty=1.1,
            presence_penalty=-1,
            frequency_penalty=1.5,
            seed=7,
            logit_bias={"50256": -100, "12": 5.5},
            logprobs=True,
            top_logprobs=3,
            grammar='root ::= "a"',
            max_tokens=5,
            max_completion_tokens=6,
            stop=["a", "", "b"],
            n=2,
        ),
    )
    assert status == 200
    sampling = Sampling(
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        min_p=0.05,
        repeat_penalty=1.1,
        presence_penalty=-1,
        frequency_penalty=1.5,
        seed=7,
        logit_bias={50256: -100, 12: 5.5},
        logprobs=3,
        grammar='root ::= "a"',
    )
    first, second = provider.requests
    assert first == ChatRequest(
        "scripted-model", (Message("user", "hi"),), sampling=sampling, max_tokens=6, stop=("a", "b")
    )
    assert isinstance(second, ChatRequest)
    assert second.sampling.seed == 8


async def test_content_comes_as_text_or_parts_and_in_every_role() -> None:
    provider = ScriptedProvider()
    messages = [
        {"role": "developer", "content": "be brief"},
        {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": 'hi "q"\nline2', "name": "me"},
        {"role": "assistant", "content": None, "refusal": "no", "tool_calls": []},
        {
            "role": "assistant",
            "content": "let me see",
            "tool_calls": [{"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "tool", "content": "42", "tool_call_id": "x"},
        {"role": "user", "content": ""},
    ]
    assert (await post(provider, chat(messages=messages)))[0] == 200
    assert last(provider).messages == (
        Message("developer", "be brief"),
        Message("system", (Text("a"), Text("b"))),
        Message("user", 'hi "q"\nline2', "me"),
        Message("assistant", (Refusal("no"),)),
        Message("assistant", (Text("let me see"), ToolCall("x", "f", "{}"))),
        Message("tool", (ToolResult("x", (Text("42"),)),)),
        Message("user", ""),
    )


async def test_null_means_absent_for_every_optional_field() -> None:
    provider = ScriptedProvider()
    names = [
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "presence_penalty",
        "response_format",
        "seed",
        "stop",
        "stream",
        "stream_options",
        "temperature",
        "top_p",
        "tools",
        "tool_choice",
        "user",
        "store",
        "metadata",
        "top_k",
        "min_p",
        "repeat_penalty",
        "repetition_penalty",
        "grammar",
        "json_schema",
        "functions",
        "function_call",
        "modalities",
        "audio",
        "service_tier",
        "parallel_tool_calls",
    ]
    assert (await post(provider, chat(**dict.fromkeys(names))))[0] == 200
    assert last(provider) == ChatRequest("scripted-model", (Message("user", "hi"),))


async def test_what_says_nothing_and_what_is_unknown_is_ignored() -> None:
    extra = {
        "tools": [],
        "tool_choice": "none",
        "functions": [],
        "modalities": ["text"],
        "store": True,
        "metadata": {"a": "b"},
        "user": "me",
        "service_tier": "flex",
        "reasoning_effort": "high",
        "never_heard_of": [1, {"x": None}],
        "response_format": {"type": "text"},
    }
    assert (await post(ScriptedProvider(), chat(**extra)))[0] == 200


@pytest.mark.parametrize(
    ("response_format", "schema"),
    [
        ({"type": "json_object"}, '{"type":"object"}'),
        ({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "array"}}}, '{"type": "array"}'),
        ({"type": "json_object", "schema": {"a": 1}}, '{"a": 1}'),
    ],
)
async def test_a_response_format_becomes_a_json_schema(response_format: dict[str, Any], schema: str) -> None:
    provider = ScriptedProvider()
    assert (await post(provider, chat(response_format=response_format)))[0] == 200
    assert last(provider).sampling.json_schema == schema


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"temperature": 3}, "temperature", "between 0 and 2"),
        ({"temperature": -0.1}, "temperature", "between 0 and 2"),
        ({"temperature": "hot"}, "temperature", "got `str`"),
        ({"top_p": 1.5}, "top_p", "between 0 and 1"),
        ({"n": 0}, "n", "between 1 and 128"),
        ({"n": 129}, "n", "between 1 and 128"),
        ({"n": True}, "n", "got `bool`"),
        ({"max_tokens": 0}, "max_tokens", "between 1 and"),
        ({"max_tokens": 1.5}, "max_tokens", "got `float`"),
        ({"max_tokens": 10**30}, "max_tokens", "between 1 and"),
        ({"max_completion_tokens": -1}, "max_completion_tokens", "between 1 and"),
        ({"presence_penalty": 2.1}, "presence_penalty", "between -2 and 2"),
        ({"seed": 2**63}, "seed", "between"),
        ({"seed": 10**400}, "seed", "between"),
        ({"top_k": -2}, "top_k", "between"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs", "between 0 and 20"),
        ({"top_logprobs": 2}, "top_logprobs", "logprobs"),
        ({"logit_bias": {"x": 1}}, "logit_bias", "not a token id"),
        ({"logit_bias": {"1": 101}}, "logit_bias", "between -100 and 100"),
        ({"logit_bias": {"1": "x"}}, "logit_bias[...]", "got `str`"),
        ({"stop": ["a"] * 5}, "stop", "at most 4"),
        ({"stop": [1]}, "stop[0]", "got `int`"),
        ({"stream": "yes"}, "stream", "got `str`"),
        ({"messages": []}, "messages", "empty"),
        ({"messages": None}, "messages", "got `null`"),
        ({"messages": [{"content": "x"}]}, "messages[0].role", "Missing"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "Missing"),
        ({"messages": [USER, {"role": "user", "content": 3}]}, "messages[1].content", "got `int`"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role", "supported: system"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text", "Missing"),
        ({"model": 5}, "model", "got `int`"),
        ({"model": None}, "model", "Missing"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema", "Missing"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": [1]}}},
            "response_format.json_schema.schema",
            "object",
        ),
        ({"grammar": "x", "response_format": {"type": "json_object"}}, "grammar", "combined"),
        ({"json_schema": {}, "response_format": {"type": "json_object"}}, "json_schema", "combined"),
    ],
)
async def test_a_wrong_field_is_a_400_that_names_it(fields: dict[str, Any], param: str, words: str) -> None:
    provider = ScriptedProvider()
    status, body, _ = await post(provider, chat(**fields))
    error = body["error"]
    assert (status, error["type"], error["param"]) == (400, "invalid_request_error", param)
    assert words in error["message"]
    assert not provider.requests


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "tools"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "x"}}, "audio"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
            "messages",
        ),
        (
            {"messages": [{"role": "assistant", "content": None, "tool_calls": [{"id": "x"}]}]},
            "messages[0].tool_calls[0]",
        ),
    ],
)
async def test_what_the_model_cannot_do_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    status, body, _ = await post(ScriptedProvider(features=frozenset(("json",))), chat(**fields))
    assert (status, body["error"]["code"], body["error"]["param"]) == (400, "unsupported_parameter", param)


async def test_a_choice_of_tools_needs_tools() -> None:
    status, body, _ = await post(ScriptedProvider(), chat(tool_choice="required"))
    assert (status, body["error"]["param"]) == (400, "tool_choice")


async def test_an_unknown_model_is_a_404_in_openais_words() -> None:
    status, body, _ = await post(ScriptedProvider(), chat(model="deepseek-coder:33b"))
    assert (status, body["error"]["code"], body["error"]["param"]) == (404, "model_not_found", "model")
    assert "scripted-model" in body["error"]["message"]


async def test_a_prompt_longer_than_the_context_is_a_400_with_both_numbers() -> None:
    status, body, _ = await post(ScriptedProvider(error=ContextTooLong(5000, 4096)), chat())
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
    assert "5000" in body["error"]["message"]
    assert "4096" in body["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status", "retry_after", "should_retry"),
    [
        (Overloaded("full", 2.4), 503, "2", None),
        (ModelUnavailable("rests", 0.2), 503, "1", None),
        (ModelUnavailable("rests"), 503, None, None),
        (WorkerCrashed("died"), 502, None, None),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_an_error_before_the_first_delta_has_its_own_status(
    error: GhostdError, status: int, retry_after: str | None, should_retry: str | None, streamed: bool
) -> None:
    got, body, reply = await post(ScriptedProvider(error=error), chat(stream=streamed))
    assert got == status
    assert body["error"]["message"] == str(error)
    assert reply.headers.get("retry-after") == retry_after
    assert reply.headers.get("x-should-retry") == should_retry


async def test_an_unexpected_exception_says_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(ScriptedProvider):
        async def _stream(self, request: Any) -> Any:
            if self.model:
                raise ZeroDivisionError("a secret")
            yield

    for streamed in (False, True):
        caplog.clear()
        status, body, reply = await post(Broken(), chat(stream=streamed))
        assert (status, body["error"]["code"]) == (500, "internal_error")
        assert "secret" not in str(body)
        assert reply.headers["x-should-retry"] == "false"
        assert len(caplog.records) == 1


async def test_a_stream_keeps_openais_rules() -> None:
    pieces = ["hé", "llo 😀", " x" * 3000, "\n"]
    seen = check_stream(await stream(ScriptedProvider(pieces=pieces), chat(stream=True)), chat=True)
    assert seen.choices[0].text == "".join(pieces)
    assert seen.choices[0].finish_reason == "stop"
    assert (seen.model, seen.usage) == ("scripted-model", None)


async def test_a_stream_of_several_choices_has_one_usage_for_all() -> None:
    body = chat(stream=True, n=3, stream_options={"include_usage": True})
    seen = check_stream(await stream(ScriptedProvider(), body), chat=True, with_usage=True)
    assert {index: choice.text for index, choice in seen.choices.items()} == dict.fromkeys(range(3), "hello world")
    assert seen.usage == {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}


async def test_several_choices_count_their_prompt_once() -> None:
    _, body, _ = await post(ScriptedProvider(), chat(n=3))
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert body["usage"] == {"prompt_tokens": 7, "completion_tokens": 6, "total_tokens": 13}


async def test_a_streams_usage_says_what_was_cached() -> None:
    provider = scripted(Delta("x"), Delta(finish_reason="length", usage=Usage(9, 1, cached_tokens=5)))
    body = chat(stream=True, stream_options={"include_usage": True})
    seen = check_stream(await stream(provider, body), chat=True, with_usage=True)
    assert seen.usage == {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 5},
    }
    assert seen.choices[0].finish_reason == "length"


async def test_an_error_amid_a_stream_is_its_last_event() -> None:
    provider = ScriptedProvider(error=WorkerCrashed("the worker died"), error_after=1)
    error = check_failed_stream(await stream(provider, chat(stream=True)))
    assert (error["message"], error["code"]) == ("the worker died", "worker_crashed")


async def test_a_reply_that_breaks_off_is_an_error_and_no_short_answer() -> None:
    status, body, _ = await post(scripted(Delta("half an ans")), chat())
    assert (status, body["error"]["code"]) == (502, "worker_failed")
    assert check_failed_stream(await stream(scripted(Delta("half")), chat(stream=True)))["code"] == "worker_failed"


async def test_long_and_awkward_deltas_are_split_into_events_of_at_most_8_kib() -> None:
    text = '\x01\u2028\\"' * 5000 + "😀" * 5000
    provider = scripted(Delta(text, finish_reason="stop", usage=Usage(1, 1)))
    assert check_stream(await stream(provider, chat(stream=True)), chat=True).choices[0].text == text


TOKENS = (
    TokenLogprob(1, b"h\xc3", -0.5, ((b"h\xc3", -0.5), (b"x", float("-inf")))),
    TokenLogprob(2, b"\xa9", 0.0, ()),
)


async def test_log_probabilities_come_in_openais_chat_form() -> None:
    provider = scripted(Delta("hé", logprobs=TOKENS), Delta(finish_reason="stop", usage=Usage(1, 2)))
    _, body, _ = await post(provider, chat(logprobs=True, top_logprobs=2))
    first, second = body["choices"][0]["logprobs"]["content"]
    assert first["bytes"] == [0x68, 0xC3]
    assert first["logprob"] == -0.5
    assert [top["logprob"] for top in first["top_logprobs"]] == [-0.5, -9999.0]
    assert (second["bytes"], second["top_logprobs"]) == ([0xA9], [])
    seen = check_stream(await stream(provider, chat(logprobs=True, top_logprobs=2, stream=True)), chat=True)
    assert seen.choices[0].logprobs == 2


async def test_many_log_probabilities_are_split_into_events_of_at_most_8_kib() -> None:
    top = tuple((b"token" * 3, -1.0) for _ in range(20))
    text = "\x01" * 400
    tokens = tuple(TokenLogprob(1, b"\x01", -0.5, top) for _ in range(30))
    provider = scripted(Delta(text, logprobs=tokens, finish_reason="stop", usage=Usage(1, 30)))
    seen = check_stream(await stream(provider, chat(stream=True, logprobs=True, top_logprobs=20)), chat=True)
    assert (seen.choices[0].text, seen.choices[0].logprobs) == (text, 30)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "empty"),
        (b"{", "not valid JSON"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (b'{"model":"m","messages":[],"temperature":NaN}', "not valid JSON"),
        (b'{"model":"m","messages":[],"temperature":Infinity}', "not valid JSON"),
        (b'{"model":"scripted-model","messages":[],"temperature":1e999}', "out of range"),
        (b'{"model":"\\ud800","messages":[]}', "lone surrogate"),
        (b'{"model":"\\udc00","messages":[]}', "not valid JSON"),
        (b'{"model":"\xff","messages":[]}', "not UTF-8"),
        (b'{"model":"m","messages":[],"ignored":"\xc3\x28"}', "not UTF-8"),
        (b'{"model":"m","messages":[]} {}', "not valid JSON"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "deeper than 64"),
        (b"[" * 5_000_000, "deeper than 64"),
        (b'{"a":"' + b"\\" * 1_000_001 + b'"}', "not valid JSON"),
    ],
)
async def test_a_body_that_is_not_strict_json_is_a_400(raw: bytes, words: str) -> None:
    async with (
        serving(ScriptedProvider()) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + URL, data=io.BytesIO(raw), headers={"Content-Type": "application/json"}) as reply,
    ):
        assert reply.status == 400
        assert words in (await reply.json())["error"]["message"]


async def test_brackets_in_strings_and_nesting_up_to_the_limit_are_fine() -> None:
    nested: Any = 1
    for level in range(63):
        nested = {"a": nested} if level % 2 else [nested]
    text = '[{"' * 1000 + "\\"
    status, _, _ = await post(ScriptedProvider(), chat(ignored=nested, messages=[{"role": "user", "content": text}]))
    assert status == 200


async def test_a_large_body_is_read() -> None:
    """Bodies over a mebibyte are decoded off the event loop."""
    provider = ScriptedProvider(context_tokens=None)
    text = "[é" * 1_000_000
    async with (
        serving(provider) as served,
        aiohttp.ClientSession() as client,
        client.post(
            served.url + URL,
            data=io.BytesIO(msgspec.json.encode(chat(messages=[{"role": "user", "content": text}]))),
            headers={"Content-Type": "application/json"},
        ) as reply,
    ):
        assert reply.status == 200
    assert last(provider).messages == (Message("user", text),)


async def test_of_a_key_that_comes_twice_the_last_one_counts() -> None:
    raw = b'{"model":"nobody","model":"scripted-model","messages":[{"role":"user","content":"x"}]}'
    async with (
        serving(ScriptedProvider(), config=HttpConfig(max_json_depth=3)) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + URL, data=io.BytesIO(raw), headers={"Content-Type": "application/json"}) as reply,
    ):
        assert reply.status == 200
