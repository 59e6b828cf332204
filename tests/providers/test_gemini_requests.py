"""What Gemini is sent: the requests as its API reference has them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from providers.gemini_dialect import MODEL, GeminiDialect

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
from ghostd.providers.gemini.contents import contents
from ghostd.providers.unsupported import Unsupported
from ghostd.testing.scripted_upstream import ScriptedUpstream, scripted_upstream
from ghostd.testing.upstream_case import chatted
from ghostd.testing.upstream_dialect import opened
from ghostd.types import ChatRequest, EmbedRequest, Sampling

_DIALECT = GeminiDialect()
_HI = (Message("user", "hi"),)
_SCHEMA = '{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"],"additionalProperties":false}'


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


async def test_a_plain_request_has_its_model_in_the_path(upstream: ScriptedUpstream) -> None:
    """models.streamGenerateContent; without `alt=sse` the reply would be one JSON list."""
    assert await _sent(upstream, _ask()) == {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    assert upstream.requests[-1].target == f"/base/v1beta/models/{MODEL}:streamGenerateContent?alt=sse"


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine", "tunedModels/mine"),
        ("../files?x=y", "models/..%2Ffiles%3Fx%3Dy"),
        ("models/../../v1/x", "models/..%2F..%2Fv1%2Fx"),
    ],
)
async def test_a_models_name_cannot_leave_the_path_of_models(upstream: ScriptedUpstream, model: str, path: str) -> None:
    """Names come from clients."""
    await _sent(upstream, _ask(model=model))
    assert upstream.requests[-1].path == f"/base/v1beta/{path}:streamGenerateContent"


async def test_a_conversation_with_tools_keeps_ids_names_and_signatures(upstream: ScriptedUpstream) -> None:
    """Function calling and thought signature guides."""
    body = await _sent(
        upstream,
        _ask(
            Message("system", "Be terse."),
            Message("developer", "Obey."),
            Message("user", "weather?"),
            Message(
                "assistant",
                (
                    Thinking("not sent back"),
                    Text("Looking."),
                    ToolCall("c1", "weather", '{"city": "Oslo"}', signature="c2ln"),
                    ToolCall("c2", "clock", ""),
                ),
            ),
            Message(
                "tool",
                (
                    ToolResult(
                        "c1",
                        (Text("rain"), Image(data="aGk=")),
                    ),
                ),
            ),
            Message("tool", (ToolResult("c2", (Text("no clock"),), is_error=True),)),
            Message("user", "quick"),
        ),
    )
    assert body == {
        "systemInstruction": {"parts": [{"text": "Be terse."}, {"text": "Obey."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "weather?"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Looking."},
                    {
                        "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Oslo"}},
                        "thoughtSignature": "c2ln",
                    },
                    {"functionCall": {"id": "c2", "name": "clock", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {
                        "functionResponse": {
                            "id": "c1",
                            "name": "weather",
                            "response": {"output": "rain"},
                            "parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk="}}],
                        }
                    },
                    {"functionResponse": {"id": "c2", "name": "clock", "response": {"error": "no clock"}}},
                    {"text": "quick"},
                ],
            },
        ],
    }


@pytest.mark.parametrize(("model", "signed"), [("gemini-3-pro-preview", True), (MODEL, False)])
async def test_calls_of_another_model_are_marked_as_such(upstream: ScriptedUpstream, model: str, signed: bool) -> None:
    """Thought signature guide: Gemini 3 refuses calls without one, but for this word in its place."""
    history = (
        *_HI,
        Message("assistant", (ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{"))),
        Message("tool", (ToolResult("c1", (Text("1"),)), ToolResult("c2", (Text("2"),)))),
    )
    first, second = (await _sent(upstream, _ask(*history, model=model)))["contents"][1]["parts"]
    assert first.get("thoughtSignature") == ("skip_thought_signature_validator" if signed else None)
    assert second == {"functionCall": {"id": "c2", "name": "f", "args": {"INVALID_JSON": "{"}}}


async def test_media_go_inline_or_by_their_address(upstream: ScriptedUpstream) -> None:
    """Part: inlineData, fileData."""
    parts = (
        Image(data="aGk=", media_type="image/jpeg"),
        Image(url="data:image/webp;base64,aGk="),
        Image(url="https://example.org/a.png?x=1"),
        File(data="JVBERi0="),
        File(data="héllo", media_type="text/plain"),
        File(file_id="https://generativelanguage.googleapis.com/v1beta/files/abc", media_type="application/pdf"),
        Audio("aGk=", "wav"),
        Refusal("No."),
    )
    (content,) = (await _sent(upstream, _ask(Message("user", parts))))["contents"]
    assert content["parts"] == [
        {"inlineData": {"mimeType": "image/jpeg", "data": "aGk="}},
        {"inlineData": {"mimeType": "image/webp", "data": "aGk="}},
        {"fileData": {"fileUri": "https://example.org/a.png?x=1", "mimeType": "image/png"}},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERi0="}},
        {"inlineData": {"mimeType": "text/plain", "data": "aMOpbGxv"}},
        {
            "fileData": {
                "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                "mimeType": "application/pdf",
            }
        },
        {"inlineData": {"mimeType": "audio/wav", "data": "aGk="}},
        {"text": "No."},
    ]


async def test_a_result_without_its_call_is_the_callers_mistake(upstream: ScriptedUpstream) -> None:
    """The API wants the function's name, which only the call knows."""
    with pytest.raises(InvalidRequest) as caught:
        await _sent(upstream, _ask(*_HI, Message("tool", (ToolResult("c9", (Text("x"),)),))))
    assert caught.value.param == "messages[1].content[0]"


async def test_an_image_in_the_instructions_is_refused(upstream: ScriptedUpstream) -> None:
    """systemInstruction: text only."""
    with pytest.raises(UnsupportedParameter):
        await _sent(upstream, _ask(Message("system", (Image(data="aGk="),)), *_HI), drop=True)


async def test_tools_keep_their_json_schema(upstream: ScriptedUpstream) -> None:
    """FunctionDeclaration.parametersJsonSchema; a function without parameters has none."""
    tools = Tools((Tool("a", "Does a.", _SCHEMA), Tool("b")))
    body = await _sent(upstream, _ask(tools=tools))
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {"name": "a", "description": "Does a.", "parametersJsonSchema": json.loads(_SCHEMA)},
                {"name": "b"},
            ]
        }
    ]
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("tools", "calling"),
    [
        (Tools((Tool("f"),), "auto"), {"mode": "AUTO"}),
        (Tools((Tool("f"),), "none"), {"mode": "NONE"}),
        (Tools((Tool("f"),), "required"), {"mode": "ANY"}),
        (Tools((Tool("f"),), NamedTool("f")), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (Tools((Tool("f", strict=True),)), {"mode": "VALIDATED"}),
    ],
)
async def test_the_choice_of_tools_is_told_in_the_apis_words(
    upstream: ScriptedUpstream, tools: Tools, calling: dict[str, object]
) -> None:
    """FunctionCallingConfig"""
    assert (await _sent(upstream, _ask(tools=tools)))["toolConfig"] == {"functionCallingConfig": calling}


async def test_every_parameter_that_the_api_has_is_passed_on(upstream: ScriptedUpstream) -> None:
    """GenerationConfig"""
    sampling = Sampling(
        0.25, 0.5, 40, seed=7, presence_penalty=0.5, frequency_penalty=-0.5, logprobs=3, json_schema=_SCHEMA
    )
    body = await _sent(upstream, _ask(sampling=sampling, max_tokens=50, stop=("END", "")))
    assert body["generationConfig"] == {
        "temperature": 0.25,
        "topP": 0.5,
        "topK": 40,
        "maxOutputTokens": 50,
        "stopSequences": ["END"],
        "seed": 7,
        "presencePenalty": 0.5,
        "frequencyPenalty": -0.5,
        "responseMimeType": "application/json",
        "responseJsonSchema": json.loads(_SCHEMA),
        "responseLogprobs": True,
        "logprobs": 3,
    }


async def test_any_json_is_asked_for_by_its_type_alone(upstream: ScriptedUpstream) -> None:
    """`{}` stands for any JSON value."""
    body = await _sent(upstream, _ask(sampling=Sampling(json_schema="{}")))
    assert body["generationConfig"] == {"responseMimeType": "application/json"}


@pytest.mark.parametrize(
    ("model", "reasoning", "thinking"),
    [
        (MODEL, Reasoning("none"), {"thinkingBudget": 0}),
        (MODEL, Reasoning(budget_tokens=0), {"thinkingBudget": 0}),
        (MODEL, Reasoning("low", include=True), {"includeThoughts": True, "thinkingBudget": 1024}),
        (MODEL, Reasoning("xhigh"), {"thinkingBudget": 24576}),
        (MODEL, Reasoning(budget_tokens=777), {"thinkingBudget": 777}),
        (MODEL, Reasoning(budget_tokens=31999, optional=True), {"thinkingBudget": 24576}),
        ("gemini-2.0-flash", Reasoning("high", optional=True), None),
        ("gemini-2.5-pro", Reasoning("none", optional=True), None),
        (MODEL, Reasoning(include=True), {"includeThoughts": True}),
        ("gemini-3-pro-preview", Reasoning("minimal"), {"thinkingLevel": "low"}),
        ("gemini-3-flash", Reasoning("minimal"), {"thinkingLevel": "minimal"}),
        ("gemini-3.1-pro", Reasoning("medium"), {"thinkingLevel": "medium"}),
        ("gemini-3.1-pro", Reasoning("xhigh"), {"thinkingLevel": "high"}),
        ("gemini-2.0-flash", Reasoning("none", include=True), None),
    ],
)
async def test_reasoning_is_asked_for_in_the_models_own_way(
    upstream: ScriptedUpstream, model: str, reasoning: Reasoning, thinking: object
) -> None:
    """Thinking guide: budgets for 2.5, levels from 3 on."""
    body = await _sent(upstream, _ask(model=model, reasoning=reasoning))
    assert body.get("generationConfig", {}).get("thinkingConfig") == thinking


async def test_many_texts_are_embedded_in_batches(upstream: ScriptedUpstream) -> None:
    """A batch takes a hundred texts; vectors that were shortened are made unit vectors again."""
    async with opened(_DIALECT, upstream) as provider:
        texts = tuple((f"text {number}",) for number in range(150))
        answer = await provider.embed(EmbedRequest("gemini-embedding-001", texts, dimensions=2))
        with pytest.raises(UnsupportedParameter):
            await provider.embed(EmbedRequest("gemini-embedding-001", ((1, 2),)))
    assert [len(seen.json["requests"]) for seen in upstream.requests] == [100, 50]
    assert upstream.requests[0].json["requests"][0] == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "text 0"}]},
        "outputDimensionality": 2,
    }
    assert (len(answer.vectors), answer.usage.prompt_tokens) == (150, 450)


_TEXTS = st.builds(Text, st.text(st.characters(codec="utf-8"), min_size=1, max_size=10))
_CALLS = st.builds(ToolCall, st.sampled_from("abc"), st.just("f"), st.sampled_from(['{"a":[1,2.50]}', "", "{", "[1]"]))
_RESULTS = st.builds(ToolResult, st.sampled_from("abc"), st.tuples(_TEXTS), name=st.just("f"))
_MESSAGES = st.one_of(
    st.builds(Message, st.just("user"), st.lists(_TEXTS, max_size=3).map(tuple)),
    st.builds(Message, st.just("assistant"), st.lists(st.one_of(_TEXTS, _CALLS), max_size=3).map(tuple)),
    st.builds(Message, st.just("tool"), st.lists(_RESULTS, min_size=1, max_size=2).map(tuple)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_MESSAGES, min_size=1, max_size=8))
def test_any_conversation_keeps_what_is_said_in_order_and_alternates(messages: list[Message]) -> None:
    """Nothing is lost or moved."""
    parts = [part for message in messages for part in message.parts]
    if not parts:
        with pytest.raises(InvalidRequest):
            contents(messages, Unsupported("Gemini", drop=False), needs_signatures=True)
        return
    said = contents(messages, Unsupported("Gemini", drop=False), needs_signatures=True)
    assert all(first["role"] != second["role"] for first, second in pairwise(said.contents))
    written: list[Any] = [part for turn in said.contents for part in turn["parts"]]  # type: ignore[attr-defined]
    kinds = {Text: "text", ToolCall: "functionCall", ToolResult: "functionResponse"}
    assert [next(iter(part)) for part in written] == [kinds[type(part)] for part in parts]
    assert [part["text"] for part in written if "text" in part] == [
        part.text for part in parts if isinstance(part, Text)
    ]
