"""Conversations in OpenAI's dialect and its variants. Shapes: the OpenAI API reference and the services' own."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from ghostd.conversation import (
    Audio,
    File,
    Image,
    Message,
    NamedTool,
    Part,
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
from ghostd.providers import presets
from ghostd.providers.mistral import call_id
from ghostd.providers.openai.chat_request import chat_body
from ghostd.providers.openai.completions import completion_body
from ghostd.providers.presets import Preset
from ghostd.providers.unsupported import Unsupported
from ghostd.types import ChatRequest, CompletionRequest, Sampling

HI = (Message("user", "hi"),)


def _body(
    request: ChatRequest, preset: Preset = presets.openai, *, drop: bool = False, reasons: bool | None = None
) -> Any:
    body = chat_body(request, preset.quirks, Unsupported("acme", drop=drop), reasons=reasons)
    return json.loads(msgspec.json.encode(body))


def _user(*parts: Part) -> ChatRequest:
    return ChatRequest("m", (Message("user", parts),))


def _refused(request: ChatRequest, preset: Preset = presets.openai, *, reasons: bool | None = None) -> str | None:
    with pytest.raises(UnsupportedParameter) as caught:
        _body(request, preset, reasons=reasons)
    assert "acme" in str(caught.value)
    return caught.value.param


# --- messages -----------------------------------------------------------------------


def test_a_plain_conversation() -> None:
    messages = (Message("developer", "be brief"), Message("user", "hi", "ann"), Message("assistant", "hello"))
    assert _body(ChatRequest("m", messages, max_tokens=9, stop=("a",), user="u1")) == {
        "model": "m",
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "content": "hi", "name": "ann"},
            {"role": "assistant", "content": "hello"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_completion_tokens": 9,
        "stop": ["a"],
        "user": "u1",
    }


def test_the_developers_word_is_the_systems_where_the_role_is_unknown() -> None:
    body = _body(ChatRequest("m", (Message("developer", "be brief"),)), presets.deepseek)
    assert body["messages"] == [{"role": "system", "content": "be brief"}]


def test_images_sound_and_files() -> None:
    request = _user(
        Text("look"),
        Image(url="https://example.com/a.png", detail="low"),
        Image(data="aGk=", media_type="image/webp"),
        Audio("aGk=", "wav"),
        File(data="aGk=", name="a.pdf"),
        File(file_id="file-1"),
        File(data="plain words", media_type="text/plain"),
    )
    assert _body(request)["messages"][0]["content"] == [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,aGk="}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "text", "text": "plain words"},
    ]


@pytest.mark.parametrize(
    ("part", "preset"),
    [
        (Audio("aGk=", "wav"), presets.groq),
        (File(data="aGk="), presets.vllm),
        (File(url="https://example.com/a.pdf"), presets.openai),
    ],
)
def test_a_part_that_the_service_cannot_take_is_named(part: Part, preset: Preset) -> None:
    """It is never left out: that would change what is asked."""
    assert _refused(_user(Text("look"), part), preset) == "messages[0].content[1]"
    with pytest.raises(UnsupportedParameter):
        _body(_user(Text("look"), part), preset, drop=True)


def test_a_tool_loop() -> None:
    """Thoughts have no place in OpenAI's chat; one message of results becomes one for each."""
    messages = (
        Message("user", "weather?"),
        Message("assistant", (Thinking("hm"), ToolCall("c1", "weather", '{"a":1}'), ToolCall("c2", "weather", ""))),
        Message("tool", (ToolResult("c1", (Text("sun"),)), ToolResult("c2", (Text("a"), Text("b")), is_error=True))),
    )
    assert _body(ChatRequest("m", messages))["messages"][1:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"a":1}'}},
                {"id": "c2", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sun"},
        {
            "role": "tool",
            "tool_call_id": "c2",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        },
    ]


@pytest.mark.parametrize(("preset", "member"), [(presets.deepseek, "reasoning_content"), (presets.vllm, "reasoning")])
def test_thoughts_go_back_where_the_service_takes_them(preset: Preset, member: str) -> None:
    message = Message("assistant", (Thinking("let me "), Thinking("see"), Text("42")))
    (wire,) = _body(ChatRequest("m", (message,)), preset)["messages"]
    assert wire == {"role": "assistant", "content": "42", member: "let me see"}


def test_images_that_tools_gave_follow_their_results_where_these_are_text_only() -> None:
    results = (
        Message("tool", (ToolResult("c1", (Text("see"), Image(data="aGk="))), ToolResult("c2", (Image(data="eW8="),)))),
        Message("tool", (ToolResult("c3", (Text("done"),)),)),
    )
    for more in ((), (Message("user", "and?"),)):
        wire = _body(ChatRequest("m", (*results, *more)))["messages"]
        assert [message["role"] for message in wire[:4]] == ["tool", "tool", "tool", "user"]
        assert [message["content"] for message in wire[:3]] == ["see", "See the next message of the user.", "done"]
        assert wire[3]["content"] == [
            {"type": "text", "text": "The tool call c1 gave this:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            {"type": "text", "text": "The tool call c2 gave this:"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,eW8="}},
        ]
        assert [message["content"] for message in wire[4:]] == ["and?"] * len(more)
    kept = _body(ChatRequest("m", results), presets.openrouter)["messages"][0]["content"]
    assert [part["type"] for part in kept] == ["text", "image_url"]


def test_a_file_that_a_tool_gave_is_named_where_the_service_takes_none() -> None:
    results = Message("tool", (ToolResult("c1", (File(data="aGk="),)),))
    assert _refused(ChatRequest("m", (results,)), presets.vllm) == "messages[0].content[0].content[0]"


def test_a_last_message_of_the_assistants_is_gone_on_from() -> None:
    begun = ChatRequest("m", (*HI, Message("assistant", "The answer is")))
    assert _body(begun, presets.mistral)["messages"][-1]["prefix"] is True
    body = _body(begun, presets.vllm)
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    for request in (ChatRequest("m", HI), ChatRequest("m", (*HI, Message("assistant", (ToolCall("c", "f", "{}"),))))):
        assert "prefix" not in _body(request, presets.mistral)["messages"][-1]
        assert "continue_final_message" not in _body(request, presets.vllm)
    assert "prefix" not in str(_body(begun))


def test_strict_templates_get_one_system_message_and_turns_that_alternate() -> None:
    """Claude Code says its instructions again amid the conversation; templates of many open models refuse that."""
    messages = (
        Message("system", "One."),
        Message("developer", "Two."),
        Message("user", "hi"),
        Message("system", (Text("Three."), Text("Four."))),
        Message("assistant", (ToolCall("c1", "f", "{}"),)),
        Message("system", "Five."),
        Message("tool", (ToolResult("c1", (Image(data="aGk="),)),)),
        Message("user", "and?"),
    )
    loose = _body(ChatRequest("m", messages))["messages"]
    assert [m["role"] for m in loose] == [
        "system", "developer", "user", "system", "assistant", "system", "tool", "user", "user",
    ]  # fmt: skip
    strict = _body(ChatRequest("m", messages), presets.openai_compatible)["messages"]
    assert [m["role"] for m in strict] == ["system", "user", "assistant", "tool", "user"]
    assert strict[0]["content"] == "One.\n\nTwo."
    assert strict[1]["content"] == "hi\n\n<system>\nThree.\n\nFour.\n</system>"
    assert [part.get("text", "an image") for part in strict[4]["content"]] == [
        "<system>\nFive.\n</system>",
        "The tool call c1 gave this:",
        "an image",
        "and?",
    ]


def test_a_refusal_in_the_history() -> None:
    message = Message("assistant", (Refusal("I will not."),))
    request = ChatRequest("m", (message,))
    assert _body(request)["messages"][0]["content"] == [{"type": "refusal", "refusal": "I will not."}]
    assert _body(request, presets.groq)["messages"][0]["content"] == "I will not."


@pytest.mark.parametrize(
    "message",
    [Message("user", (ToolCall("c", "f", ""),)), Message("assistant", (Image(data="x"),)), Message("tool", "sun")],
)
def test_a_part_in_the_wrong_role_is_the_callers_mistake(message: Message) -> None:
    with pytest.raises(InvalidRequest):
        _body(ChatRequest("m", (message,)))


def test_a_conversation_without_messages_is_the_callers_mistake() -> None:
    with pytest.raises(InvalidRequest):
        _body(ChatRequest("m", ()))


# --- tools --------------------------------------------------------------------------


def test_tools_and_their_choice() -> None:
    tool = Tool("weather", "Looks it up", '{"type": "object", "big": 12345678901234567890}', strict=True)
    body = _body(ChatRequest("m", HI, tools=Tools((tool, Tool("b")), NamedTool("weather"), parallel=False)))
    assert body["tools"][0] == {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Looks it up",
            "parameters": {"type": "object", "big": 12345678901234567890},
            "strict": True,
        },
    }
    assert body["tools"][1]["function"] == {"name": "b", "parameters": {"type": "object", "properties": {}}}
    assert body["tool_choice"] == {"type": "function", "function": {"name": "weather"}}
    assert body["parallel_tool_calls"] is False


@pytest.mark.parametrize(("preset", "word"), [(presets.openai, "required"), (presets.mistral, "any")])
def test_some_tool_must_be_called(preset: Preset, word: str) -> None:
    assert _body(ChatRequest("m", HI, tools=Tools((Tool("a"),), "required")), preset)["tool_choice"] == word


def test_parameters_that_are_no_json_object_are_the_callers_mistake() -> None:
    with pytest.raises(InvalidRequest) as caught:
        _body(ChatRequest("m", HI, tools=Tools((Tool("a", parameters="[1]"),))))
    assert caught.value.param == "tools[0].function.parameters"


# --- how to sample ------------------------------------------------------------------


def test_everything_that_openai_samples_by() -> None:
    sampling = Sampling(
        temperature=0.0,
        top_p=0.9,
        presence_penalty=0.1,
        frequency_penalty=0.2,
        seed=7,
        logit_bias={5: -1.5},
        logprobs=3,
    )
    body = _body(ChatRequest("m", HI, sampling))
    assert {name: body[name] for name in body.keys() - {"model", "messages", "stream", "stream_options"}} == {
        "temperature": 0.0,
        "top_p": 0.9,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "seed": 7,
        "logit_bias": {"5": -1.5},
        "logprobs": True,
        "top_logprobs": 3,
    }


@pytest.mark.parametrize(
    ("preset", "model", "sent"),
    [
        (presets.openai, "gpt-5-mini", "low"),
        (presets.openrouter, "openai/gpt-5.2", "low"),
        (presets.openai, "gpt-4.1", None),
        (presets.groq, "openai/gpt-oss-20b", None),
    ],
)
def test_verbosity_goes_where_it_is_known(preset: Preset, model: str, sent: str | None) -> None:
    """Others refuse it, and it is a mere hint."""
    assert _body(ChatRequest(model, HI, verbosity="low"), preset).get("verbosity") == sent


def test_samplers_of_open_servers_have_their_names() -> None:
    sampling = Sampling(top_k=40, min_p=0.1, repeat_penalty=1.1, grammar='root ::= "a"')
    vllm = _body(ChatRequest("m", HI, sampling), presets.vllm)
    assert (vllm["top_k"], vllm["min_p"], vllm["repetition_penalty"]) == (40, 0.1, 1.1)
    assert vllm["structured_outputs"] == {"grammar": 'root ::= "a"'}
    llama = _body(ChatRequest("m", HI, sampling), presets.llama_server)
    assert (llama["repeat_penalty"], llama["grammar"]) == (1.1, 'root ::= "a"')
    assert _body(ChatRequest("m", HI, Sampling(seed=7)), presets.mistral)["random_seed"] == 7


def test_parameters_that_change_nothing_are_not_refused() -> None:
    """A client that sends every default is no reason for an error."""
    sampling = Sampling(min_p=0.0, repeat_penalty=1.0, presence_penalty=0.0)
    assert "min_p" not in _body(ChatRequest("m", HI, sampling), presets.groq)


@pytest.mark.parametrize("schema", ["{}", '{"type":"object"}'])
def test_any_object_is_json_mode(schema: str) -> None:
    body = _body(ChatRequest("m", HI, Sampling(json_schema=schema)))
    assert body["response_format"] == {"type": "json_object"}


def test_a_schema_goes_as_it_is() -> None:
    schema = '{"type":"object","properties":{"a":{"type":"integer"}}}'
    request = ChatRequest("m", HI, Sampling(json_schema=schema), schema_name="answer", schema_strict=True)
    assert _body(request)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": json.loads(schema), "strict": True},
    }
    assert _refused(request, presets.deepseek) == "response_format"
    assert _body(request, presets.deepseek, drop=True)["response_format"] == {"type": "json_object"}
    assert _refused(request, presets.transformers) == "response_format"


@pytest.mark.parametrize(
    ("preset", "member", "value"),
    [
        (presets.llama_server, "json_schema", {"type": "boolean"}),
        (presets.vllm, "structured_outputs", {"json": {"type": "boolean"}}),
        (presets.fireworks, "response_format", {"type": "json_object", "schema": {"type": "boolean"}}),
    ],
)
def test_plain_text_follows_a_schema_where_the_service_can(preset: Preset, member: str, value: object) -> None:
    request = CompletionRequest("m", ("a",), sampling=Sampling(json_schema='{"type":"boolean"}'))
    body = completion_body(request, preset.quirks, Unsupported("acme", drop=False))
    assert json.loads(msgspec.json.encode(body))[member] == value
    with pytest.raises(UnsupportedParameter) as caught:
        completion_body(request, presets.openai.quirks, Unsupported("acme", drop=False))
    assert caught.value.param == "json_schema"


# --- thinking -----------------------------------------------------------------------


def test_effort_and_budget() -> None:
    high = ChatRequest("o3", HI, reasoning=Reasoning(effort="high"))
    assert _body(high)["reasoning_effort"] == "high"
    assert _body(high, presets.openrouter)["reasoning"] == {"effort": "high"}
    assert _body(high, presets.deepseek)["thinking"] == {"type": "enabled"}
    budget = ChatRequest("o3", HI, reasoning=Reasoning(budget_tokens=4000))
    assert _body(budget)["reasoning_effort"] == "medium"
    assert _body(budget, presets.openrouter)["reasoning"] == {"max_tokens": 4000}
    assert _refused(budget, presets.tgi) == "reasoning_effort"


def test_thoughts_that_are_not_insisted_on_are_asked_for_only_where_the_model_has_them() -> None:
    for wanted in (Reasoning("high", optional=True), Reasoning(budget_tokens=9000, optional=True)):
        request = ChatRequest("m", HI, reasoning=wanted)
        assert _body(request, reasons=True)["reasoning_effort"] == "high"
        for reasons in (False, None):
            assert "reasoning_effort" not in _body(request, reasons=reasons)
        assert "reasoning_effort" not in _body(request, presets.tgi, reasons=True)


def test_a_model_that_does_not_think_is_not_told_how_much() -> None:
    assert _refused(ChatRequest("gpt-4.1", HI, reasoning=Reasoning(effort="high")), reasons=False) == "reasoning_effort"
    body = _body(ChatRequest("gpt-4.1", HI, reasoning=Reasoning(budget_tokens=0)), reasons=False)
    assert "reasoning_effort" not in body


def test_a_service_that_refuses_unknown_members_gets_none() -> None:
    """`transformers serve` and Mistral answer them with an error."""
    request = ChatRequest("m", HI, max_tokens=5, user="u", tools=Tools((Tool("a"),), "auto", parallel=True))
    body = _body(request, presets.transformers)
    assert body.keys() == {"model", "messages", "stream", "max_tokens", "tools"}
    assert "stream_options" not in _body(request, presets.mistral) and "user" not in _body(request, presets.mistral)


def test_mistrals_call_ids_are_nine_letters_and_digits() -> None:
    """Its own stay; others become the same one each time, so that calls and results still belong together."""
    assert call_id("D681PevKs") == "D681PevKs"
    made = call_id("call_0123456789abcdef")
    assert made == call_id("call_0123456789abcdef") != call_id("call_0123456789abcdee")
    assert len(made) == 9 and made.isalnum() and made.isascii()
