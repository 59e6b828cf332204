"""What Anthropic is sent: the requests as its API reference has them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from providers.anthropic_dialect import MODEL, AnthropicDialect

from ghostd.config.providers import ProviderConfig
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
from ghostd.providers.anthropic.blocks import conversation
from ghostd.providers.unsupported import Unsupported
from ghostd.testing.scripted_upstream import ScriptedUpstream, scripted_upstream
from ghostd.testing.upstream_case import chatted
from ghostd.testing.upstream_dialect import opened
from ghostd.types import ChatRequest, Sampling

_DIALECT = AnthropicDialect()
_HI = (Message("user", "hi"),)
_ADAPTIVE = "claude-opus-5"
_SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}'
_STRICT = Unsupported("Anthropic", drop=False)


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


# --- messages ---------------------------------------------------------------------


async def test_a_plain_request_is_streamed_and_has_the_limit_that_the_api_requires(upstream: ScriptedUpstream) -> None:
    """Messages API: `max_tokens` is required."""
    assert await _sent(upstream, _ask()) == {
        "model": MODEL,
        "max_tokens": 32_000,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "stream": True,
    }


@pytest.mark.parametrize(("model", "limit"), [("claude-3-haiku-20240307", 4096), ("claude-3-5-sonnet-latest", 8192)])
async def test_an_older_model_gets_the_limit_it_can_take(upstream: ScriptedUpstream, model: str, limit: int) -> None:
    """Models refuse a `max_tokens` above their own."""
    assert (await _sent(upstream, _ask(model=model)))["max_tokens"] == limit


async def test_system_and_developer_messages_become_system_blocks_in_order(upstream: ScriptedUpstream) -> None:
    """Messages API: `system`; a cache breakpoint stays on its block."""
    body = await _sent(
        upstream,
        _ask(
            Message("system", (Text("Be terse.", cache_ttl="1h"),)),
            Message("user", "hi"),
            Message("developer", "Obey."),
        ),
    )
    assert body["system"] == [
        {"type": "text", "text": "Be terse.", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "Obey."},
    ]
    assert [message["role"] for message in body["messages"]] == ["user"]


async def test_turns_alternate_and_tool_results_come_first_in_theirs(upstream: ScriptedUpstream) -> None:
    """Tool use guide: in a user turn, tool_result blocks come before text."""
    body = await _sent(
        upstream,
        _ask(
            Message("user", "weather?"),
            Message("assistant", (Thinking("I must look.", "sig=="), Text("Looking."))),
            Message("assistant", (ToolCall("toolu_1", "weather", '{"city": "Oslo"}'), ToolCall("toolu_2", "time", ""))),
            Message("user", "and quick"),
            Message("tool", (ToolResult("toolu_1", (Text("rain"),)),)),
            Message("tool", (ToolResult("toolu_2", (Text("no clock"),), is_error=True, cache_ttl="5m"),)),
        ),
    )
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I must look.", "signature": "sig=="},
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}},
                {"type": "tool_use", "id": "toolu_2", "name": "time", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "rain"}]},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "no clock"}],
                    "is_error": True,
                    "cache_control": {"type": "ephemeral"},
                },
                {"type": "text", "text": "and quick"},
            ],
        },
    ]


async def test_images_and_documents_become_their_blocks(upstream: ScriptedUpstream) -> None:
    """Vision and PDF guides: base64, URL, plain text, uploaded files (which want a beta header)."""
    body = await _sent(
        upstream,
        _ask(
            Message(
                "user",
                (
                    Image(data="aGk=", media_type="image/jpeg", cache_ttl="5m"),
                    Image(url="https://example.org/a.png"),
                    Image(url="data:image/webp;base64,aGk="),
                    File(data="JVBERi0=", name="a.pdf"),
                    File(url="https://example.org/b.pdf"),
                    File(data="plain words", media_type="text/plain"),
                    File(data="IyBoaQ==", media_type="text/markdown"),
                    File(file_id="file_1"),
                    File(data="aGk=", media_type="image/gif"),
                ),
            )
        ),
    )
    (message,) = body["messages"]
    assert message["content"] == [
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="},
            "cache_control": {"type": "ephemeral"},
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/webp", "data": "aGk="}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
            "title": "a.pdf",
        },
        {"type": "document", "source": {"type": "url", "url": "https://example.org/b.pdf"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "plain words"}},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "# hi"}},
        {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/gif", "data": "aGk="}},
    ]
    assert upstream.requests[-1].headers["anthropic-beta"] == "files-api-2025-04-14"


async def test_what_the_api_refuses_in_a_history_is_mended(upstream: ScriptedUpstream) -> None:
    """Text without a visible character, foreign ids and thoughts without a signature would each be a 400."""
    body = await _sent(
        upstream,
        _ask(
            Message("user", "go"),
            Message(
                "assistant", (Thinking("another model's"), Text(" \n"), Refusal("No."), ToolCall("a|b/1", "f", "{"))
            ),
            Message("tool", (ToolResult("a|b/1", (Text(""),)),)),
        ),
    )
    _, assistant, user = body["messages"]
    refusal, call = assistant["content"]
    assert refusal == {"type": "text", "text": "No."}
    assert call == {"type": "tool_use", "id": call["id"], "name": "f", "input": {"INVALID_JSON": "{"}}
    assert call["id"].startswith("toolu_") and call["id"].replace("_", "").isalnum()
    assert user["content"] == [{"type": "tool_result", "tool_use_id": call["id"]}]


async def test_encrypted_thoughts_go_back_as_they_came(upstream: ScriptedUpstream) -> None:
    """Extended thinking guide: redacted_thinking blocks are passed back unmodified."""
    body = await _sent(
        upstream, _ask(*_HI, Message("assistant", (Thinking(redacted="Emw="), Text("Hello."))), Message("user", "more"))
    )
    assert body["messages"][1]["content"][0] == {"type": "redacted_thinking", "data": "Emw="}


@pytest.mark.parametrize(
    ("message", "param"),
    [
        (Message("user", (Text("hi"), Audio("aGk=", "wav"))), "messages[0].content[1]"),
        (Message("user", (File(data="aGk=", media_type="application/zip"),)), "messages[0].content[0]"),
        (Message("system", (Image(data="aGk="),)), "messages[0]"),
    ],
)
async def test_a_part_that_the_api_has_no_block_for_is_refused_by_its_path(
    upstream: ScriptedUpstream, message: Message, param: str
) -> None:
    """Also where unsupported parameters are left out: a part is what the request is about."""
    with pytest.raises(UnsupportedParameter) as caught:
        await _sent(upstream, _ask(message), drop=True)
    assert caught.value.param == param
    assert upstream.requests == []


@pytest.mark.parametrize("messages", [(Message("system", "only this"),), (Message("user", "  "),)])
async def test_a_request_in_which_nobody_speaks_is_the_callers_mistake(
    upstream: ScriptedUpstream, messages: tuple[Message, ...]
) -> None:
    """The API wants a first user turn."""
    with pytest.raises(InvalidRequest) as caught:
        await _sent(upstream, _ask(*messages))
    assert caught.value.param == "messages"


_TEXTS = st.builds(Text, st.text(st.characters(codec="utf-8"), min_size=1, max_size=10))
_IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
_CALLS = st.builds(ToolCall, _IDS, st.just("f"), st.sampled_from(['{"a":[1,2.50]}', "", "{", "[1]", '{"é":"ü"}']))
_RESULTS = st.builds(ToolResult, _IDS, st.tuples(_TEXTS))
_MESSAGES = st.one_of(
    st.builds(Message, st.just("user"), st.lists(_TEXTS, max_size=3).map(tuple)),
    st.builds(Message, st.just("assistant"), st.lists(st.one_of(_TEXTS, _CALLS), max_size=3).map(tuple)),
    st.builds(Message, st.just("tool"), st.lists(_RESULTS, min_size=1, max_size=2).map(tuple)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_MESSAGES, min_size=1, max_size=8))
def test_any_conversation_keeps_its_texts_and_calls_and_alternates(messages: list[Message]) -> None:
    """Nothing that is said is lost, and what the API demands of turns always holds."""
    try:
        said = conversation(messages, _STRICT)
    except InvalidRequest:
        assert not any(
            not isinstance(part, Text) or part.text.strip() for message in messages for part in message.parts
        )
        return
    roles = [turn["role"] for turn in said.messages]
    assert all(first != second for first, second in pairwise(roles))
    blocks: list[Any] = [block for turn in said.messages for block in turn["content"]]
    for turn in said.messages:
        kinds = [block["type"] == "tool_result" for block in turn["content"]]
        assert kinds == sorted(kinds, reverse=True)
    parts = [part for message in messages for part in message.parts]
    assert sorted(block["text"] for block in blocks if block["type"] == "text") == sorted(
        part.text for part in parts if isinstance(part, Text) and part.text.strip()
    )
    assert [block["name"] for block in blocks if block["type"] == "tool_use"] == [
        part.name for part in parts if isinstance(part, ToolCall)
    ]
    ids = {part.id for part in parts if isinstance(part, ToolCall)}
    assert len({block["id"] for block in blocks if block["type"] == "tool_use"}) == len(ids)


# --- tools ------------------------------------------------------------------------


async def test_tools_keep_their_schema_to_the_letter(upstream: ScriptedUpstream) -> None:
    """Tool use guide: `input_schema`, `strict`, and a cache breakpoint on the last tool."""
    body = await _sent(
        upstream,
        _ask(tools=Tools((Tool("a", "Does a.", _SCHEMA, strict=True), Tool("b", parameters="{}", cache_ttl="1h")))),
    )
    assert body["tools"] == [
        {"name": "a", "description": "Does a.", "input_schema": json.loads(_SCHEMA), "strict": True},
        {"name": "b", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
    ]
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        (Tools((Tool("f"),), "auto"), {"type": "auto"}),
        (Tools((Tool("f"),), "none"), {"type": "none"}),
        (Tools((Tool("f"),), "required"), {"type": "any"}),
        (Tools((Tool("f"),), NamedTool("f")), {"type": "tool", "name": "f"}),
        (Tools((Tool("f"),), parallel=False), {"type": "auto", "disable_parallel_tool_use": True}),
        (Tools((Tool("f"),), "required", parallel=False), {"type": "any", "disable_parallel_tool_use": True}),
        (Tools((Tool("f"),), "none", parallel=False), {"type": "none"}),
    ],
)
async def test_the_choice_of_tools_is_told_in_the_apis_words(
    upstream: ScriptedUpstream, tools: Tools, choice: dict[str, object]
) -> None:
    """Messages API: `tool_choice`."""
    assert (await _sent(upstream, _ask(tools=tools)))["tool_choice"] == choice


async def test_a_tool_whose_schema_is_no_json_is_the_callers_mistake(upstream: ScriptedUpstream) -> None:
    """Nothing is sent."""
    with pytest.raises(InvalidRequest, match="schema"):
        await _sent(upstream, _ask(tools=Tools((Tool("f", parameters="{"),))))
    assert upstream.requests == []


# --- sampling, format, thinking -----------------------------------------------------


async def test_parameters_that_the_api_has_are_passed_on(upstream: ScriptedUpstream) -> None:
    """And neutral values of those it has not are no reason to refuse."""
    neutral = Sampling(0.25, top_k=40, presence_penalty=0.0, frequency_penalty=0.0, repeat_penalty=1.0, min_p=0.0)
    body = await _sent(upstream, _ask(sampling=neutral, max_tokens=50, stop=("END", ""), user="u-1"))
    assert {name: value for name, value in body.items() if name not in ("model", "messages")} == {
        "max_tokens": 50,
        "temperature": 0.25,
        "top_k": 40,
        "stop_sequences": ["END"],
        "metadata": {"user_id": "u-1"},
        "stream": True,
    }


async def test_default_sampling_is_no_reason_to_refuse_a_model_without_it(upstream: ScriptedUpstream) -> None:
    """Newer models take no sampling parameters; 1 is what they do anyway."""
    body = await _sent(upstream, _ask(model=_ADAPTIVE, sampling=Sampling(temperature=1.0, top_p=1.0)))
    assert "temperature" not in body and "top_p" not in body


async def test_a_schema_for_the_reply_becomes_structured_output(upstream: ScriptedUpstream) -> None:
    """Structured outputs guide: `output_config.format`."""
    body = await _sent(upstream, _ask(sampling=Sampling(json_schema=_SCHEMA)))
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": json.loads(_SCHEMA)}}


async def test_a_model_without_structured_output_refuses_a_schema(upstream: ScriptedUpstream) -> None:
    """It came with the 4.1 and 4.5 models."""
    with pytest.raises(UnsupportedParameter) as caught:
        await _sent(upstream, _ask(model="claude-3-7-sonnet-latest", sampling=Sampling(json_schema=_SCHEMA)))
    assert caught.value.param == "response_format"


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking", "effort"),
    [
        (MODEL, Reasoning(budget_tokens=5000), {"type": "enabled", "budget_tokens": 5000}, None),
        (MODEL, Reasoning("low"), {"type": "enabled", "budget_tokens": 2048}, None),
        (MODEL, Reasoning("xhigh"), {"type": "enabled", "budget_tokens": 16000}, None),
        (MODEL, Reasoning("none"), None, None),
        (MODEL, Reasoning(budget_tokens=0), None, None),
        ("claude-opus-4-5", Reasoning("medium"), {"type": "enabled", "budget_tokens": 8192}, "medium"),
        ("claude-opus-4-6", Reasoning("xhigh"), {"type": "adaptive"}, "high"),
        ("claude-opus-4-6", Reasoning(budget_tokens=4096), {"type": "enabled", "budget_tokens": 4096}, None),
        (_ADAPTIVE, Reasoning("minimal"), {"type": "adaptive"}, "low"),
        (_ADAPTIVE, Reasoning("xhigh", include=True), {"type": "adaptive", "display": "summarized"}, "xhigh"),
        (_ADAPTIVE, Reasoning("none"), {"type": "disabled"}, None),
        (_ADAPTIVE, Reasoning(include=True), {"type": "adaptive", "display": "summarized"}, None),
        ("claude-3-5-sonnet-latest", Reasoning("none"), None, None),
        ("claude-3-5-sonnet-latest", Reasoning("high", optional=True), None, None),
        (_ADAPTIVE, Reasoning(budget_tokens=4096, optional=True), {"type": "adaptive"}, None),
    ],
)
async def test_reasoning_is_asked_for_in_the_models_own_way(
    upstream: ScriptedUpstream, model: str, reasoning: Reasoning, thinking: object, effort: str | None
) -> None:
    """Thinking guides: a budget for older models, adaptive thinking and effort for newer ones."""
    body = await _sent(upstream, _ask(model=model, reasoning=reasoning, max_tokens=20_000 if model == MODEL else None))
    assert body.get("thinking") == thinking
    assert body.get("output_config") == (None if effort is None else {"effort": effort})


async def test_thoughts_leave_room_for_the_answer(upstream: ScriptedUpstream) -> None:
    """Thinking counts towards `max_tokens`; where it leaves less than the API's least budget there is none."""
    assert (await _sent(upstream, _ask(reasoning=Reasoning("high"), max_tokens=2000)))["thinking"] == {
        "type": "enabled",
        "budget_tokens": 1600,
    }
    assert "thinking" not in await _sent(upstream, _ask(reasoning=Reasoning("high"), max_tokens=1000))


_LOOP = (
    *_HI,
    Message("assistant", (Text("Looking."), ToolCall("toolu_1", "f", "{}"))),
    Message("tool", (ToolResult("toolu_1", (Text("rain"),)),)),
)


async def test_a_tool_loop_whose_thoughts_are_lost_goes_on_without_thoughts(upstream: ScriptedUpstream) -> None:
    """Extended thinking guide: with a budget, calls must follow their thoughts, which few dialects carry."""
    body = await _sent(upstream, _ask(*_LOOP, reasoning=Reasoning("low"), sampling=Sampling(temperature=0.5)))
    assert "thinking" not in body and body["temperature"] == 0.5
    with pytest.raises(UnsupportedParameter) as caught:
        await _sent(upstream, _ask(*_LOOP, reasoning=Reasoning(budget_tokens=2048)))
    assert caught.value.param == "thinking.budget_tokens"
    kept = Message("assistant", (Thinking("Hm.", "sig"), *_LOOP[1].parts))
    assert "thinking" in await _sent(upstream, _ask(_LOOP[0], kept, _LOOP[2], reasoning=Reasoning("low")))
    adaptive = await _sent(upstream, _ask(*_LOOP, model=_ADAPTIVE, reasoning=Reasoning("low")))
    assert adaptive["thinking"] == {"type": "adaptive"}


@pytest.mark.parametrize("budget", [1000, 4096])
async def test_a_budget_out_of_range_is_the_callers_mistake(upstream: ScriptedUpstream, budget: int) -> None:
    """From 1,024 to below `max_tokens`."""
    with pytest.raises(InvalidRequest) as caught:
        await _sent(upstream, _ask(reasoning=Reasoning(budget_tokens=budget), max_tokens=4096))
    assert caught.value.param == "thinking.budget_tokens"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"sampling": Sampling(temperature=0.3)}, "temperature"),
        ({"sampling": Sampling(top_k=5)}, "top_k"),
        ({"sampling": Sampling(top_p=0.5)}, "top_p"),
        ({"tools": Tools((Tool("f"),), "required")}, "tool_choice"),
    ],
)
async def test_what_does_not_go_with_thinking_is_refused_by_name(
    upstream: ScriptedUpstream, fields: dict[str, Any], param: str
) -> None:
    """Extended thinking guide: no temperature, top_k, low top_p or forced tool use."""
    request = _ask(reasoning=Reasoning("low"), **fields)
    with pytest.raises(UnsupportedParameter) as caught:
        await _sent(upstream, request)
    assert caught.value.param == param
    body = await _sent(upstream, request, drop=True)
    assert ("thinking" in body) == (param != "tool_choice")
    assert param not in body or param == "tool_choice"


async def test_a_model_that_always_thinks_says_so(upstream: ScriptedUpstream) -> None:
    """Effort none cannot be had of it."""
    with pytest.raises(UnsupportedParameter, match="always thinks"):
        await _sent(upstream, _ask(model="claude-fable-5-1", reasoning=Reasoning("none")))
