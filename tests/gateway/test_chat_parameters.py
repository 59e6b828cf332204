"""Every parameter of a chat that is translated: its type, its range, and what it may be combined with.

Ranges and rules are those of OpenAI's reference, "Create chat completion".
"""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI, AsyncStream

from ghostd.conversation import File, NamedTool, Reasoning, Tool, ToolCall, ToolCallDelta, Tools
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import ChatRequest, Delta, DraftSources, Usage

USER = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,QUJD"
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CLOCK = {"type": "function", "function": {"name": "clock"}}
SHELL = {"type": "custom", "custom": {"name": "shell", "description": "runs it", "format": {"type": "text"}}}
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}


async def post(provider: ScriptedProvider, **fields: Any) -> tuple[int, Any]:
    body = {"model": "scripted-model", "messages": [USER], **fields}
    async with (
        serving(provider) as served,
        aiohttp.ClientSession() as client,
        client.post(served.url + "/v1/chat/completions", json=body) as reply,
    ):
        return reply.status, await (reply.text() if body.get("stream") and reply.status == 200 else reply.json())


async def sent(**fields: Any) -> ChatRequest:
    provider = ScriptedProvider()
    status, body = await post(provider, **fields)
    assert status == 200, body
    request = provider.requests[-1]
    assert isinstance(request, ChatRequest)
    return request


def content(**part: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


def schema(**inner: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", "json_schema": {"schema": {}, **inner}}}


def function(**changes: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": "f", **changes}}]}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"stream_options": {"include_usage": True}}, "stream_options"),
    ({"stream": True, "stream_options": {"include_obfuscation": 1}}, "stream_options.include_obfuscation"),
    ({"stream": True, "stream_options": []}, "stream_options"),
    ({"verbosity": "loud"}, "verbosity"),
    ({"verbosity": 1}, "verbosity"),
    ({"service_tier": "gold"}, "service_tier"),
    ({"reasoning_effort": 3}, "reasoning_effort"),
    ({"prompt_cache_retention": "a while"}, "prompt_cache_retention"),
    ({"safety_identifier": "x" * 65}, "safety_identifier"),
    ({"prompt_cache_key": "x" * 65}, "prompt_cache_key"),
    ({"prompt_cache_key": 5}, "prompt_cache_key"),
    ({"user": 5}, "user"),
    ({"store": "yes"}, "store"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {"a": 1}}, "metadata[...]"),
    ({"metadata": {str(number): "x" for number in range(17)}}, "metadata"),
    ({"metadata": {"x" * 65: "x"}}, "metadata"),
    ({"metadata": {"a": "x" * 513}}, "metadata.a"),
    ({"prediction": "text"}, "prediction"),
    ({"prediction": {"type": "guess", "content": "x"}}, "prediction.type"),
    ({"prediction": {"type": "content"}}, "prediction.content"),
    ({"prediction": {"type": "content", "content": [{"type": "text"}]}}, "prediction.content[0].text"),
    ({"web_search_options": {}}, "web_search_options"),
    ({"modalities": ["smell"]}, "modalities"),
    ({"modalities": []}, "modalities"),
    ({"modalities": ["text", "audio"], "audio": {"voice": "x", "format": "wav"}}, "modalities"),
    ({"logprobs": 3}, "logprobs"),
    ({"logprobs": True, "top_logprobs": -1}, "top_logprobs"),
    ({"logit_bias": {"99999999999": 1}}, "logit_bias"),
    ({"logit_bias": {"9999999999": 1}}, "logit_bias"),
    ({"seed": 1.5}, "seed"),
    ({"min_p": 1.5}, "min_p"),
    ({"repetition_penalty": 0}, "repetition_penalty"),
    ({"chat_template_kwargs": []}, "chat_template_kwargs"),
    ({"chat_template_kwargs": {"enable_thinking": "no"}}, "chat_template_kwargs.enable_thinking"),
    ({"chat_template_kwargs": {"persona": "pirate"}}, "chat_template_kwargs.persona"),
    ({"grammar": 5}, "grammar"),
    ({"response_format": "json"}, "response_format"),
    (schema(), "response_format.json_schema.name"),
    (schema(name="a b"), "response_format.json_schema.name"),
    (schema(name="a", strict="very"), "response_format.json_schema.strict"),
    # tools
    ({"tools": {}}, "tools"),
    ({"tools": [{"type": "function"}]}, "tools[0].function"),
    ({"tools": [{"type": "custom"}]}, "tools[0].custom"),
    ({"tools": [{"function": {"name": "f"}}]}, "tools[0].type"),
    ({"tools": [CLOCK] * 129}, "tools"),
    (function(name=""), "tools[0].function.name"),
    (function(name="a b"), "tools[0].function.name"),
    (function(name="x" * 65), "tools[0].function.name"),
    (function(parameters=[]), "tools[0].function.parameters"),
    (function(parameters="{}"), "tools[0].function.parameters"),
    (function(strict=1), "tools[0].function.strict"),
    (function(description=5), "tools[0].function.description"),
    ({"tools": [{"type": "custom", "custom": {"name": "x", "format": {"type": "grammar"}}}]}, "tools[0].custom.format"),
    ({"tools": [CLOCK], "functions": [{"name": "f"}]}, "functions"),
    ({"functions": [{"name": "a b"}]}, "functions[0].name"),
    ({"tools": [CLOCK], "tool_choice": "any"}, "tool_choice"),
    ({"tools": [CLOCK], "tool_choice": 1}, "tool_choice"),
    ({"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "weather"}}}, "tool_choice"),
    ({"tools": [CLOCK], "tool_choice": {"type": "function"}}, "tool_choice.function"),
    ({"tools": [CLOCK], "tool_choice": {"type": "magic"}}, "tool_choice.type"),
    ({"tools": [CLOCK], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
    (
        {
            "tools": [CLOCK],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": [CLOCK]}},
        },
        "tool_choice.allowed_tools.mode",
    ),
    (
        {"tools": [CLOCK], "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}},
        "tool_choice.allowed_tools.tools",
    ),
    (
        {
            "tools": [CLOCK],
            "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [WEATHER]}},
        },
        "tool_choice",
    ),
    ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice"),
    ({"parallel_tool_calls": True}, "parallel_tool_calls"),
    ({"tools": [CLOCK], "parallel_tool_calls": 1}, "parallel_tool_calls"),
    ({"functions": [{"name": "f"}], "function_call": "required"}, "function_call"),
    ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call"),
    ({"function_call": {"name": "g"}}, "function_call"),
    # messages
    ({"messages": "hi"}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": ["hi"]}]}, "messages[0].content[0]"),
    ({"messages": [{"role": "user", "content": "x", "name": 5}]}, "messages[0].name"),
    ({"messages": [{"role": "user", "content": "x", "tool_calls": [CALL]}]}, "messages[0].tool_calls"),
    ({"messages": [{"role": "assistant", "content": None}]}, "messages[0].content"),
    ({"messages": [{"role": "assistant", "tool_calls": [{**CALL, "id": ""}]}]}, "messages[0].tool_calls[0].id"),
    ({"messages": [USER, {"role": "tool", "tool_call_id": "c1", "content": "x"}]}, "messages[1].role"),
    ({"messages": [{"role": "assistant", "tool_calls": [CALL]}, USER]}, "messages[1].role"),
    ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}]}, "messages"),
    (
        {"messages": [{"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "c1"}]},
        "messages[1].content",
    ),
    ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].name"),
    (content(type="refusal", refusal="no"), "messages[0].content[0].type"),
    (
        {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}]},
        "messages[0].content[0].type",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": PNG}}]}]},
        "messages[0].content[0].type",
    ),
    (content(type="image_url", image_url={"url": "file:///etc/passwd"}), "messages[0].content[0].image_url.url"),
    (content(type="image_url", image_url={"url": "data:image/png;base64,Q*"}), "messages[0].content[0].image_url.url"),
    (content(type="image_url", image_url={"url": "data:image/png;base64,"}), "messages[0].content[0].image_url.url"),
    (
        content(type="image_url", image_url={"url": "data:text/html;base64,QQ=="}),
        "messages[0].content[0].image_url.url",
    ),
    (content(type="image_url", image_url={"url": PNG, "detail": "huge"}), "messages[0].content[0].image_url.detail"),
    (content(type="image_url", image_url="ftp://x"), "messages[0].content[0].image_url"),
    (content(type="image_url", image_url={}), "messages[0].content[0].image_url.url"),
    (
        content(type="input_audio", input_audio={"data": "QUJD", "format": "midi"}),
        "messages[0].content[0].input_audio.format",
    ),
    (
        content(type="input_audio", input_audio={"data": "é", "format": "wav"}),
        "messages[0].content[0].input_audio.data",
    ),
    (content(type="input_audio"), "messages[0].content[0].input_audio"),
    (content(type="file", file={}), "messages[0].content[0].file.file_data"),
    (content(type="file", file={"file_id": "f", "file_data": PNG}), "messages[0].content[0].file.file_id"),
    (content(type="file", file={"file_data": "not base64!"}), "messages[0].content[0].file.file_data"),
    (content(type="file", file={"file_data": "data:text/plain;base64,/w=="}), "messages[0].content[0].file.file_data"),
    (content(type="file", file={"file_data": "data:text/plain;base64,QQ"}), "messages[0].content[0].file.file_data"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=lambda value: str(value)[:80])
async def test_a_wrong_field_is_a_400_that_names_it(fields: dict[str, Any], param: str) -> None:
    provider = ScriptedProvider()
    status, body = await post(provider, **fields)
    assert (status, body["error"]["type"], body["error"]["param"]) == (400, "invalid_request_error", param)
    assert not provider.requests


async def test_hints_and_what_is_the_services_own_business_is_accepted() -> None:
    request = await sent(
        verbosity="low",
        prediction={"type": "content", "content": [{"type": "text", "text": "hello"}]},
        store=True,
        metadata={str(number): "x" * 512 for number in range(16)},
        service_tier="priority",
        safety_identifier="x" * 64,
        prompt_cache_key="k",
        prompt_cache_retention="24h",
        user="me",
        modalities=["text"],
        stream=True,
        stream_options={"include_usage": True, "include_obfuscation": False},
    )
    assert request == ChatRequest("scripted-model", request.messages, user="me", verbosity="low")
    assert request.drafts == DraftSources("hello", ("hello",))


@pytest.mark.parametrize(("kwargs", "reasoning"), [
    ({"enable_thinking": False}, Reasoning("none")),
    ({"thinking": False}, Reasoning("none")),
    ({"enable_thinking": True}, Reasoning()),
    ({}, Reasoning()),
])  # fmt: skip
async def test_whether_a_template_thinks_is_told_in_every_dialect(kwargs: dict[str, Any], reasoning: Reasoning) -> None:
    """An extension of vLLM, SGLang and llama.cpp."""
    assert (await sent(chat_template_kwargs=kwargs)).reasoning == reasoning
    assert (await sent(chat_template_kwargs=kwargs, reasoning_effort="low")).reasoning == Reasoning("low")


@pytest.mark.parametrize(("mode", "names"), [("auto", ["weather"]), ("required", ["weather", "shell"])])
async def test_only_the_allowed_tools_reach_the_model(mode: str, names: list[str]) -> None:
    listed = {"weather": WEATHER, "shell": SHELL}
    allowed = {"mode": mode, "tools": [listed[name] for name in names]}
    request = await sent(tools=[WEATHER, CLOCK, SHELL], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool.name for tool in request.tools.tools] == names
    assert request.tools.choice == mode


async def test_a_custom_tool_is_a_function_of_one_text_and_so_are_its_calls() -> None:
    messages = [
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "custom", "custom": {"name": "shell", "input": 'ls "a"'}}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "b"},
    ]
    request = await sent(messages=messages, tools=[SHELL], tool_choice={"type": "custom", "custom": {"name": "shell"}})
    (tool,) = request.tools.tools
    assert (tool.name, tool.description) == ("shell", "runs it")
    assert '"required":["input"]' in tool.parameters
    assert request.tools == Tools((tool,), NamedTool("shell"))
    assert request.messages[1].parts == (ToolCall("c1", "shell", '{"input":"ls \\"a\\""}'),)


class Caller(ScriptedProvider):
    """Calls a custom tool and a function, in pieces."""

    async def _stream(self, request: Any) -> Any:
        self.requests.append(request)
        for piece in (
            ToolCallDelta(0, "", "c1", "shell"),
            ToolCallDelta(0, '{"input":"ls '),
            ToolCallDelta(1, "", "c2", "clock"),
            ToolCallDelta(0, '-l \\u00e9"}'),
            ToolCallDelta(1, "{}"),
        ):
            yield Delta(tool_calls=(piece,))
        yield Delta(finish_reason="tool_calls", usage=Usage(7, 2))


async def test_calls_of_custom_tools_come_back_as_such() -> None:
    status, body = await post(Caller(), tools=[SHELL, CLOCK])
    assert status == 200
    assert body["choices"][0]["message"]["tool_calls"] == [
        {"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls -l é"}},
        {"id": "c2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
    ]


async def test_a_stream_tells_id_and_name_of_a_call_once_also_of_a_custom_tools() -> None:
    async with (
        serving(Caller()) as served,
        AsyncOpenAI(api_key="x", base_url=f"{served.url}/v1", max_retries=0) as client,
    ):
        calls: dict[int, dict[str, Any]] = {}
        stream = await client.chat.completions.create(
            model="scripted-model",
            messages=[{"role": "user", "content": "hi"}],
            tools=[SHELL, CLOCK],  # type: ignore[list-item]
            stream=True,
        )
        assert isinstance(stream, AsyncStream)
        async for chunk in stream:
            for piece in chunk.choices[0].delta.tool_calls or []:
                told = piece.model_dump(exclude_none=True)
                call = calls.setdefault(piece.index, {"id": [], "name": [], "text": ""})
                inner = told.get("custom") or told["function"]
                call["id"] += [told["id"]] if "id" in told else []
                call["name"] += [inner["name"]] if "name" in inner else []
                call["text"] += inner.get("input", "") + inner.get("arguments", "")
    assert calls == {
        0: {"id": ["c1"], "name": ["shell"], "text": "ls -l é"},
        1: {"id": ["c2"], "name": ["clock"], "text": "{}"},
    }


async def test_a_file_of_plain_text_reaches_the_model_as_text() -> None:
    part = {"file_data": "data:text/plain;base64,aMOpCg==", "filename": "a.txt"}
    (message,) = (await sent(**content(type="file", file=part))).messages
    assert message.parts == (File(data="hé\n", media_type="text/plain", name="a.txt"),)


async def test_a_tool_without_parameters_takes_none() -> None:
    assert (await sent(tools=[CLOCK])).tools == Tools((Tool("clock"),))
