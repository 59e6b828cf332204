"""What Ollama's chat and generate requests mean to a provider of another dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_harness import gateway
from ollama_harness import CHAT, GENERATE, HELLO, ONE, PNG, refused, sent
from routing_harness import upstream

from ghostd.conversation import (
    NO_REASONING,
    Image,
    Message,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
)
from ghostd.models import ModelInfo
from ghostd.types import ChatRequest, CompletionRequest, FillRequest, Sampling


async def test_a_tool_loop_reaches_the_provider_whole() -> None:
    """Results name their tool, and since late 2025 may name the call; both are matched."""
    weather = {"name": "weather", "description": "d", "parameters": {"type": "object", "required": ["city"]}}
    request = await sent(
        messages=[
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "weather?"},
            {
                "role": "assistant",
                "content": "",
                "thinking": "hm",
                "tool_calls": [
                    {"function": {"name": "weather", "arguments": {"city": "Paris"}}},
                    {"id": "id_2", "function": {"name": "time", "arguments": {}}},
                    {"function": {"name": "weather", "arguments": {"city": "Rome"}}},
                ],
            },
            {"role": "tool", "tool_name": "weather", "content": "sunny"},
            {"role": "tool", "tool_call_id": "id_2", "content": "noon"},
            {"role": "tool", "content": "rain"},
        ],
        tools=[{"type": "function", "function": weather}, {"function": {"name": "time"}}],
    )
    assert isinstance(request, ChatRequest)
    assert request.messages == (
        Message("system", "Be short."),
        Message("user", "weather?"),
        Message(
            "assistant",
            (
                Thinking("hm"),
                ToolCall("call_1", "weather", '{"city": "Paris"}'),
                ToolCall("id_2", "time", "{}"),
                ToolCall("call_3", "weather", '{"city": "Rome"}'),
            ),
        ),
        Message(
            "tool",
            (
                ToolResult("call_1", (Text("sunny"),), name="weather"),
                ToolResult("id_2", (Text("noon"),), name="time"),
                ToolResult("call_3", (Text("rain"),), name="weather"),
            ),
        ),
    )
    assert request.tools.tools == (
        Tool("weather", "d", '{"type": "object", "required": ["city"]}'),
        Tool("time"),
    )


async def test_images_reach_the_provider_with_their_type() -> None:
    request = await sent(messages=[{"role": "user", "content": "look", "images": [PNG]}])
    assert request.messages[0].parts == (Text("look"), Image(data=PNG, media_type="image/png"))
    request = await sent(GENERATE, prompt="look", images=["data:image/png;base64," + PNG])
    assert request.messages[0].parts == (Text("look"), Image(data=PNG, media_type="image/png"))


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        (GENERATE, {"prompt": "look", "images": [PNG]}, "images"),
        (CHAT, {"messages": [{"role": "user", "content": "look", "images": [PNG]}]}, "messages"),
    ],
)
async def test_images_for_a_model_without_eyes_are_refused_by_their_name(
    path: str, fields: dict[str, Any], param: str
) -> None:
    info = ModelInfo("", "a", frozenset(("chat",)), features=frozenset(), remote=True)
    async with gateway(ONE, upstream("a", HELLO, info=info)) as g:
        answer = await g.post(path, None, **fields)
        assert answer.status == 400
        assert answer.json["error"].startswith(f"{param}: ") and "vision" in answer.json["error"]


OPTIONS = {
    "num_keep": 5,
    "seed": 42,
    "num_predict": 100,
    "top_k": 20.0,
    "top_p": 0.9,
    "min_p": 0.0,
    "typical_p": 0.7,
    "repeat_last_n": 33,
    "temperature": 0.8,
    "repeat_penalty": 1.2,
    "presence_penalty": 1.5,
    "frequency_penalty": 1.0,
    "penalize_newline": True,
    "stop": ["\n", "user:"],
    "numa": False,
    "num_ctx": 1024,
    "num_batch": 2,
    "num_gpu": 1,
    "main_gpu": 0,
    "use_mmap": True,
    "num_thread": 8,
}
"""The example of Ollama's own documentation."""


@pytest.mark.parametrize(("path", "more"), [(CHAT, {}), (GENERATE, {"prompt": "hi"})])
async def test_options_reach_the_provider(path: str, more: dict[str, Any]) -> None:
    request = await sent(path, options=OPTIONS, **more)
    assert request.sampling == Sampling(
        temperature=0.8,
        top_p=0.9,
        top_k=20,
        min_p=0.0,
        repeat_penalty=1.2,
        presence_penalty=1.5,
        frequency_penalty=1.0,
        seed=42,
        optional=True,
    )
    assert (request.max_tokens, request.stop) == (100, ("\n", "user:"))


@pytest.mark.parametrize(
    ("options", "limit"),
    [(None, None), ({}, None), ({"num_predict": -1}, None), ({"num_predict": -2}, None), ({"num_predict": 0}, None),
     ({"num_predict": 7.0}, 7), ({"num_predict": None, "temperature": None, "stop": None}, None)],
)  # fmt: skip
async def test_num_predict_is_the_limit(options: Any, limit: int | None) -> None:
    assert (await sent(options=options)).max_tokens == limit


@pytest.mark.parametrize(
    ("think", "reasoning"),
    [(None, NO_REASONING), (True, Reasoning(include=True)), (False, Reasoning("none", optional=True)),
     ("low", Reasoning("low", include=True)), ("high", Reasoning("high", include=True))],
)  # fmt: skip
async def test_think_is_how_much_to_reason(think: Any, reasoning: Reasoning) -> None:
    both: list[tuple[str, dict[str, Any]]] = [(CHAT, {}), (GENERATE, {"prompt": "x"})]
    for path, more in both:
        assert (await sent(path, think=think, **more)).reasoning == reasoning


async def test_a_model_that_cannot_think_is_not_asked_to() -> None:
    info = ModelInfo("m", "a", frozenset(("chat",)), features=frozenset(("json",)))
    async with gateway(ONE, upstream("a", HELLO, info=info)) as g:
        answer = await g.post(CHAT, None, think=True)
        assert answer.status == 400
        assert "does not support thinking" in answer.json["error"]
        tools = [{"type": "function", "function": {"name": "f"}}]
        assert "does not support tools" in (await g.post(CHAT, None, tools=tools)).json["error"]
        assert (await g.post(CHAT, None, think=False)).status == 200


SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("wanted", "schema"), [(None, None), ("", None), ("json", {"type": "object"}), (SCHEMA, SCHEMA)]
)
async def test_format_is_what_the_reply_must_follow(wanted: Any, schema: Any) -> None:
    found = (await sent(format=wanted)).sampling.json_schema
    assert (found and json.loads(found)) == schema


BAD: list[tuple[dict[str, Any], str]] = [
    ({"stream": "yes"}, "stream"),
    ({"options": 1}, "options"),
    ({"options": {"temperature": "hot"}}, "options.temperature"),
    ({"options": {"temperature": -1}}, "options.temperature"),
    ({"options": {"top_p": 2}}, "options.top_p"),
    ({"options": {"top_k": -7}}, "options.top_k"),
    ({"options": {"min_p": 2}}, "options.min_p"),
    ({"options": {"repeat_penalty": 0}}, "options.repeat_penalty"),
    ({"options": {"presence_penalty": 3}}, "options.presence_penalty"),
    ({"options": {"frequency_penalty": -3}}, "options.frequency_penalty"),
    ({"options": {"seed": 2**70}}, "options.seed"),
    ({"options": {"num_predict": 2**40}}, "options.num_predict"),
    ({"options": {"num_predict": 10**400}}, "options.num_predict"),
    ({"options": {"num_ctx": -4}}, "options.num_ctx"),
    ({"options": {"stop": 5}}, "options.stop"),
    ({"options": {"stop": ["x"] * 65}}, "options.stop"),
    ({"options": {"mirostat": "on"}}, "options.mirostat"),
    ({"format": "xml"}, "format"),
    ({"format": 5}, "format"),
    ({"think": "much"}, "think"),
    ({"think": 5}, "think"),
    ({"logprobs": "all"}, "logprobs"),
    ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
    ({"keep_alive": "soon"}, "keep_alive"),
    ({"keep_alive": [5]}, "keep_alive"),
    ({"keep_alive": True}, "keep_alive"),
    ({"keep_alive": "5x"}, "keep_alive"),
    ({"base_url": "http://elsewhere"}, "base_url"),
    ({"model": None}, "model"),
    ({"model": 5}, "model"),
]


@pytest.mark.parametrize(("fields", "name"), BAD)
@pytest.mark.parametrize(("path", "more"), [(CHAT, {}), (GENERATE, {"prompt": "hi"})])
async def test_what_is_wrong_is_named(path: str, more: dict[str, Any], fields: dict[str, Any], name: str) -> None:
    assert name in await refused(path, **{**more, **fields})


@pytest.mark.parametrize(
    ("messages", "name"),
    [
        ("hi", "messages"),
        ({}, "messages"),
        ([5], "messages[0]"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "robot", "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": 5}], "messages[0].content"),
        ([{"role": "user", "content": "x", "images": "x"}], "messages[0].images"),
        ([{"role": "user", "content": "x", "images": ["%%%"]}], "messages[0].images[0]"),
        ([{"role": "user", "content": "x", "images": ["aGVsbG8="]}], "messages[0].images[0]"),
        ([{"role": "user", "content": "x", "tool_calls": [{"function": {"name": "f"}}]}], "messages[0].tool_calls[0]"),
        ([{"role": "assistant", "tool_calls": [{"function": {}}]}], "messages[0].tool_calls[0].function.name"),
        ([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": 5}}]}],
         "messages[0].tool_calls[0].function.arguments"),
    ],
)  # fmt: skip
async def test_what_is_wrong_with_messages_is_named(messages: Any, name: str) -> None:
    assert name in await refused(CHAT, messages=messages)


@pytest.mark.parametrize(
    ("tools", "name"),
    [("x", "tools"), ([5], "tools[0]"), ([{"type": "web"}], "tools[0]"),
     ([{"type": "web", "function": {"name": "f"}}], "tools"), ([{"function": {}}], "tools[0].function.name"),
     ([{"function": {"name": "f", "parameters": [1]}}], "tools[0].function.parameters")],
)  # fmt: skip
async def test_what_is_wrong_with_tools_is_named(tools: Any, name: str) -> None:
    assert name in await refused(CHAT, tools=tools)


async def test_a_prompt_and_its_system_are_a_conversation() -> None:
    request = await sent(GENERATE, prompt="hi", system="Be short.")
    assert request.messages == (Message("system", "Be short."), Message("user", "hi"))


@pytest.mark.parametrize("more", [{"raw": True}, {"template": "{{ .Prompt }}"}, {"template": "{{.Prompt}}"}])
async def test_a_raw_prompt_is_continued_as_it_is(more: dict[str, Any]) -> None:
    request = await sent(GENERATE, prompt="def f(", **more)
    assert isinstance(request, CompletionRequest)
    assert (request.prompt, request.suffix) == (("def f(",), None)


async def test_a_suffix_asks_to_fill_the_hole() -> None:
    request = await sent(GENERATE, prompt="def f(", suffix="): pass", options={"num_predict": 9})
    assert isinstance(request, FillRequest)
    assert (request.prefix, request.suffix, request.max_tokens) == ("def f(", "): pass", 9)
    assert isinstance(await sent(GENERATE, prompt="def f(", suffix=""), ChatRequest)


async def test_a_model_without_a_template_continues_the_prompt() -> None:
    info = ModelInfo("m", "a", frozenset(("complete",)))
    async with gateway(ONE, a := upstream("a", HELLO, info=info)) as g:
        assert (await g.post(GENERATE, None, prompt="Once", system="Tell.")).status == 200
        request = a.asked[0]
        assert isinstance(request, CompletionRequest)
        assert request.prompt == ("Tell.\n\nOnce",)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"prompt": 5}, "prompt"),
        ({"prompt": "x", "suffix": 5}, "suffix"),
        ({"prompt": "x", "system": 5}, "system"),
        ({"prompt": "x", "raw": "yes"}, "raw"),
        ({"prompt": "x", "raw": True, "system": "s"}, "raw mode"),
        ({"prompt": "x", "template": "{{ .System }} {{ .Prompt }}"}, "template"),
        ({"prompt": "x", "context": [1, 2]}, "context"),
        ({"prompt": "x", "context": "y"}, "context"),
        ({"prompt": "x", "images": ["%"]}, "images[0]"),
        ({"prompt": "x", "images": [PNG], "raw": True}, "mages"),
    ],
)
async def test_what_is_wrong_with_a_prompt_is_named(fields: dict[str, Any], name: str) -> None:
    async with gateway(ONE, upstream("a", HELLO, relays=())) as g:
        answer = await g.post(GENERATE, None, **fields)
        assert answer.status == 400
        assert name in answer.json["error"] or name in ("template", "context")


@pytest.mark.parametrize(
    ("path", "more"),
    [(CHAT, {"messages": []}), (CHAT, {"messages": None}), (GENERATE, {}), (GENERATE, {"prompt": ""})],
)
async def test_a_request_without_text_asks_no_service(path: str, more: dict[str, Any]) -> None:
    async with gateway(ONE, a := upstream("a", HELLO, relays=())) as g:
        for keep_alive, told in ((None, "load"), (0, "unload"), ("0s", "unload"), (-1, "load"), ("1h30m", "load")):
            reply = (await g.post(path, None, keep_alive=keep_alive, **more)).json
            assert (reply["done"], reply["done_reason"], reply["model"]) == (True, told, "r")
            assert reply.get("response") == ("" if path == GENERATE else None)
        assert a.asked == []
        g.world.calls = 0
