"""OpenAI's official SDK through a real daemon, while upstreams fail, configurations change and ghostd is killed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from e2e.conftest import StartDaemon
from e2e.gateway_world import ANTHROPIC, CALLS, HI, KEYS, LOCAL, OLLAMA, OPENAI, World, world
from gguf_fixtures import CHAT_TEXT, ModelFile, model_file
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam
from pydantic import BaseModel

from ghostd.testing.scripted_upstream import Answer, json_answer

__all__ = ["model_file"]

pytestmark = [pytest.mark.e2e, pytest.mark.local_model]

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
IMAGE: list[ChatCompletionMessageParam] = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is this?"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
        ],
    }
]
TOOLS: list[ChatCompletionToolUnionParam] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


class City(BaseModel):
    city: str


@pytest.fixture
async def gateway(start_daemon: StartDaemon, tmp_path: Path, model_file: ModelFile) -> AsyncIterator[World]:
    async with world(start_daemon, tmp_path, model_file("qwen")) as made:
        yield made


async def use_all(client: AsyncOpenAI, model: str, who: str) -> None:
    """Everything that the SDK is used for, answered by `who`."""
    whole = await client.chat.completions.create(model=model, messages=HI)
    assert (whole.choices[0].message.content, whole.choices[0].finish_reason) == (f"I am {who}", "stop")
    assert whole.usage is not None
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (21, 6)

    stream = await client.chat.completions.create(
        model=model, messages=HI, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == f"I am {who}"
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason] == ["stop"]
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [27]
    assert chunks[0].choices[0].delta.role == "assistant"

    called = await client.chat.completions.create(model=model, messages=HI, tools=TOOLS)
    await check_calls(called, who)
    async with client.chat.completions.stream(
        model=model, messages=HI, tools=TOOLS, stream_options={"include_usage": True}
    ) as events:
        await check_calls(await events.get_final_completion(), who)
    results: list[Any] = [
        *HI,
        called.choices[0].message.model_dump(exclude_none=True),
        *({"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in tool_calls(called)),
    ]
    done = await client.chat.completions.create(model=model, messages=results, tools=TOOLS)
    assert done.choices[0].message.content == f"I am {who}"

    parsed = await client.chat.completions.parse(model=model, messages=HI, response_format=City)
    assert parsed.choices[0].message.parsed == City(city=who)
    seen = await client.chat.completions.create(model=model, messages=IMAGE)
    assert seen.choices[0].message.content == f"I am {who}"


def tool_calls(reply: Any) -> list[Any]:
    return list(reply.choices[0].message.tool_calls or [])


async def check_calls(reply: Any, who: str) -> None:
    """Two calls in one reply; Ollama names no ids, so that ghostd makes them."""
    found = tool_calls(reply)
    assert [(call.function.name, json.loads(call.function.arguments)) for call in found] == [
        (call.name, json.loads(call.arguments)) for call in CALLS
    ]
    if who != "qwen":
        assert [call.id for call in found] == [call.id for call in CALLS]
    assert len({call.id for call in found}) == 2
    assert reply.choices[0].finish_reason == "tool_calls"
    assert reply.usage.total_tokens == 60


@pytest.mark.parametrize("model", ["auto", "main", "gpt-4"])
async def test_the_sdk_is_served_by_the_best_model(gateway: World, model: str) -> None:
    await use_all(gateway.client, model, "gpt")
    assert {row["deployment"] for row in await gateway.rows()} == {OPENAI}
    assert {seen.headers["authorization"] for seen in gateway.openai.requests} == {f"Bearer {KEYS['OPENAI_TEST_KEY']}"}


@pytest.mark.parametrize("fault", ["500", "hang", "cut"])
@pytest.mark.parametrize("model", ["auto", "main"])
async def test_the_sdk_is_served_while_the_primary_is_faulty(
    start_daemon: StartDaemon, tmp_path: Path, model_file: ModelFile, model: str, fault: str
) -> None:
    patience_s = 3 if fault == "hang" else 20
    async with world(start_daemon, tmp_path, model_file("qwen"), "rest_s = 300", patience_s=patience_s) as gateway:
        gateway.break_openai(fault)
        async with asyncio.timeout(60):
            await use_all(gateway.client, model, "claude")
        rows = await gateway.rows()
        assert {(row["status"], row["deployment"]) for row in rows} == {("ok", ANTHROPIC)}
        assert "after openai/gpt-4.1 (" in rows[-1]["reason"]
        assert len(gateway.openai.requests) <= 4, "the breaker keeps requests away from it"
        health = await gateway.command("ghostctl", "health")
        (line,) = [line for line in health.splitlines() if line.startswith(OPENAI)]
        assert "100%" not in line
        assert KEYS["OPENAI_TEST_KEY"] not in health + gateway.daemon.output


async def test_the_primary_is_asked_again_once_it_is_well(
    start_daemon: StartDaemon, tmp_path: Path, model_file: ModelFile
) -> None:
    """One failure would rank it behind the others for good; a check of a deployment that nobody asks clears it."""
    async with world(start_daemon, tmp_path, model_file("qwen"), "health_interval_s = 0.5") as gateway:
        healthy = gateway.openai.serve
        gateway.break_openai("500")

        async def ask() -> str | None:
            whole = await gateway.client.chat.completions.create(model="auto", messages=HI)
            return whole.choices[0].message.content

        assert await ask() == "I am claude"
        gateway.openai.serve = healthy
        async with asyncio.timeout(20):
            while await ask() != "I am gpt":
                await asyncio.sleep(0.1)


async def test_the_synchronous_sdk_is_served_while_the_primary_is_faulty(gateway: World) -> None:
    gateway.break_openai("500")

    def use() -> None:
        with OpenAI(base_url=f"{gateway.daemon.url}/v1", api_key="unused", max_retries=0, timeout=30) as client:
            whole = client.chat.completions.create(model="main", messages=HI)
            assert whole.choices[0].message.content == "I am claude"
            stream = client.chat.completions.create(model="auto", messages=HI, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "I am claude"
            called = client.chat.completions.create(model="main", messages=HI, tools=TOOLS)
            assert [call.id for call in tool_calls(called)] == [call.id for call in CALLS]
            parsed = client.chat.completions.parse(model="main", messages=HI, response_format=City)
            assert parsed.choices[0].message.parsed == City(city="claude")
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="nobody", messages=HI)

    await asyncio.to_thread(use)


async def test_the_third_answers_when_two_fail_and_the_local_model_when_all_do(gateway: World) -> None:
    gateway.break_openai("500")
    broken: Callable[[object], Answer] = lambda seen: json_answer({"error": "boom"}, 500)  # noqa: E731
    gateway.anthropic.serve = broken
    await use_all(gateway.client, "main", "qwen")
    gateway.ollama.serve = broken
    whole = await gateway.client.chat.completions.with_raw_response.create(model="main", messages=HI, temperature=0)
    assert whole.parse().choices[0].message.content == CHAT_TEXT
    assert whole.headers["x-ghostd-deployment"] == LOCAL
    last = (await gateway.rows())[0]
    assert (last["deployment"], last["cost_usd"], last["status"]) == (LOCAL, 0.0, "ok")
    assert {row["deployment"] for row in await gateway.rows()} == {OLLAMA, LOCAL}


async def test_a_stream_that_is_cut_in_its_midst_is_an_error_to_the_sdk_and_partial_in_the_ledger(
    gateway: World,
) -> None:
    answer = gateway.openai.serve
    assert answer is not None

    def cut(seen: Any) -> Answer:
        whole = answer(seen)
        return Answer(whole.pieces[:2], whole.status, whole.headers, whole.framing, "cut")

    gateway.openai.serve = cut
    stream = await gateway.client.chat.completions.create(model="main", messages=HI, stream=True)
    text = ""
    with pytest.raises(openai.APIError, match="openai: the reply was cut off"):
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
    assert text == "I am "
    (row,) = await gateway.rows()
    assert (row["status"], row["deployment"]) == ("partial", OPENAI)


ANTHROPIC_STREAM = """
event: message_start
data: {"type":"message_start","message":{"id":"msg_014p7gG3wDgGV9EUtLvnow3U","type":"message","role":"assistant",\
"model":"claude-sonnet-4-5-20250929","stop_sequence":null,"usage":{"input_tokens":472,"cache_creation_input_tokens":0,\
"cache_read_input_tokens":100,"output_tokens":2},"content":[],"stop_reason":null}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Okay"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":", let's see:"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_01T1x1fJ34qAmk2tNTrN7Up6",\
"name":"weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\\"city\\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":" \\"San Francisc"}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"o\\"}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_02T1x1fJ34qAmk2tNTrN7Up6",\
"name":"weather","input":{}}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":89}}

event: message_stop
data: {"type":"message_stop"}

""".lstrip().replace("\\\n", "")
"""As the Messages API's documentation shows one: text, then calls in pieces, one without arguments."""


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_of_anthropics_is_the_same_to_openais_sdk(gateway: World, stream: bool) -> None:
    gateway.anthropic.play(
        Answer((ANTHROPIC_STREAM.encode(),), 200, {"content-type": "text/event-stream; charset=utf-8"})
    )
    system: ChatCompletionMessageParam = {"role": "system", "content": "Be brief."}
    messages = [system, *IMAGE]
    if stream:
        async with gateway.client.chat.completions.stream(
            model=ANTHROPIC, messages=messages, tools=TOOLS, stream_options={"include_usage": True}
        ) as events:
            reply: Any = await events.get_final_completion()
    else:
        reply = await gateway.client.chat.completions.create(model=ANTHROPIC, messages=messages, tools=TOOLS)
    message = reply.choices[0].message
    assert (message.content, reply.choices[0].finish_reason) == ("Okay, let's see:", "tool_calls")
    assert [(call.id, call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls] == [
        ("toolu_01T1x1fJ34qAmk2tNTrN7Up6", "weather", {"city": "San Francisco"}),
        ("toolu_02T1x1fJ34qAmk2tNTrN7Up6", "weather", {}),
    ]
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (572, 89)
    assert reply.usage.prompt_tokens_details.cached_tokens == 100

    asked = gateway.anthropic.requests[-1].json
    assert asked["tools"][0]["input_schema"]["required"] == ["city"]
    assert "Be brief." in json.dumps(asked["system"])
    image = next(part for part in asked["messages"][0]["content"] if part["type"] == "image")
    assert image["source"] == {"type": "base64", "media_type": "image/png", "data": PIXEL}
    assert gateway.anthropic.requests[-1].headers["x-api-key"] == KEYS["ANTHROPIC_TEST_KEY"]


async def test_rate_limits_and_refused_keys_reach_the_sdk(gateway: World) -> None:
    gateway.openai.play(
        json_answer({"error": {"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}}, 429,
                    {"retry-after": "30"})
    )  # fmt: skip
    with pytest.raises(openai.RateLimitError) as limited:
        await gateway.client.chat.completions.create(model=OPENAI, messages=HI)
    assert 0 < float(limited.value.response.headers["retry-after"]) <= 30
    gateway.anthropic.play(
        json_answer({"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}, 401)
    )
    with pytest.raises(openai.APIStatusError) as refused:
        await gateway.client.chat.completions.create(model=ANTHROPIC, messages=HI)
    assert (refused.value.status_code, refused.value.code) == (502, "upstream_key_refused")
    assert KEYS["ANTHROPIC_TEST_KEY"] not in str(refused.value)
    health = await gateway.command("ghostctl", "health")
    assert "key env:ANTHROPIC_TEST_KEY of anthropic: resting" in health
    whole = await gateway.client.chat.completions.create(model="main", messages=HI)
    assert whole.choices[0].message.content == "I am qwen"


async def test_errors_are_the_sdks_exceptions(gateway: World) -> None:
    client = gateway.client
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="openai/gpt-5-nano-mini", messages=HI)
    assert missing.value.code == "model_not_found"
    for name in ("api_base", "base_url", "api_key"):
        with pytest.raises(openai.BadRequestError) as refused:
            await client.chat.completions.create(model="main", messages=HI, extra_body={name: "http://evil.example"})
        assert refused.value.param == name
    with pytest.raises(openai.BadRequestError) as unable:
        await client.chat.completions.create(model="tiny", messages=IMAGE)
    assert "tiny" in unable.value.message
    gateway.openai.play(json_answer({"error": {"message": "bad seed", "type": "invalid_request_error", "param": "seed",
                                               "code": None}}, 400))  # fmt: skip
    with pytest.raises(openai.BadRequestError) as upstreams:
        await client.chat.completions.create(model=OPENAI, messages=HI)
    assert (upstreams.value.param, upstreams.value.type) == ("seed", "invalid_request_error")
    assert "evil" not in str([seen.body for seen in gateway.openai.requests])


@pytest.fixture
async def resting_long(start_daemon: StartDaemon, tmp_path: Path, model_file: ModelFile) -> AsyncIterator[World]:
    """What rests still does when all commands have been called, however slow the machine is."""
    async with world(start_daemon, tmp_path, model_file("qwen"), "rest_s = 300") as made:
        yield made


async def test_ghostctl_shows_health_usage_and_why_each_request_went_where_it_went(
    resting_long: World, tmp_path: Path
) -> None:
    gateway = resting_long
    await gateway.client.chat.completions.create(
        model="auto", messages=HI, extra_headers={"x-client": "editor", "x-project": "shop"}
    )
    gateway.break_openai("500")
    for _ in range(3):
        await gateway.client.chat.completions.create(model="main", messages=HI)

    health = json.loads(await gateway.command("ghostctl", "health", "--json"))
    states = {found["name"]: found["state"] for found in health["deployments"]}
    assert (states[OPENAI], states[ANTHROPIC]) == ("open", "closed")
    assert {(key["reference"], key["state"]) for key in health["keys"]} == {
        ("env:OPENAI_TEST_KEY", "ready"), ("env:ANTHROPIC_TEST_KEY", "ready"),
    }  # fmt: skip

    usage = json.loads(await gateway.command("ghostctl", "usage", "--by", "deployment", "--json"))
    groups = {group["deployment"]: group for group in usage["groups"]}
    assert (groups[OPENAI]["requests"], groups[ANTHROPIC]["requests"]) == (1, 3)
    assert groups[OPENAI]["cost_usd"] == pytest.approx((17 * 2 + 4 * 0.5 + 6 * 8) / 1e6)
    assert groups[ANTHROPIC]["cost_usd"] == pytest.approx(3 * (17 * 3 + 4 * 0.3 + 6 * 15) / 1e6)
    assert "shop" in await gateway.command("ghostctl", "usage", "--by", "project")

    rows = await gateway.rows()
    assert [row["reason"] for row in rows][-1] == "quality of auto"
    assert rows[-1]["client"] == "editor"
    assert rows[-2]["reason"] == "ordered of main, after openai/gpt-4.1 (UpstreamFailed)"
    shown = await gateway.command("ghostctl", "requests")
    assert "after openai/gpt-4.1 (UpstreamFailed)" in shown

    asked = tmp_path / "asked.json"
    asked.write_text(json.dumps({"model": "main", "messages": HI}))
    why = await gateway.command("ghostctl", "route", "explain", str(asked))
    assert "main" in why.splitlines()[0]
    (resting,) = [line for line in why.splitlines() if OPENAI in line]
    assert "rests for" in resting
    asked.write_text(json.dumps({"model": "auto", "messages": IMAGE}))
    found = json.loads(await gateway.command("ghostctl", "route", "explain", str(asked), "--json"))
    assert (found["policy"], found["needs"]) == ("quality", ["vision"])
    problems = {candidate["name"]: candidate["problem"] for candidate in found["candidates"]}
    assert (problems[LOCAL], problems[ANTHROPIC]) == ("it has no vision", "")
    replayed = await gateway.command("ghostctl", "route", "replay", "--policy", "cheapest")
    assert replayed.startswith("4 requests, 4 of them answered")
