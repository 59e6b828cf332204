"""A request of the Messages API, as a deployment of another dialect is asked it; and what is wrong with a request."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from gateway_harness import Answer, gateway
from routing_harness import USAGE, upstream

from ghostd.conversation import (
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
from ghostd.models import ModelInfo
from ghostd.types import ChatRequest, Delta

PATH = "/v1/messages"
ONE = 'routes.r.deployments = ["a/m"]'
END = Delta(finish_reason="stop", usage=USAGE)
SCHEMA = {"type": "object", "properties": {"città": {"type": "string"}}, "required": ["città"]}
WEATHER = {"name": "weather", "description": "Tells the weather.", "input_schema": SCHEMA}
HI = [{"role": "user", "content": "hi"}]


async def sent(**fields: Any) -> ChatRequest:
    """What a translating provider is asked."""
    async with gateway(ONE, a := upstream("a", [Delta("x"), END], relays=())) as g:
        answer = await g.post(PATH, **({"max_tokens": 100} | fields))
        assert answer.status == 200, answer.body
        request = a.asked[0]
        assert isinstance(request, ChatRequest)
        return request


async def refused(path: str = PATH, **fields: Any) -> Answer:
    """The reply to a request that nobody is asked."""
    async with gateway(ONE, a := upstream("a", [Delta("x"), END], relays=())) as g:
        answer = await g.post(path, **({"max_tokens": 100} | fields))
        assert not a.asked
        return answer


def user(*blocks: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": list(blocks)}]


async def test_a_plain_request() -> None:
    request = await sent(
        system="Be brief.",
        temperature=0.5,
        top_p=0.9,
        top_k=40,
        metadata={"user_id": "u-1"},
        service_tier="auto",
    )
    assert request.messages == (Message("system", "Be brief."), Message("user", "hi"))
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k) == (0.5, 0.9, 40)
    assert (request.max_tokens, request.user) == (100, "u-1")
    assert (request.tools, request.reasoning) == (Tools(), Reasoning())


async def test_a_system_prompt_in_blocks_keeps_its_cache_breakpoints() -> None:
    request = await sent(
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1; cch=4f2a;"},
            {"type": "text", "text": "one", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "two", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        ]
    )
    assert request.messages[0] == Message("system", (Text("one", "5m"), Text("two", "1h")))


async def test_messages_may_repeat_a_role_and_end_with_the_assistants_own_words() -> None:
    """The last one is a prefill: the reply goes on from it."""
    said = [
        {"role": "user", "content": "one"},
        {"role": "user", "content": "two"},
        {"role": "system", "content": "Now in French."},
        {"role": "assistant", "content": [{"type": "text", "text": "The answer is"}]},
    ]
    request = await sent(messages=said)
    assert request.messages == (
        Message("user", "one"),
        Message("user", "two"),
        Message("system", "Now in French."),
        Message("assistant", (Text("The answer is"),)),
    )


CALLED: dict[str, Any] = {
    "role": "assistant",
    "content": [{"type": "tool_use", "id": "t", "name": "weather", "input": {}}],
}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "sunny"}


async def test_a_turns_results_may_come_in_several_messages_and_its_calls_too() -> None:
    """Messages of one role that follow each other are one turn (API reference, "messages")."""
    second = {"type": "tool_use", "id": "u", "name": "weather", "input": {}}
    more = {"role": "assistant", "content": [second]}
    request = await sent(
        messages=[
            CALLED,
            more,
            *user(RESULT | {"tool_use_id": "u"}),
            *user(RESULT),
            *user({"type": "text", "text": "?"}),
        ],
        tools=[WEATHER],
    )
    assert [message.role for message in request.messages] == ["assistant", "assistant", "tool", "tool", "user"]


async def test_a_last_turn_that_calls_a_tool_has_no_result_yet() -> None:
    assert (await sent(messages=[{"role": "user", "content": "hi"}, CALLED], tools=[WEATHER])).messages


async def test_a_tool_loop_goes_over_with_its_results_right_behind_the_calls() -> None:
    said = [
        {"role": "user", "content": "Weather?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
                {"type": "redacted_thinking", "data": "Zm9v"},
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"città": "Roma", "n": 1e30}},
                {"type": "tool_use", "id": "toolu_2", "name": "clock", "input": {}},
                {"type": "tool_use", "id": "toolu_3", "name": "clock", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Well?"},
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "is_error": True,
                    "cache_control": {"type": "ephemeral"},
                    "content": [
                        {"type": "text", "text": "broken"},
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
                    ],
                },
                {"type": "tool_result", "tool_use_id": "toolu_3"},
            ],
        },
    ]
    request = await sent(messages=said, tools=[WEATHER])
    _, assistant, results, more = request.messages
    calls = assistant.parts[3:]
    assert assistant.parts[:3] == (Thinking("Hm.", "EqQB"), Thinking(redacted="Zm9v"), Text("Let me see."))
    assert all(isinstance(call, ToolCall) for call in calls)
    assert [(c.id, c.name) for c in calls if isinstance(c, ToolCall)] == [
        ("toolu_1", "weather"),
        ("toolu_2", "clock"),
        ("toolu_3", "clock"),
    ]
    assert isinstance(calls[0], ToolCall)
    assert json.loads(calls[0].arguments) == {"città": "Roma", "n": 1e30}
    assert results == Message(
        "tool",
        (
            ToolResult("toolu_1", (Text("sunny"),)),
            ToolResult("toolu_2", (Text("broken"), Image(data="iVBO")), is_error=True, cache_ttl="5m"),
            ToolResult("toolu_3", ()),
        ),
    )
    assert more == Message("user", (Text("Well?"),))


async def test_images_and_documents() -> None:
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}
    request = await sent(
        messages=user(
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "/9j/"}},
            {"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}},
            {"type": "document", "source": pdf, "title": "Paper", "cache_control": {"type": "ephemeral"}},
            {"type": "document", "source": {"type": "url", "url": "https://x.test/a.pdf"}},
            {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Once."},
                "title": "Tale",
                "context": "Old.",
            },
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "piece"}]}},
            {"type": "document", "source": {"type": "content", "content": "whole"}},
            {
                "type": "search_result",
                "source": "https://x.test",
                "title": "Found",
                "content": [{"type": "text", "text": "it"}],
            },
        )
    )
    assert request.messages[0].parts == (
        Image(data="/9j/", media_type="image/jpeg"),
        Image(url="https://x.test/a.png"),
        File(data="JVBE", name="Paper", cache_ttl="5m"),
        File(url="https://x.test/a.pdf"),
        File(file_id="file_1"),
        Text("Tale\n\nOld.\n\nOnce."),
        Text("piece"),
        Text("whole"),
        Text("Found\nhttps://x.test\nit"),
    )


async def test_tools_keep_their_schema_to_the_letter() -> None:
    request = await sent(
        tools=[WEATHER | {"strict": True, "cache_control": {"type": "ephemeral"}, "type": "custom"}],
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    )
    (tool,) = request.tools.tools
    assert json.loads(tool.parameters) == SCHEMA
    assert "città" in tool.parameters or "citt\\u00e0" in tool.parameters
    assert tool == Tool("weather", "Tells the weather.", tool.parameters, strict=True, cache_ttl="5m")
    assert (request.tools.choice, request.tools.parallel) == (NamedTool("weather"), False)


@pytest.mark.parametrize(("given", "meant"), [("auto", "auto"), ("any", "required"), ("none", "none")])
async def test_tool_choice(given: str, meant: str) -> None:
    request = await sent(tools=[WEATHER], tool_choice={"type": given})
    assert (request.tools.choice, request.tools.parallel) == (meant, None)


async def test_deferred_tools_are_offered_once_the_conversation_has_fetched_them() -> None:
    tools = [WEATHER | {"name": name, "defer_loading": True} for name in ("found", "added", "left")]
    said = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "search", "input": {}}]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "t1",
                    "content": [{"type": "tool_reference", "tool_name": "found"}],
                },
                {"type": "tool_addition", "tool": {"type": "tool_reference", "name": "added"}},
                {
                    "type": "tool_addition",
                    "tool": {"type": "tool_definition", "definition": WEATHER | {"name": "inline"}},
                },
                {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "gone"}},
            ],
        },
    ]
    request = await sent(messages=said, tools=[WEATHER | {"name": "search"}, WEATHER | {"name": "gone"}, *tools])
    assert [tool.name for tool in request.tools.tools] == ["search", "found", "added", "inline"]


@pytest.mark.parametrize(
    ("fields", "meant"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, Reasoning(budget_tokens=2048, include=True)),
        ({"thinking": {"type": "adaptive"}}, Reasoning(include=True)),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, Reasoning()),
        ({"thinking": {"type": "between_tools"}}, Reasoning(include=True)),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, Reasoning("none")),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Reasoning("xhigh", include=True)),
        ({"output_config": {"effort": "low"}}, Reasoning("low")),
    ],
)
async def test_thinking_is_asked_for_but_not_insisted_on(fields: dict[str, Any], meant: Reasoning) -> None:
    """Claude Code asks every model to think, so that one that cannot must be able to answer all the same."""
    found = (await sent(**fields)).reasoning
    assert found.optional
    assert (found.effort, found.budget_tokens, found.include) == (meant.effort, meant.budget_tokens, meant.include)


@pytest.mark.parametrize("place", ["output_config", "output_format"])
async def test_a_schema_for_the_reply(place: str) -> None:
    wanted = {"type": "json_schema", "schema": SCHEMA}
    request = await sent(**{place: {"format": wanted} if place == "output_config" else wanted})
    assert request.sampling.json_schema is not None
    assert json.loads(request.sampling.json_schema) == SCHEMA


async def test_a_long_user_id_is_hashed() -> None:
    """OpenAI takes 64 characters; Claude Code sends JSON of more."""
    long = json.dumps({"device_id": "d" * 64, "session_id": "s"})
    assert (await sent(metadata={"user_id": long})).user == hashlib.sha256(long.encode()).hexdigest()


async def test_a_limit_above_what_the_model_can_give_is_lowered_to_it() -> None:
    """Claude Code asks for 32,000 tokens or more, whatever the model."""
    info = ModelInfo("", "a", frozenset(("chat",)), max_output_tokens=4096, remote=True)
    async with gateway(ONE, a := upstream("a", [Delta("x"), END], info=info)) as g:
        for asked in (128_000, 100):
            assert (await g.post(PATH, max_tokens=asked)).status == 200
    assert [request.max_tokens for request in a.asked if isinstance(request, ChatRequest)] == [4096, 100]


async def test_what_is_newer_than_ghostd_is_ignored() -> None:
    request = await sent(
        context_management={"edits": [{"type": "clear_thinking_20991231", "keep": "all"}]},
        container=None,
        fallbacks="default",
        diagnostics={"previous_message_id": "msg_1"},
        hologram={"depth": [1, 2, 3]},
        cache_control={"type": "ephemeral"},
        messages=user({"type": "text", "text": "hi", "citations": None, "hue": 7}),
        tools=[WEATHER | {"eager_input_streaming": True, "allowed_callers": ["direct"], "input_examples": [{}]}],
    )
    assert request.messages == (Message("user", (Text("hi"),)),)


@pytest.mark.parametrize("thread", [{"type": "create"}, {"type": "continue", "previous_message_id": "msg_1"}])
async def test_a_thread_is_refused_by_a_code_upon_which_clients_send_the_whole_conversation(thread: Any) -> None:
    """Its messages would be the last ones only."""
    answer = await refused(thread=thread)
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json["error"]["details"] == {"error_code": "thread_unsupported_request"}


# --- what comes back from ghostd's own replies ---------------------------------------------------


async def test_thoughts_and_ids_of_another_provider_come_back_as_it_gave_them() -> None:
    """Claude Code sends thinking blocks back as they came, and ids in the form that the API allows."""
    script = [
        Delta(reasoning="I think."),
        Delta(tool_calls=(ToolCallDelta(0, "{}", "functions.weather:0", "weather", "c2ln"),)),
        Delta(finish_reason="tool_calls", usage=USAGE),
    ]
    for display in ("summarized", "omitted"):
        async with gateway(ONE, a := upstream("a", script, [Delta("x"), END], relays=())) as g:
            asked = {"max_tokens": 10, "thinking": {"type": "adaptive", "display": display}}
            content = (await g.post(PATH, **asked)).json["content"]
            assert [block["type"] for block in content] == ["thinking", "tool_use"]
            assert content[0]["thinking"] == ("I think." if display == "summarized" else "")
            assert content[0]["signature"]
            assert content[1]["id"].replace("_", "").replace("-", "").isalnum()
            result = {"type": "tool_result", "tool_use_id": content[1]["id"], "content": "sunny"}
            more = [{"role": "assistant", "content": content}, *user(result)]
            assert (await g.post(PATH, messages=[*HI, *more], **asked)).status == 200
            request = a.asked[1]
            assert isinstance(request, ChatRequest)
            assert request.messages[1:] == (
                Message(
                    "assistant",
                    (Thinking("I think."), ToolCall("functions.weather:0", "weather", "{}", "c2ln")),
                ),
                Message("tool", (ToolResult("functions.weather:0", (Text("sunny"),)),)),
            )


@pytest.mark.parametrize("spoilt", ["ghostd.", "ghostd.e30x", "ghostd.%%%", "ghostd.W10"])
async def test_a_spoilt_signature_of_ours_only_loses_what_it_carried(spoilt: str) -> None:
    block = {"type": "thinking", "thinking": "I think.", "signature": spoilt}
    request = await sent(messages=[*HI, {"role": "assistant", "content": [block]}, *HI])
    assert request.messages[1] == Message("assistant", (Thinking("I think."),))


# --- bad input -----------------------------------------------------------------------------------

DOCUMENT = "messages[0].content[0].source"
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"max_tokens": -1}, "max_tokens"),
    ({"max_tokens": 1.5}, "max_tokens"),
    ({"max_tokens": "9"}, "max_tokens"),
    ({"max_tokens": 10**40}, "max_tokens"),
    ({"model": None}, "model"),
    ({"model": 5}, "model"),
    ({"model": ["r"]}, "model"),
    ({"messages": None}, "messages"),
    ({"messages": []}, "messages"),
    ({"messages": "hi"}, "messages"),
    ({"messages": {"role": "user"}}, "messages"),
    ({"messages": ["hi"]}, "messages[0]"),
    ({"messages": [{"content": "hi"}]}, "messages[0].role"),
    ({"messages": [{"role": "user"}]}, "messages[0].content"),
    ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
    ({"messages": [{"role": 1, "content": "x"}]}, "messages[0].role"),
    ({"messages": user({"text": "hi"})}, "messages[0].content[0].type"),
    ({"messages": user({"type": "text"})}, "messages[0].content[0].text"),
    ({"messages": user({"type": "text", "text": 3})}, "messages[0].content[0].text"),
    ({"messages": user({"type": "hologram"})}, "messages[0].content[0].type"),
    ({"messages": user({"type": "image"})}, DOCUMENT),
    ({"messages": user({"type": "image", "source": {"type": "base64", "data": "x"}})}, f"{DOCUMENT}.media_type"),
    (
        {"messages": user({"type": "image", "source": {"type": "base64", "media_type": "image/bmp", "data": "x"}})},
        f"{DOCUMENT}.media_type",
    ),
    (
        {"messages": user({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}})},
        f"{DOCUMENT}.data",
    ),
    ({"messages": user({"type": "image", "source": {"type": "url", "url": "file:///etc/passwd"}})}, f"{DOCUMENT}.url"),
    ({"messages": user({"type": "image", "source": {"type": "smell"}})}, f"{DOCUMENT}.type"),
    ({"messages": user({"type": "document", "source": "x"})}, DOCUMENT),
    (
        {"messages": user({"type": "document", "source": {"type": "base64", "media_type": "a/b", "data": "x"}})},
        f"{DOCUMENT}.media_type",
    ),
    ({"messages": user({"type": "document", "source": {"type": "text"}})}, f"{DOCUMENT}.data"),
    ({"messages": user({"type": "tool_result", "content": "x"})}, "messages[0].content[0].tool_use_id"),
    (
        {"messages": user({"type": "tool_result", "tool_use_id": "t", "content": [{"type": "thinking"}]})},
        "messages[0].content[0].content[0].type",
    ),
    (
        {"messages": user({"type": "tool_result", "tool_use_id": "t", "content": "x"})},
        "messages[0].content[0].tool_use_id",
    ),
    (
        {"messages": [CALLED, {"role": "user", "content": [RESULT, RESULT]}]},
        "messages[1].content[1].tool_use_id",
    ),
    (
        {"messages": [CALLED, *user(RESULT), {"role": "assistant", "content": "ok"}, *user(RESULT)]},
        "messages[3].content[0].tool_use_id",
    ),
    ({"messages": [CALLED, {"role": "user", "content": "go on"}]}, "messages[0].content[0]"),
    (
        {"messages": [CALLED, {"role": "user", "content": "go on"}, {"role": "assistant", "content": "ok"}]},
        "messages[0].content[0]",
    ),
    ({"messages": user({"type": "tool_use", "id": "t", "name": "x", "input": {}})}, "messages[0].content[0].type"),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "x", "input": [1]}]}]},
        "messages[0].content[0].input",
    ),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "tool_use", "name": "x", "input": {}}]}]},
        "messages[0].content[0].id",
    ),
    ({"messages": [{"role": "assistant", "content": [{"type": "image"}]}]}, "messages[0].content[0].type"),
    (
        {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use", "id": "s", "name": "web"}]}]},
        "messages[0].content[0].type",
    ),
    ({"messages": [{"role": "assistant", "content": [{"type": "redacted_thinking"}]}]}, "messages[0].content[0].data"),
    (
        {"messages": user({"type": "text", "text": "x", "cache_control": {"type": "eternal"}})},
        "messages[0].content[0].cache_control",
    ),
    (
        {"messages": user({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "9d"}})},
        "messages[0].content[0].cache_control",
    ),
    (
        {"messages": user({"type": "tool_addition", "tool": {"type": "mcp_tool_reference", "name": "x"}})},
        "messages[0].content[0].tool.type",
    ),
    ({"system": 5}, "system"),
    ({"system": [{"type": "image"}]}, "system[0].type"),
    ({"system": [{"type": "text"}]}, "system[0].text"),
    ({"stream": "yes"}, "stream"),
    ({"temperature": 1.5}, "temperature"),
    ({"temperature": -0.1}, "temperature"),
    ({"temperature": "warm"}, "temperature"),
    ({"top_p": 1.1}, "top_p"),
    ({"top_k": -1}, "top_k"),
    ({"top_k": 0.5}, "top_k"),
    ({"stop_sequences": "END"}, "stop_sequences"),
    ({"stop_sequences": [1]}, "stop_sequences[0]"),
    ({"tools": "weather"}, "tools"),
    ({"tools": [{"description": "x", "input_schema": SCHEMA}]}, "tools[0].name"),
    ({"tools": [{"name": "x"}]}, "tools[0].input_schema"),
    ({"tools": [{"name": "x", "input_schema": "object"}]}, "tools[0].input_schema"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
    ({"tools": [WEATHER], "tool_choice": "auto"}, "tool_choice"),
    ({"tools": [WEATHER], "tool_choice": {"type": "perhaps"}}, "tool_choice.type"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
    ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "clock"}}, "tool_choice.name"),
    ({"tool_choice": {"type": "any"}}, "tool_choice"),
    ({"thinking": "yes"}, "thinking"),
    ({"thinking": {"type": "deeply"}}, "thinking.type"),
    ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.budget_tokens"),
    ({"thinking": {"type": "enabled", "budget_tokens": "many"}}, "thinking.budget_tokens"),
    ({"output_config": {"effort": "heroic"}}, "output_config.effort"),
    ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
    ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
    ({"output_format": {"type": "json_schema", "schema": 1}}, "output_format.schema"),
    ({"metadata": "me"}, "metadata"),
    ({"metadata": {"user_id": 5}}, "metadata.user_id"),
    ({"service_tier": "gold"}, "service_tier"),
    ({"speed": "warp"}, "speed"),
    ({"mcp_servers": [{"type": "url", "url": "https://x.test", "name": "x"}]}, "mcp_servers"),
    ({"compaction": {"type": "summarize"}}, "compaction"),
    ({"thread": "create"}, "thread"),
    ({"api_base": "https://evil.test"}, "api_base"),
]


@pytest.mark.parametrize(("fields", "param"), WRONG, ids=[json.dumps(fields)[:70] for fields, _ in WRONG])
async def test_a_wrong_parameter_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    answer = await refused(**fields)
    assert answer.status == 400, answer.body
    body = answer.json
    assert set(body) == {"type", "error", "request_id"}
    assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    assert set(body["error"]) == {"type", "message"}
    assert param in body["error"]["message"], body
    assert body["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]


async def test_counting_refuses_the_same_but_needs_no_limit() -> None:
    async with gateway(ONE, upstream("a", [END], relays=())) as g:
        path = "/v1/messages/count_tokens"
        assert (await g.post(path, max_tokens=None)).status == 200
        g.world.calls -= 1  # what ghostd counts itself is asked of no model
        for fields, param in WRONG:
            if fields != {"max_tokens": None}:
                answer = await g.post(path, **fields)
                assert (answer.status, param in answer.body.decode()) == (400, True), (fields, answer.body)
        g.world.calls = len(g.world.ledger.rows)
