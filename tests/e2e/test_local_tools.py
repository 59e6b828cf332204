"""OpenAI's official SDK calls tools of models on this machine, through a real daemon."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from e2e.conftest import StartDaemon
from gguf_fixtures import CHAT_TEXT, ModelFile, model_file
from openai import AsyncOpenAI, BadRequestError
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

__all__ = ["model_file"]

pytestmark = [pytest.mark.e2e, pytest.mark.local_model]
HI: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Weather?"}]


def tool(name: str, **properties: object) -> ChatCompletionToolParam:
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": f"{name}.", "parameters": parameters}}


TOOLS = [tool("get_weather", city={"type": "string", "enum": ["Paris", "Rome"]}), tool("now")]


@pytest.fixture
async def client(start_daemon: StartDaemon, model_file: ModelFile, ghostd_home: Path) -> AsyncIterator[AsyncOpenAI]:
    """Of a daemon with three models."""
    folder = ghostd_home / "data" / "models"
    await asyncio.to_thread(folder.mkdir, parents=True)
    for name in ("caller", "thinker", "random", "qwen"):
        await asyncio.to_thread(shutil.copy, model_file(name), folder / f"{name}.gguf")
    daemon = await asyncio.to_thread(start_daemon)
    async with AsyncOpenAI(api_key="any", base_url=f"{daemon.url}/v1", max_retries=0, timeout=40) as made:
        yield made


@pytest.mark.parametrize("model", ["caller", "random"])
@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("required", {"get_weather", "now"}),
        ({"type": "function", "function": {"name": "now"}}, {"now"}),
        ({"type": "function", "function": {"name": "get_weather"}}, {"get_weather"}),
    ],
)
async def test_a_call_that_is_wanted_comes(client: AsyncOpenAI, model: str, choice: Any, names: set[str]) -> None:
    reply = await client.chat.completions.create(
        model=model, messages=HI, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False, temperature=0
    )
    said = reply.choices[0]
    assert (said.finish_reason, said.message.content) == ("tool_calls", None)
    assert said.message.tool_calls is not None
    (call,) = said.message.tool_calls
    assert call.type == "function" and call.function.name in names
    arguments = json.loads(call.function.arguments)
    assert arguments in ([{}] if call.function.name == "now" else [{"city": "Paris"}, {"city": "Rome"}])
    assert reply.usage is not None and reply.usage.completion_tokens > 0


async def test_a_tool_loop_ends_with_an_answer(client: AsyncOpenAI) -> None:
    asked = {"model": "caller", "tools": TOOLS, "parallel_tool_calls": False, "temperature": 0}
    first = await client.chat.completions.create(messages=HI, **asked)  # type: ignore[call-overload]
    message = first.choices[0].message
    (call,) = message.tool_calls
    result = {"role": "tool", "tool_call_id": call.id, "content": "21 °C"}
    second = await client.chat.completions.create(messages=[*HI, message, result], **asked)  # type: ignore[call-overload]
    assert (second.choices[0].message.content, second.choices[0].finish_reason) == (CHAT_TEXT, "stop")


async def test_a_streamed_tool_loop_ends_with_an_answer(client: AsyncOpenAI) -> None:
    asked: dict[str, Any] = {"model": "caller", "tools": TOOLS, "parallel_tool_calls": False, "temperature": 0}
    async with client.chat.completions.stream(messages=HI, **asked) as stream:
        pieces = [event.type async for event in stream if "tool_calls" in event.type]
        first = await stream.get_final_completion()
    assert first.choices[0].finish_reason == "tool_calls"
    assert pieces.count("tool_calls.function.arguments.delta") > 1
    assert pieces[-1] == "tool_calls.function.arguments.done"
    assert first.choices[0].message.tool_calls is not None
    (call,) = first.choices[0].message.tool_calls
    assert json.loads(call.function.arguments)["city"] in ("Paris", "Rome")
    history = [*HI, first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "21 °C"}]
    async with client.chat.completions.stream(messages=cast("Any", history), **asked) as stream:
        second = await stream.get_final_completion()
    assert (second.choices[0].message.content, second.choices[0].finish_reason) == (CHAT_TEXT, "stop")


async def test_thoughts_are_told_and_counted(client: AsyncOpenAI) -> None:
    reply = await client.chat.completions.create(model="thinker", messages=HI, temperature=0)
    message, usage = reply.choices[0].message, reply.usage
    assert message.content == CHAT_TEXT
    assert (message.model_extra or {})["reasoning_content"] == "def self"
    assert usage is not None and usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 4
    chunks = await client.chat.completions.create(model="thinker", messages=HI, temperature=0, stream=True)
    thoughts, text = "", ""
    async for chunk in chunks:
        thoughts += (chunk.choices[0].delta.model_extra or {}).get("reasoning_content", "")
        text += chunk.choices[0].delta.content or ""
    assert (thoughts, text) == ("def self", CHAT_TEXT)


async def test_tools_that_must_not_be_called_change_nothing(client: AsyncOpenAI) -> None:
    plain = await client.chat.completions.create(model="qwen", messages=HI, temperature=0)
    hidden = await client.chat.completions.create(
        model="qwen", messages=HI, temperature=0, tools=TOOLS, tool_choice="none"
    )
    assert hidden.choices[0].message.content == plain.choices[0].message.content == CHAT_TEXT
    assert hidden.usage is not None and plain.usage is not None
    assert hidden.usage.prompt_tokens == plain.usage.prompt_tokens


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tools": [tool("bad name")]}, "tools[0].function.name"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.invalid"}}]}]},
         "messages"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_by_name(client: AsyncOpenAI, fields: dict[str, Any], param: str) -> None:
    asked: dict[str, Any] = {"model": "caller", "messages": HI, "tools": TOOLS, **fields}
    with pytest.raises(BadRequestError) as caught:
        await client.chat.completions.create(**asked)
    assert caught.value.param == param
    assert "traceback" not in str(caught.value).lower()
