"""Replies that come in ghostd's own words, put into OpenAI's dialect: tools, thoughts, refusals, choices, usage."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway_harness import CHAT, Answer, gateway
from routing_harness import USAGE, upstream, whole

from ghostd.conversation import (
    Audio,
    File,
    Image,
    Message,
    NamedTool,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Tools,
)
from ghostd.errors import UnsupportedParameter, UpstreamUnreachable
from ghostd.testing.gateway import check_failed_stream, check_stream
from ghostd.testing.scripted import Step
from ghostd.types import ChatRequest, Delta, RelayRequest, Usage

ONE = 'routes.r.deployments = ["a/m"]'
END = Delta(finish_reason="stop", usage=USAGE)
TOOLS: list[Step] = [
    Delta("Let me see. "),
    Delta(tool_calls=(ToolCallDelta(0, id="call_1", name="weather"),)),
    Delta(tool_calls=(ToolCallDelta(0, '{"city":'), ToolCallDelta(1, '{"x"', id="call_2", name="other"))),
    Delta(tool_calls=(ToolCallDelta(0, '"Paris"}'), ToolCallDelta(1, ":1}"))),
    Delta(finish_reason="tool_calls", usage=USAGE),
]


async def ask(script: list[Step], **fields: Any) -> Answer:
    async with gateway(ONE, upstream("a", script, relays=())) as g:
        return await g.post(**fields)


async def sent(**fields: Any) -> ChatRequest:
    """What a translating provider is asked."""
    async with gateway(ONE, a := upstream("a", [Delta("x"), END], relays=())) as g:
        answer = await g.post(CHAT, None, **fields)
        assert answer.status == 200, answer.body
        request = a.asked[0]
        assert isinstance(request, ChatRequest)
        return request


def events(body: bytes) -> list[Any]:
    return [json.loads(event.removeprefix(b"data: ")) for event in body.split(b"\n\n")[:-2]]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        (CHAT, {}),
        ("/v1/completions", {"prompt": "x"}),
        ("/v1/responses", {"input": "x"}),
        ("/v1/messages", {"max_tokens": 9}),
        ("/api/chat", {}),
        ("/api/generate", {"prompt": "x"}),
        ("/completion", {"prompt": "x"}),
    ],
)
async def test_no_character_of_a_text_breaks_an_event_in_two(path: str, fields: dict[str, Any]) -> None:
    """httpx, and so Ollama's client, ends lines at more than a line feed."""
    text = "a\u2028b\u2029c\x85d"
    answer = await ask([Delta(text), END], path=path, stream=True, **fields)
    assert answer.status == 200, answer.body
    told = answer.body.decode()
    for line in told.splitlines():
        if line and not line.startswith((":", "event:")) and "[DONE]" not in line:
            json.loads(line.removeprefix("data: "))
    assert json.dumps(text)[1:-1] in told


async def test_a_whole_reply_holds_its_tool_calls() -> None:
    (choice,) = (await ask(TOOLS)).json["choices"]
    assert choice == {
        "index": 0,
        "message": {
            "role": "assistant",
            "content": "Let me see. ",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}},
                {"id": "call_2", "type": "function", "function": {"name": "other", "arguments": '{"x":1}'}},
            ],
        },
        "finish_reason": "tool_calls",
    }


async def test_a_stream_gives_each_tool_call_its_id_and_name_once() -> None:
    answer = await ask(TOOLS, stream=True)
    chunks = events(answer.body)
    pieces = [piece for chunk in chunks for piece in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert pieces == [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"city":'}},
        {"index": 1, "id": "call_2", "type": "function", "function": {"name": "other", "arguments": '{"x"'}},
        {"index": 0, "function": {"arguments": '"Paris"}'}},
        {"index": 1, "function": {"arguments": ":1}"}},
    ]
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_a_reply_of_tool_calls_alone_has_no_content() -> None:
    (choice,) = (await ask(TOOLS[1:])).json["choices"]
    assert choice["message"]["content"] is None


async def test_thoughts_and_refusals_are_shown() -> None:
    thoughts: list[Step] = [Delta(reasoning="hm, "), Delta(reasoning="well")]
    script = [*thoughts, Delta(refusal="I will "), Delta(refusal="not"), END]
    message = (await ask(script)).json["choices"][0]["message"]
    assert (message["reasoning_content"], message["refusal"], message["content"]) == ("hm, well", "I will not", "")
    chunks = [chunk["choices"][0]["delta"] for chunk in events((await ask(script, stream=True)).body)]
    assert "".join(delta.get("reasoning_content", "") for delta in chunks) == "hm, well"
    assert "".join(delta.get("refusal", "") for delta in chunks) == "I will not"


@pytest.mark.parametrize("asked", [True, False])
async def test_usage_comes_in_a_stream_only_when_asked_for(asked: bool) -> None:
    answer = await ask([Delta("x"), END], stream=True, stream_options={"include_usage": asked})
    said = check_stream(answer.body, chat=True, with_usage=asked)
    assert said.usage == ({"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14} if asked else None)


async def test_what_was_cached_and_thought_is_told() -> None:
    script: list[Step] = [Delta("x", finish_reason="stop", usage=Usage(10, 4, 6, 0, 2))]
    assert (await ask(script)).json["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 6},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


async def test_a_reply_without_usage_is_whole_all_the_same() -> None:
    script: list[Step] = [Delta("x", finish_reason="stop")]
    answer = await ask(script)
    assert (answer.status, "usage" in answer.json) == (200, False)
    said = check_stream((await ask(script, stream=True)).body, chat=True)
    assert said.choices[0].text == "x"


async def test_several_choices_are_asked_for_by_ghostd_itself() -> None:
    scripts: list[list[Step]] = [[Delta("one"), END], [Delta("two"), END]]
    async with gateway(ONE, upstream("a", *scripts, *scripts, relays=())) as g:
        answer = (await g.post(n=2, seed=5)).json
        assert [(c["index"], c["message"]["content"]) for c in answer["choices"]] == [(0, "one"), (1, "two")]
        assert answer["usage"] == {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18}
        said = check_stream((await g.post(n=2, stream=True)).body, chat=True)
        assert {index: choice.text for index, choice in said.choices.items()} == {0: "one", 1: "two"}


async def test_a_stream_that_breaks_says_so() -> None:
    script: list[Step] = [Delta("half"), UpstreamUnreachable("reset by peer")]
    answer = await ask(script, stream=True)
    assert check_failed_stream(answer.body)["code"] == "upstream_unreachable"


async def test_a_reply_that_breaks_before_it_was_sent_is_an_error() -> None:
    broken: list[Step] = [Delta("half"), UpstreamUnreachable("reset")]
    async with gateway(ONE + "\nrouting.retry_budget = 0", upstream("a", broken, relays=())) as g:
        answer = await g.post()
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_unreachable")
        assert g.world.row.status == "error"


async def test_metadata_are_a_part_of_a_translated_reply() -> None:
    async with gateway(ONE, upstream("a", [Delta("x"), END], relays=())) as g:
        found = (await g.post(headers={"x-ghostd-metadata": "yes"})).json["routing_metadata"]
        assert found["model_used"] == "a/m"


async def test_what_an_upstream_cannot_honour_names_the_parameter() -> None:
    answer = await ask([UnsupportedParameter("no logprobs here", "logprobs")], logprobs=True)
    assert (answer.status, answer.json["error"]["param"]) == (400, "logprobs")
    assert answer.json["error"]["code"] == "unsupported_parameter"


# --- requests --------------------------------------------------------------------------


async def test_a_tool_loop_reaches_the_provider_whole() -> None:
    function = {"name": "weather", "description": "d", "parameters": {"type": "object"}, "strict": True}
    called = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"x"}'}}
    request = await sent(
        messages=[
            {"role": "developer", "content": "Be short."},
            {"role": "user", "content": "weather?", "name": "ann"},
            {"role": "assistant", "content": None, "tool_calls": [called], "reasoning_content": "hm"},
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        ],
        tools=[{"type": "function", "function": function}],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
        reasoning_effort="high",
        user="u1",
    )
    assert request.messages == (
        Message("developer", "Be short."),
        Message("user", "weather?", "ann"),
        Message("assistant", (Thinking("hm"), ToolCall("c1", "weather", '{"city":"x"}'))),
        Message("tool", (ToolResult("c1", (Text("sunny"),)),)),
    )
    assert request.tools == Tools(
        (Tool("weather", "d", '{"type": "object"}', True),), NamedTool("weather"), False, strict_optional=True
    )
    assert (request.reasoning, request.user, request.model) == (Reasoning("high"), "u1", "m")


async def test_images_files_and_sound_reach_the_provider() -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": "data:image/jpeg;base64,QUJD"},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,UERG", "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": {"data": "V0FW", "format": "wav"}},
    ]
    (message,) = (await sent(messages=[{"role": "user", "content": parts}])).messages
    assert message.parts == (
        Text("look"),
        Image("https://x.test/a.png", detail="low"),
        Image(data="QUJD", media_type="image/jpeg"),
        File(data="UERG", media_type="application/pdf", name="a.pdf"),
        File(file_id="file-1"),
        Audio("V0FW", "wav"),
    )


async def test_a_schema_reaches_the_provider_with_its_name() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    request = await sent(response_format=wanted)
    assert json.loads(request.sampling.json_schema or "") == schema
    assert (request.schema_name, request.schema_strict) == ("answer", True)


async def test_the_older_functions_still_work() -> None:
    request = await sent(
        messages=[
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": None, "function_call": {"name": "w", "arguments": "{}"}},
            {"role": "function", "name": "w", "content": "sunny"},
        ],
        functions=[{"name": "w"}],
        function_call="auto",
    )
    assert request.tools == Tools((Tool("w"),), "auto")
    assert request.messages[1:] == (
        Message("assistant", (ToolCall("w", "w", "{}"),)),
        Message("tool", (ToolResult("w", (Text("sunny"),), name="w"),)),
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "wizard", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        ({"reasoning_effort": "enormous"}, "reasoning_effort"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"temperature": 9}, "temperature"),
        ({"n": 1000}, "n"),
    ],
    ids=str,
)
async def test_what_cannot_be_translated_is_refused_with_its_path(fields: dict[str, Any], param: str) -> None:
    async with gateway(ONE, a := upstream("a", [Delta("x"), END], relays=())) as g:
        answer = await g.post(CHAT, None, **fields)
        assert (answer.status, answer.json["error"]["param"]) == (400, param)
        assert not a.asked
        assert (g.world.row.status, g.world.row.http_status) == ("refused", 400)


async def test_a_deployment_that_relays_is_asked_what_cannot_be_translated() -> None:
    """ "A parameter that ghostd does not know is not a 400" (FACTS 8)."""
    async with gateway(ONE, a := upstream("a", whole())) as g:
        assert (await g.post(tools=[{"type": "web_search"}], reasoning_effort="enormous")).status == 200
        assert isinstance(a.asked[0], RelayRequest)
