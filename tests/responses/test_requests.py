"""What a Responses request means to a service that is asked in another dialect."""

from __future__ import annotations

import json
from typing import Any

import pytest
from responses_harness import CALLED, before, call
from routing_harness import deltas, upstream

from ghostd.config.responses import ResponsesConfig
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
    ToolCall,
    ToolResult,
)
from ghostd.errors import ContextTooLong, UnsupportedParameter
from ghostd.gateway.dialects.responses.thoughts import seal
from ghostd.testing.scripted import ScriptedUpstreamProvider
from ghostd.types import ChatRequest, Delta

CHAT = ("openai.chat",)
F = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}
PNG = "data:image/png;base64,iVBORw0KGgo="


def chat(*scripts: Any) -> ScriptedUpstreamProvider:
    return upstream("a", *(scripts or (deltas("ok"),)), relays=CHAT)


async def sent(config: ResponsesConfig | None = None, **fields: Any) -> ChatRequest:
    """What the service is asked."""
    async with before(a := chat(), config=config) as d:
        status, body = await d.post(**{"model": "r", "input": "hi", **fields})
        assert status == 200, body
        (request,) = a.asked
        assert isinstance(request, ChatRequest)
        return request


async def messages(*items: Any) -> list[Message]:
    return list((await sent(input=list(items), tools=[F])).messages)


async def test_a_text_is_what_the_user_says_after_the_instructions() -> None:
    request = await sent(instructions="Be brief.")
    assert request.messages == (Message("system", "Be brief."), Message("user", "hi"))


PARTS: list[tuple[dict[str, Any], Part]] = [
    ({"type": "input_text", "text": "x"}, Text("x")),
    ({"type": "input_image", "image_url": PNG, "detail": "low"}, Image(data="iVBORw0KGgo=", detail="low")),
    ({"type": "input_image", "image_url": "https://x.test/a.png"}, Image(url="https://x.test/a.png")),
    (
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"},
        File(data="AAAA", name="a.pdf"),
    ),
    (
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGk="},
        File(data="hi", media_type="text/plain", name="a.txt"),
    ),
    ({"type": "input_file", "file_url": "https://x.test/a.pdf"}, File(url="https://x.test/a.pdf")),
    ({"type": "input_file", "file_id": "file-1"}, File(file_id="file-1")),
    ({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}, Audio("AAAA", "wav")),
]


@pytest.mark.parametrize(("wire", "part"), PARTS)
async def test_each_kind_of_part_is_understood(wire: dict[str, Any], part: Part) -> None:
    (message,) = await messages({"role": "user", "content": [wire]})
    assert message == Message("user", (part,))


async def test_what_the_assistant_does_in_a_row_is_one_message_and_so_are_the_outputs() -> None:
    found = await messages(
        {"role": "user", "content": "go"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        CALL,
        {**CALL, "call_id": "c2"},
        {"type": "function_call_output", "call_id": "c1", "output": "one"},
        {
            "type": "function_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "two"}, {"type": "input_image", "image_url": PNG}],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    )
    assert found == [
        Message("user", "go"),
        Message("assistant", (Text("I look."), ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "f", '{"a":1}'))),
        Message(
            "tool",
            (
                ToolResult("c1", (Text("one"),), name="f"),
                ToolResult("c2", (Text("two"), Image(data="iVBORw0KGgo=")), name="f"),
            ),
        ),
        Message("assistant", (Refusal("no"),)),
    ]


async def test_outputs_follow_their_calls_wherever_they_were_told() -> None:
    """Agents let users speak while a tool runs, and tell what it says on the way."""
    output = {"type": "function_call_output", "call_id": "c1", "output": "so far"}
    found = await messages(
        {"role": "user", "content": "go"},
        CALL,
        {**CALL, "call_id": "c2"},
        {**output, "call_id": "c2", "output": "two"},
        output,
        {"role": "user", "content": "hurry"},
        {**output, "output": "done"},
        {**CALL, "call_id": "c3"},
        {**output, "call_id": "c3", "output": "three"},
        {**CALL, "call_id": "c4"},
        {**output, "call_id": "c4", "output": "four"},
    )
    calls = {number: ToolCall(f"c{number}", "f", '{"a":1}') for number in range(1, 5)}
    assert found == [
        Message("user", "go"),
        Message("assistant", (calls[1], calls[2])),
        Message(
            "tool",
            (ToolResult("c1", (Text("so far"), Text("done")), name="f"), ToolResult("c2", (Text("two"),), name="f")),
        ),
        Message("user", "hurry"),
        Message("assistant", (calls[3],)),
        Message("tool", (ToolResult("c3", (Text("three"),), name="f"),)),
        Message("assistant", (calls[4],)),
        Message("tool", (ToolResult("c4", (Text("four"),), name="f"),)),
    ]


async def test_sealed_thoughts_and_signatures_come_back_and_those_of_others_do_not() -> None:
    sealed = seal([Thinking("hm", "sig"), Thinking(redacted="xx")], {"c1": "call-sig"})
    found = await messages(
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "of others"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "gAAAAB"},
        {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": sealed},
        CALL,
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
    )
    call = ToolCall("c1", "f", '{"a":1}', "call-sig")
    assert found[0] == Message("assistant", (Thinking("hm", "sig"), Thinking(redacted="xx"), call))


async def test_thoughts_make_the_round_trip_of_a_stateless_client() -> None:
    script = [
        Delta(reasoning="hm"),
        Delta(reasoning_signature="s1"),
        Delta(redacted_reasoning="xx"),
        *call(0, "{}", name="f", signature="cs"),
        CALLED,
    ]
    async with before(a := chat(script, deltas("done"))) as d:
        fields: dict[str, Any] = {
            "model": "r",
            "tools": [F],
            "store": False,
            "include": ["reasoning.encrypted_content"],
        }
        _, first = await d.post(**fields, input="go")
        result = {"type": "function_call_output", "call_id": "call_0", "output": "1"}
        await d.post(**fields, input=[{"role": "user", "content": "go"}, *first["output"], result])
        request = a.asked[1]
        assert isinstance(request, ChatRequest)
        assert request.messages[1].content == (
            Thinking("hm", "s1"),
            Thinking(redacted="xx"),
            ToolCall("call_0", "f", "{}", "cs"),
        )


async def test_functions_custom_tools_namespaces_and_a_search_of_tools_become_functions() -> None:
    tools = [
        F,
        {
            "type": "custom",
            "name": "patch",
            "description": "d",
            "format": {"type": "grammar", "definition": "start: x"},
        },
        {"type": "namespace", "name": "ns", "description": "", "tools": [{"type": "function", "name": "g"}]},
        {"type": "tool_search", "execution": "client", "parameters": {"type": "object"}},
        {"type": "web_search", "external_web_access": True},
    ]
    async with before(a := chat()) as d:
        _, reply = await d.post(model="r", input="hi", tools=tools)
        (request,) = a.asked
        assert isinstance(request, ChatRequest)
        assert [tool.name for tool in request.tools.tools] == ["f", "patch", "ns__g", "tool_search"]
        custom = request.tools.tools[1]
        assert "start: x" in custom.description
        assert json.loads(custom.parameters)["required"] == ["input"]
        assert request.tools.tools[0].strict is True
        assert [tool["type"] for tool in reply["tools"]] == ["function", "custom", "namespace", "tool_search"]


async def test_the_models_calls_come_back_as_the_tools_that_they_stand_for() -> None:
    script = [
        *call(0, '{"input":"text"}', name="patch"),
        *call(1, '{"a":1}', name="ns__g"),
        *call(2, '{"query":"q"}', name="tool_search"),
        *call(3, "{}", name="unknown"),
        CALLED,
    ]
    tools = [
        {"type": "custom", "name": "patch"},
        {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "g"}]},
        {"type": "tool_search", "execution": "client"},
    ]
    async with before(a := chat(script, deltas())) as d:
        _, reply = await d.post(model="r", input="hi", tools=tools)
        output = reply["output"]
        assert [(item["type"], item.get("name"), item.get("namespace")) for item in output] == [
            ("custom_tool_call", "patch", None),
            ("function_call", "g", "ns"),
            ("tool_search_call", None, None),
            ("function_call", "unknown", None),
        ]
        assert output[0]["input"] == "text"
        assert (output[2]["execution"], output[2]["arguments"]) == ("client", {"query": "q"})
        more = [
            {"type": "custom_tool_call_output", "call_id": "call_0", "output": "ok"},
            {"type": "function_call_output", "call_id": "call_1", "output": "ok"},
            {"type": "tool_search_output", "call_id": "call_2", "tools": [{"type": "function", "name": "found"}]},
            {"type": "function_call_output", "call_id": "call_3", "output": "ok"},
        ]
        status, body = await d.post(model="r", input=more, tools=tools, previous_response_id=reply["id"])
        assert status == 200, body
        request = a.asked[1]
        assert isinstance(request, ChatRequest)
        calls = [part for part in request.messages[1].parts if isinstance(part, ToolCall)]
        assert [(c.name, json.loads(c.arguments)) for c in calls] == [
            ("patch", {"input": "text"}),
            ("ns__g", {"a": 1}),
            ("tool_search", {"query": "q"}),
            ("unknown", {}),
        ]
        assert [tool.name for tool in request.tools.tools][-1] == "found"


async def test_tools_may_come_as_an_item() -> None:
    request = await sent(
        input=[
            {"type": "additional_tools", "role": "developer", "tools": [F]},
            {"role": "user", "content": "hi"},
        ]
    )
    assert [tool.name for tool in request.tools.tools] == ["f"]


CHOICES: list[tuple[Any, Any]] = [
    ("auto", "auto"),
    ("none", "none"),
    ("required", "required"),
    ({"type": "function", "name": "f"}, NamedTool("f")),
    ({"type": "custom", "name": "p"}, NamedTool("p")),
    ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "p"}]}, "required"),
]


@pytest.mark.parametrize(("wire", "choice"), CHOICES)
async def test_each_choice_of_a_tool_is_understood(wire: Any, choice: Any) -> None:
    request = await sent(tools=[F, {"type": "custom", "name": "p"}], tool_choice=wire, parallel_tool_calls=False)
    assert (request.tools.choice, request.tools.parallel) == (choice, False)
    allowed = isinstance(wire, dict) and wire["type"] == "allowed_tools"
    assert [tool.name for tool in request.tools.tools] == (["p"] if allowed else ["f", "p"])


async def test_options_keep_their_meaning() -> None:
    schema = {"type": "object", "properties": {}}
    request = await sent(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=77,
        top_logprobs=3,
        include=["message.output_text.logprobs"],
        reasoning={"effort": "high", "summary": "auto"},
        text={"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": True}, "verbosity": "low"},
        safety_identifier="me",
        truncation="auto",
        metadata={"a": "b"},
        service_tier="flex",
        stream_options={"include_obfuscation": False},
        prompt_cache_key="k",
    )
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.logprobs) == (0.5, 0.9, 3)
    assert json.loads(sampling.json_schema or "") == schema
    assert (request.schema_name, request.schema_strict, request.max_tokens) == ("n", True, 77)
    assert request.reasoning == Reasoning("high", include=True, optional=True)
    assert request.user == "me"


async def test_the_reply_repeats_what_was_asked_for() -> None:
    asked: dict[str, Any] = {
        "instructions": "i",
        "temperature": 0.5,
        "metadata": {"a": "b"},
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "low", "summary": None},
        "tools": [F],
        "parallel_tool_calls": False,
        "truncation": "auto",
    }
    async with before(chat()) as d:
        _, reply = await d.post(model="r", input="hi", **asked)
        assert reply["text"] == {"format": {"type": "text"}, "verbosity": "low"}
        assert {name: reply[name] for name in asked if name != "text"} == {
            n: v for n, v in asked.items() if n != "text"
        }
        assert (reply["model"], reply["store"], reply["error"]) == ("a/m", True, None)


async def test_what_hosted_tools_did_elsewhere_is_passed_over() -> None:
    found = await messages(
        {"role": "user", "content": "a"}, {"type": "web_search_call", "id": "ws_1", "status": "completed"}
    )
    assert found == [Message("user", "a")]


HOSTED = [{"type": kind} for kind in ("file_search", "code_interpreter", "computer_use_preview", "mcp", "local_shell")]


@pytest.mark.parametrize(
    ("mode", "tools", "status"),
    [
        ("default", [F, {"type": "web_search_preview"}, {"type": "image_generation"}], 200),
        ("default", [{"type": "web_search"}], 400),
        *[("default", [F, tool], 400) for tool in HOSTED],
        ("refuse", [F, {"type": "web_search"}], 400),
        ("drop", [{"type": "web_search"}, *HOSTED], 200),
    ],
)
async def test_hosted_tools_are_refused_or_left_out(mode: Any, tools: list[Any], status: int) -> None:
    async with before(chat(), config=ResponsesConfig(hosted_tools=mode)) as d:
        found, body = await d.post(model="r", input="hi", tools=tools)
        assert found == status
        if status == 400:
            number = next(n for n, tool in enumerate(tools) if tool["type"] != "function")
            assert (body["error"]["param"], body["error"]["code"]) == (f"tools[{number}].type", "unsupported_parameter")
        async with d.http.post(
            d.served.url + "/v1/responses", json={"model": "r", "input": "hi", "tools": tools}
        ) as reply:
            assert ("without the tools" in reply.headers.get("x-ghostd-reason", "")) is (status == 200)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": None}, "model"),
    ({"model": 5}, "model"),
    ({"input": None}, "input"),
    ({"input": []}, "input"),
    ({"input": 5}, "input"),
    ({"input": ["x"]}, "input[0]"),
    ({"input": [{}]}, "input[0].role"),
    ({"input": [{"role": "robot", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user"}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
    ({"input": [{"role": "user", "content": [{"type": "smell"}]}]}, "input[0].content[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "input[0].content[0].file_id",
    ),
    ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
    ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
    ({"input": [{"type": "function_call", "call_id": "c", "arguments": "{}"}]}, "input[0].name"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {}}]}, "input[0].arguments"),
    ({"input": [{"type": "custom_tool_call", "call_id": "c", "name": "f"}]}, "input[0].input"),
    ({"input": [CALL]}, "input"),
    ({"input": [CALL, CALL]}, "input[1].call_id"),
    ({"input": [{"type": "function_call_output", "call_id": "c1", "output": "x"}]}, "input"),
    ({"input": [CALL, {"type": "function_call_output", "call_id": "c1"}]}, "input[1].output"),
    ({"input": [{"type": "computer_call", "call_id": "c"}]}, "input[0].type"),
    ({"input": [{"type": "item_reference"}]}, "input[0].id"),
    ({"input": [{"type": "item_reference", "id": "msg_unknown"}]}, "input[0].id"),
    ({"instructions": 5}, "instructions"),
    ({"tools": {}}, "tools"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [{"type": "custom"}]}, "tools[0].name"),
    ({"tools": [{}]}, "tools[0].type"),
    ({"tools": [{"type": "function", "name": "f", "parameters": 5}]}, "tools[0].parameters"),
    ({"tools": [F, F]}, "tools[1].name"),
    ({"tool_choice": "required"}, "tool_choice"),
    ({"tool_choice": "sometimes", "tools": [F]}, "tool_choice"),
    ({"tool_choice": {"type": "function", "name": "g"}, "tools": [F]}, "tool_choice.name"),
    ({"tool_choice": {"type": "function"}, "tools": [F]}, "tool_choice.name"),
    ({"tool_choice": {"type": "file_search"}, "tools": [F]}, "tool_choice.type"),
    ({"tool_choice": {"type": "allowed_tools", "tools": []}, "tools": [F]}, "tool_choice.tools"),
    ({"tool_choice": {"type": "allowed_tools", "mode": "x", "tools": [F]}, "tools": [F]}, "tool_choice.mode"),
    ({"tool_choice": 5, "tools": [F]}, "tool_choice"),
    ({"parallel_tool_calls": "yes"}, "parallel_tool_calls"),
    ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
    ({"text": {"format": {"type": "json_schema", "name": "n", "schema": 5}}}, "text.format.schema"),
    ({"text": {"verbosity": "loud"}}, "text.verbosity"),
    ({"text": 5}, "text"),
    ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
    ({"reasoning": {"summary": "long"}}, "reasoning.summary"),
    ({"reasoning": 5}, "reasoning"),
    ({"temperature": 3}, "temperature"),
    ({"temperature": "hot"}, "temperature"),
    ({"top_p": -1}, "top_p"),
    ({"top_logprobs": 21}, "top_logprobs"),
    ({"max_output_tokens": 0}, "max_output_tokens"),
    ({"max_output_tokens": "x"}, "max_output_tokens"),
    ({"max_tool_calls": 0}, "max_tool_calls"),
    ({"include": "x"}, "include"),
    ({"include": ["x"]}, "include[0]"),
    ({"metadata": {"a": 5}}, "metadata[...]"),
    ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
    ({"metadata": {"a" * 65: ""}}, "metadata"),
    ({"metadata": {"a": "b" * 513}}, "metadata"),
    ({"store": "yes"}, "store"),
    ({"stream": "yes"}, "stream"),
    ({"stream_options": 5}, "stream_options"),
    ({"background": "yes"}, "background"),
    ({"background": True, "store": False}, "background"),
    ({"previous_response_id": 5}, "previous_response_id"),
    ({"previous_response_id": "resp_unknown"}, "previous_response_id"),
    ({"previous_response_id": "a", "conversation": "b"}, "previous_response_id"),
    ({"conversation": 5}, "conversation"),
    ({"conversation": {}}, "conversation"),
    ({"truncation": "some"}, "truncation"),
    ({"user": 5}, "user"),
    ({"prompt": {"id": "p"}}, "prompt"),
    ({"api_key": "k"}, "api_key"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=[f"{n}-{param}" for n, (_, param) in enumerate(WRONG)])
async def test_a_wrong_field_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    async with before(a := chat()) as d:
        status, body = await d.post(**{"model": "r", "input": "hi", **fields})
        assert (status, body["error"]["param"]) == (400, param), body
        assert body["error"]["type"] == "invalid_request_error"
        assert a.asked == []


async def test_a_providers_refusal_names_the_parameter_as_it_is_called_here() -> None:
    names = {
        "reasoning_effort": "reasoning.effort",
        "messages[1].content[0]": "input",
        "response_format": "text.format",
        "max_tokens": "max_output_tokens",
    }
    for theirs, ours in names.items():
        async with before(chat([UnsupportedParameter("no", theirs)])) as d:
            assert (await d.post(model="r", input="hi"))[1]["error"]["param"] == ours
    async with before(chat([ContextTooLong(9, 5)])) as d:
        _, body = await d.post(model="r", input="hi")
        assert (body["error"]["param"], body["error"]["code"]) == ("input", "context_length_exceeded")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_conversation_that_is_too_long_is_shortened_where_the_client_allows_that(stream: bool) -> None:
    """Calls go together with their outputs; instructions and the last message stay."""
    items: list[Any] = [{"role": "developer", "content": "rules"}]
    for number in range(10):
        call_id = f"c{number}"
        items += [
            {"role": "user", "content": f"question {number} " + "x" * 100},
            {"type": "function_call", "call_id": call_id, "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": call_id, "output": "y" * 100},
            {"role": "assistant", "content": f"answer {number}"},
        ]
    items.append({"role": "user", "content": "last"})
    too_long = ContextTooLong(1000, 500)
    async with before(a := chat([too_long], [too_long], deltas("ok"))) as d:
        fields: dict[str, Any] = {"model": "r", "input": items, "tools": [F], "instructions": "Be brief."}
        status, _ = await d.post(**fields)
        assert (status, len(a.asked)) == (400, 1)
        if stream:
            reply = (await d.stream(**fields, truncation="auto"))[-1]["response"]
        else:
            _, reply = await d.post(**fields, truncation="auto")
        assert reply["output"][0]["content"][0]["text"] == "ok"
        sizes = []
        for request in a.asked[1:]:
            assert isinstance(request, ChatRequest)
            assert [message.text for message in request.messages[:2]] == ["Be brief.", "rules"]
            assert request.messages[-1] == Message("user", "last")
            parts = [part for message in request.messages for part in message.parts]
            calls = {part.id for part in parts if isinstance(part, ToolCall)}
            assert calls == {part.call_id for part in parts if isinstance(part, ToolResult)}
            sizes.append(len(request.messages))
        assert len(sizes) == 2
        assert sizes[1] < sizes[0]
        kept = await d.openai.responses.input_items.list(reply["id"], limit=100)
        assert len(kept.data) == len(items), "what is kept is whole"


async def test_a_last_message_that_is_too_long_is_an_error_all_the_same() -> None:
    async with before(a := chat([ContextTooLong(1000, 500)])) as d:
        status, body = await d.post(model="r", input="hi", truncation="auto")
        assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
        assert len(a.asked) == 1
