"""What Ollama is sent: the requests as its API documentation has them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from providers.ollama_dialect import MODEL, OllamaDialect

from ghostd.config.providers import ModelConfig, ProviderConfig
from ghostd.conversation import (
    Audio,
    File,
    Image,
    Message,
    NamedTool,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolResult,
    Tools,
)
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.providers.ollama.request import chat_body
from ghostd.providers.unsupported import Unsupported
from ghostd.testing.scripted_upstream import ScriptedUpstream, scripted_upstream
from ghostd.testing.upstream_case import chatted
from ghostd.testing.upstream_dialect import opened
from ghostd.types import ChatRequest, CompletionRequest, EmbedRequest, FillRequest, Sampling

_DIALECT = OllamaDialect()
_HI = (Message("user", "hi"),)
_SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}}}'


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream(_DIALECT.serve) as server:
        yield server


async def _sent(upstream: ScriptedUpstream, request: ChatRequest, *, drop: bool = False) -> dict[str, Any]:
    """The body that the request becomes."""
    async with opened(_DIALECT, upstream, ProviderConfig(drop_unsupported=drop)) as provider:
        await chatted(provider, request)
    body = upstream.requests[-1].json
    assert isinstance(body, dict)
    return body


def _ask(*messages: Message, **fields: Any) -> ChatRequest:
    return ChatRequest(fields.pop("model", MODEL), messages or _HI, **fields)


async def test_a_conversation_with_tools_keeps_what_ties_calls_and_results_together(
    upstream: ScriptedUpstream,
) -> None:
    """`POST /api/chat`: arguments are objects; a result names its tool."""
    body = await _sent(
        upstream,
        _ask(
            Message("developer", "Be terse."),
            Message(
                "user", (Text("what"), Image(data="aGk="), Text("is it?"), Image(url="data:image/png;base64,aG8="))
            ),
            Message(
                "assistant",
                (
                    Thinking("Hm."),
                    Refusal("Well."),
                    ToolCall("c1", "weather", '{"city": "Oslo"}'),
                    ToolCall("c2", "f", "["),
                ),
            ),
            Message("tool", (ToolResult("c1", (Text("rain"), Image(data="aGk="))), ToolResult("x", (), name="f"))),
            tools=Tools((Tool("weather", "Looks it up.", _SCHEMA),), "auto"),
        ),
    )
    assert body == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": "Be terse."},
            {"role": "user", "content": "what\nis it?", "images": ["aGk=", "aG8="]},
            {
                "role": "assistant",
                "content": "Well.",
                "thinking": "Hm.",
                "tool_calls": [
                    {"id": "c1", "function": {"name": "weather", "arguments": {"city": "Oslo"}}},
                    {"id": "c2", "function": {"name": "f", "arguments": {"INVALID_JSON": "["}}},
                ],
            },
            {"role": "tool", "content": "rain", "tool_call_id": "c1", "tool_name": "weather", "images": ["aGk="]},
            {"role": "tool", "content": "", "tool_call_id": "x", "tool_name": "f"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {"name": "weather", "description": "Looks it up.", "parameters": json.loads(_SCHEMA)},
            }
        ],
        "stream": True,
    }


async def test_a_document_of_text_is_text_to_it(upstream: ScriptedUpstream) -> None:
    plain, marked = File(data="plain", media_type="text/plain"), File(data="IyBoaQ==", media_type="text/markdown")
    result = ToolResult("c1", (marked,))
    said = (
        Message("user", (Text("see"), plain, marked)),
        Message("assistant", (ToolCall("c1", "read", "{}"),)),
        Message("tool", (result,)),
    )
    body = await _sent(upstream, _ask(*said))
    assert [message["content"] for message in body["messages"]] == ["see\nplain\n# hi", "", "# hi"]


@pytest.mark.parametrize(
    "part",
    [
        Image(url="https://example.org/a.png"),
        Audio("aGk=", "wav"),
        File(data="aGk="),
        File(data="/w==", media_type="text/markdown"),
    ],
)
async def test_a_part_that_the_api_cannot_take_is_refused_by_its_path(
    upstream: ScriptedUpstream, part: Image | Audio | File
) -> None:
    """Also where unsupported parameters are left out: a part is what the request is about."""
    with pytest.raises(UnsupportedParameter) as caught:
        await _sent(upstream, _ask(Message("user", (Text("see"), part))), drop=True)
    assert caught.value.param == "messages[0].content[1]"
    assert upstream.requests == []


async def test_every_option_has_ollamas_name(upstream: ScriptedUpstream) -> None:
    """`options`; num_ctx is the server's own business."""
    sampling = Sampling(0.0, 0.5, 40, 0.05, 1.1, 0.5, -0.5, seed=7, logprobs=3, json_schema=_SCHEMA)
    body = await _sent(upstream, _ask(sampling=sampling, max_tokens=50, stop=("END", "")))
    assert body["options"] == {
        "num_predict": 50,
        "temperature": 0.0,
        "top_p": 0.5,
        "top_k": 40,
        "min_p": 0.05,
        "repeat_penalty": 1.1,
        "presence_penalty": 0.5,
        "frequency_penalty": -0.5,
        "seed": 7,
        "stop": ["END"],
    }
    assert (body["format"], body["logprobs"], body["top_logprobs"]) == (json.loads(_SCHEMA), True, 3)


async def test_any_json_is_asked_for_by_its_name(upstream: ScriptedUpstream) -> None:
    """`format: "json"`"""
    assert (await _sent(upstream, _ask(sampling=Sampling(json_schema="{}"))))["format"] == "json"


@pytest.mark.parametrize(
    ("tools", "names", "most"),
    [
        (Tools((Tool("f"), Tool("g")), "required"), ["f", "g"], 16),
        (Tools((Tool("f"), Tool("g")), "required", parallel=False), ["f", "g"], 1),
        (Tools((Tool("f"), Tool("g", strict=True)), NamedTool("g")), ["g"], 1),
    ],
)
async def test_a_model_that_must_call_tools_is_held_to_a_schema_of_calls(
    upstream: ScriptedUpstream, tools: Tools, names: list[str], most: int
) -> None:
    """The API has no tool choice; what it has is `format`."""
    body = await _sent(upstream, _ask(tools=tools))
    assert "tools" not in body
    calls = body["format"]["properties"]["tool_calls"]
    items = calls["items"].get("anyOf", [calls["items"]])
    assert [item["properties"]["name"]["const"] for item in items] == names
    assert (calls["minItems"], calls["maxItems"]) == (1, most)
    told = body["messages"][0]
    assert told["role"] == "system"
    assert [name for name in ("f", "g") if f'"name":"{name}"' in told["content"]] == names


async def test_definitions_of_a_forced_tools_schema_stay_reachable(upstream: ScriptedUpstream) -> None:
    schema = '{"type":"object","properties":{"a":{"$ref":"#/$defs/A"}},"$defs":{"A":{"type":"string"}}}'
    body = await _sent(upstream, _ask(tools=Tools((Tool("f", parameters=schema),), "required")))
    assert body["format"]["$defs"] == {"A": {"type": "string"}}
    arguments = body["format"]["properties"]["tool_calls"]["items"]["properties"]["arguments"]
    assert arguments == {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}


async def test_definitions_that_are_no_object_are_the_callers_mistake_and_not_the_services(
    upstream: ScriptedUpstream,
) -> None:
    """Whose deployment would rest for it otherwise."""
    tools = Tools((Tool("f", parameters='{"type":"object","$defs":"A"}'),), "required")
    with pytest.raises(InvalidRequest, match=r"'\$defs' in the schema of 'f' is no object") as caught:
        await _sent(upstream, _ask(tools=tools))
    assert caught.value.param == "tools"


async def test_a_model_that_must_not_call_tools_is_told_of_none(upstream: ScriptedUpstream) -> None:
    """`tool_choice: none`, which the API does not have, comes to the same."""
    assert "tools" not in await _sent(upstream, _ask(tools=Tools((Tool("f"),), "none")))


@pytest.mark.parametrize(
    ("model", "reasoning", "think"),
    [
        (MODEL, Reasoning(), None),
        (MODEL, Reasoning("none"), False),
        (MODEL, Reasoning(budget_tokens=0), False),
        (MODEL, Reasoning("low"), True),
        (MODEL, Reasoning(include=True), True),
        (MODEL, Reasoning(budget_tokens=4000, optional=True), True),
        ("gpt-oss:20b", Reasoning("minimal"), "low"),
        ("library/gpt-oss:20b", Reasoning("medium"), "medium"),
        ("gpt-oss:20b", Reasoning("xhigh"), "high"),
    ],
)
async def test_reasoning_is_asked_for_in_the_models_own_way(
    upstream: ScriptedUpstream, model: str, reasoning: Reasoning, think: object
) -> None:
    """`think`: on or off, a level for gpt-oss."""
    assert (await _sent(upstream, _ask(model=model, reasoning=reasoning))).get("think") == think


async def test_a_model_that_does_not_reason_is_not_asked_to(upstream: ScriptedUpstream) -> None:
    """Ollama would refuse the request in its own words."""
    known = ProviderConfig(model={MODEL: ModelConfig(features=("tools",))})
    async with opened(_DIALECT, upstream, known) as provider:
        with pytest.raises(UnsupportedParameter) as caught:
            await chatted(provider, _ask(reasoning=Reasoning("low")))
        await chatted(provider, _ask(reasoning=Reasoning("none", include=True)))
        await chatted(provider, _ask(reasoning=Reasoning("high", optional=True)))
        await chatted(provider, _ask(reasoning=Reasoning(budget_tokens=4000, optional=True)))
    assert caught.value.param == "reasoning_effort"
    assert len(upstream.requests) == 3
    assert all("think" not in seen.json for seen in upstream.requests)


async def test_a_schema_that_is_no_json_is_the_callers_mistake(upstream: ScriptedUpstream) -> None:
    """Nothing is sent."""
    for request in (_ask(tools=Tools((Tool("f", parameters="{"),))), _ask(sampling=Sampling(json_schema="nope"))):
        with pytest.raises(InvalidRequest, match="schema"):
            await _sent(upstream, request)
    assert upstream.requests == []


async def test_completions_fills_and_embeddings_have_their_own_calls(upstream: ScriptedUpstream) -> None:
    """`/api/generate` raw or with a suffix, `/api/embed` without cutting."""
    async with opened(_DIALECT, upstream) as provider:
        complete = CompletionRequest(MODEL, ("def f(", "x"), max_tokens=9)
        async with aclosing(provider.complete(complete)) as deltas:
            assert [delta.text async for delta in deltas] == ["Hello", " wor", "ld", ""]
        fill = FillRequest("qwen2.5-coder:1.5b", "def f(", "return x", stop=("\n\n",))
        async with aclosing(provider.fill(fill)) as deltas:
            assert [delta.text async for delta in deltas] == ["Hello", " wor", "ld", ""]
        await provider.embed(EmbedRequest("nomic-embed-text:latest", (("a",), ("b", "c")), dimensions=2))
        for request in (CompletionRequest(MODEL, (1, 2)), CompletionRequest(MODEL, ("a", 2))):
            with pytest.raises(UnsupportedParameter):
                await anext(provider.complete(request))
    assert [seen.json for seen in upstream.requests] == [
        {"model": MODEL, "prompt": "def f(x", "raw": True, "options": {"num_predict": 9}, "stream": True},
        {
            "model": "qwen2.5-coder:1.5b",
            "prompt": "def f(",
            "suffix": "return x",
            "options": {"stop": ["\n\n"]},
            "stream": True,
        },
        {"model": "nomic-embed-text:latest", "input": ["a", "bc"], "truncate": False, "dimensions": 2},
    ]


_TEXTS = st.builds(Text, st.text(st.characters(codec="utf-8"), max_size=10))
_CALLS = st.builds(ToolCall, st.sampled_from("abc"), st.just("f"), st.sampled_from(['{"a":[1,2.50]}', "", "{", "[1]"]))
_RESULTS = st.builds(ToolResult, st.sampled_from("abc"), st.tuples(_TEXTS))
_MESSAGES = st.one_of(
    st.builds(Message, st.sampled_from(("user", "system", "developer")), st.lists(_TEXTS, max_size=3).map(tuple)),
    st.builds(Message, st.just("assistant"), st.lists(st.one_of(_TEXTS, _CALLS), max_size=3).map(tuple)),
    st.builds(Message, st.just("tool"), st.lists(_RESULTS, min_size=1, max_size=2).map(tuple)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_MESSAGES, min_size=1, max_size=8))
def test_any_conversation_keeps_its_texts_and_calls(messages: list[Message]) -> None:
    """In order, a message for each and one for each tool result."""
    body = json.loads(chat_body(ChatRequest(MODEL, tuple(messages)), Unsupported("Ollama", drop=False)))
    expected = [
        text
        for message in messages
        for text in (
            [part.content[0].text for part in message.parts if isinstance(part, ToolResult)]  # type: ignore[union-attr]
            if message.role == "tool"
            else [message.text]
        )
    ]
    assert [message["content"] for message in body["messages"]] == expected
    calls = [part for message in messages for part in message.parts if isinstance(part, ToolCall)]
    written = [call for message in body["messages"] for call in message.get("tool_calls", ())]
    assert [(call["id"], call["function"]["name"]) for call in written] == [(call.id, call.name) for call in calls]
