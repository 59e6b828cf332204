"""What Anthropic answers, as its API reference has it, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from providers.anthropic_dialect import MODEL, AnthropicDialect, written

from ghostd.config.providers import ModelConfig, ProviderConfig
from ghostd.conversation import Message, Thinking, ToolCall, ToolCallDelta
from ghostd.errors import (
    KeyRefused,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamRejected,
)
from ghostd.ports import UpstreamProvider
from ghostd.providers.keys import Key
from ghostd.testing.scripted_upstream import ScriptedUpstream, json_answer, scripted_upstream, sse_answer
from ghostd.testing.upstream_case import broken_chat, broken_relay, chatted, relayed
from ghostd.testing.upstream_dialect import opened
from ghostd.types import ChatRequest, Delta, RelayRequest, Usage

_DIALECT = AnthropicDialect()
_REQUEST = ChatRequest(MODEL, (Message("user", "hi"),))
_START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 20,
            "cache_read_input_tokens": 1000,
            "cache_creation_input_tokens": 300,
            "output_tokens": 1,
        },
    },
}
_STOP: dict[str, Any] = {"type": "message_stop"}


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream(_DIALECT.serve) as server:
        yield server


@pytest.fixture
async def provider(upstream: ScriptedUpstream) -> AsyncIterator[UpstreamProvider]:
    async with opened(_DIALECT, upstream) as made:
        yield made


def _open(index: int, **block: object) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _piece(index: int, kind: str, **delta: object) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **delta}}


def _close(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def _end(reason: str | None, **more: object) -> dict[str, Any]:
    delta = {"stop_reason": reason, "stop_sequence": None, **more}
    return {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 30}}


def _text(index: int = 0, text: str = "Hello") -> list[dict[str, Any]]:
    return [_open(index, type="text", text=""), _piece(index, "text_delta", text=text), _close(index)]


# --- streams ------------------------------------------------------------------------


async def test_a_tool_loops_thoughts_and_calls_come_with_what_must_go_back(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Extended thinking with tools: signatures, encrypted thoughts, parallel calls, one of them without arguments."""
    upstream.play(
        sse_answer(
            [
                _START,
                {"type": "ping"},
                _open(0, type="thinking", thinking="", signature=""),
                _piece(0, "thinking_delta", thinking="Both "),
                _piece(0, "thinking_delta", thinking="cities."),
                _piece(0, "signature_delta", signature="EqQ"),
                _piece(0, "signature_delta", signature="BCg=="),
                _close(0),
                _open(1, type="redacted_thinking", data="Emw="),
                _close(1),
                *_text(2, "Looking."),
                _open(3, type="tool_use", id="toolu_1", name="weather", input={}, caller={"type": "direct"}),
                _piece(3, "input_json_delta", partial_json=""),
                _piece(3, "input_json_delta", partial_json='{"city": "O'),
                _piece(3, "input_json_delta", partial_json='slo"}'),
                _close(3),
                _open(4, type="tool_use", id="toolu_2", name="clock", input={}),
                _piece(4, "input_json_delta", partial_json=""),
                _close(4),
                {"type": "an_event_of_the_future", "index": 7},
                _end("tool_use"),
                _STOP,
            ],
            named=True,
        )
    )
    assert await chatted(provider, _REQUEST) == [
        Delta(reasoning="Both "),
        Delta(reasoning="cities."),
        Delta(reasoning_signature="EqQBCg=="),
        Delta(redacted_reasoning="Emw="),
        Delta("Looking."),
        Delta(tool_calls=(ToolCallDelta(0, "", "toolu_1", "weather"),)),
        Delta(tool_calls=(ToolCallDelta(0, '{"city": "O'),)),
        Delta(tool_calls=(ToolCallDelta(0, 'slo"}'),)),
        Delta(tool_calls=(ToolCallDelta(1, "", "toolu_2", "clock"),)),
        Delta(tool_calls=(ToolCallDelta(1, "{}"),)),
        Delta(finish_reason="tool_calls", usage=Usage(1320, 30, 1000, 300)),
    ]


async def test_a_reply_goes_back_as_it_came(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """Thoughts with their proof, and calls: what the next turn of a tool loop sends is what the model said."""
    blocks: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig=="},
        {"type": "redacted_thinking", "data": "Emw="},
        {"type": "text", "text": "Looking."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"n": 1.50, "big": 12345678901234567890}},
    ]
    events: list[dict[str, Any]] = [_START]
    for index, block in enumerate(blocks):
        events += [_open(index, **block), _close(index)]
    upstream.play(sse_answer([*events, _end("tool_use"), _STOP], named=True))
    deltas = await chatted(provider, _REQUEST)
    (call_opening, call_arguments) = [piece for delta in deltas for piece in delta.tool_calls]
    said = Message(
        "assistant",
        (
            Thinking(deltas[0].reasoning, deltas[1].reasoning_signature),
            Thinking(redacted=deltas[2].redacted_reasoning),
            *Message("assistant", deltas[3].text).parts,
            ToolCall(call_opening.id or "", call_opening.name or "", call_arguments.arguments),
        ),
    )
    await chatted(provider, ChatRequest(MODEL, (Message("user", "hi"), said)))
    assert upstream.requests[-1].json["messages"][1] == {"role": "assistant", "content": blocks}


async def test_thoughts_that_are_not_shown_keep_their_proof(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """`display: omitted`: a thinking block with a signature and no text."""
    events = [
        _open(0, type="thinking", thinking="", signature=""),
        _piece(0, "signature_delta", signature="sig"),
        _close(0),
    ]
    upstream.play(sse_answer([_START, *events, *_text(1), _end("end_turn"), _STOP]))
    assert (await chatted(provider, _REQUEST))[:2] == [Delta(reasoning_signature="sig"), Delta("Hello")]


async def test_blocks_of_the_services_own_tools_are_not_calls_of_the_callers(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Server tools: the caller cannot answer `server_tool_use`."""
    events = [
        _open(0, type="server_tool_use", id="srvtoolu_1", name="web_search", input={}),
        _piece(0, "input_json_delta", partial_json='{"query":"x"}'),
        _close(0),
        _open(1, type="web_search_tool_result", tool_use_id="srvtoolu_1", content=[]),
        _close(1),
        *_text(2),
    ]
    upstream.play(sse_answer([_START, *events, _end("end_turn"), _STOP]))
    assert [delta.text for delta in await chatted(provider, _REQUEST)] == ["Hello", ""]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("a_reason_of_the_future", "stop"),
    ],
)
async def test_every_reason_to_stop_has_a_meaning(
    upstream: ScriptedUpstream, provider: UpstreamProvider, reason: str, finish: str
) -> None:
    """Messages API: `stop_reason`."""
    upstream.play(sse_answer([_START, *_text(), _end(reason), _STOP]))
    assert (await chatted(provider, _REQUEST))[-1].finish_reason == finish


async def test_a_refusal_says_why(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """`stop_details.explanation`"""
    details = {"type": "refusal", "category": "bio", "explanation": "This could do harm."}
    upstream.play(sse_answer([_START, _end("refusal", stop_details=details), _STOP]))
    assert await chatted(provider, _REQUEST) == [
        Delta(refusal="This could do harm."),
        Delta(finish_reason="content_filter", usage=Usage(1320, 30, 1000, 300)),
    ]


@pytest.mark.parametrize(
    "events",
    [
        [*_text(), _end("end_turn"), _STOP],
        [_START, _START, *_text(), _end("end_turn"), _STOP],
        [_START, *_text(1), _end("end_turn"), _STOP],
        [_START, _piece(0, "text_delta", text="x"), _end("end_turn"), _STOP],
        [_START, _open(0, type="text", text=""), _open(1, type="text", text=""), _STOP],
        [_START, _open(0, type="text", text=""), _piece(1, "text_delta", text="x"), _STOP],
        [_START, _open(0, type="text", text=""), _piece(0, "input_json_delta", partial_json="{"), _STOP],
        [_START, _open(0, type="tool_use", id="", name="f", input={}), _STOP],
        [_START, _open(0, type="text", text=""), {"type": "content_block_delta", "index": 0, "delta": 5}, _STOP],
        [_START, _close(0), _STOP],
        [_START, _open(0, type="text", text=""), _end("end_turn"), _STOP],
        [_START, _STOP],
        [_START, _end(None), _STOP],
        [{**_START, "message": {"role": "user", "content": []}}, _end("end_turn"), _STOP],
    ],
)
async def test_a_stream_out_of_order_says_nothing(
    upstream: ScriptedUpstream, provider: UpstreamProvider, events: Sequence[dict[str, Any]]
) -> None:
    """Streaming guide: message_start, blocks one after the other by index, message_delta, message_stop."""
    compact = sse_answer([written(event) for event in events])
    upstream.play(sse_answer(events), sse_answer(events), compact)
    deltas, error = await broken_chat(provider, _REQUEST)
    assert isinstance(error, UpstreamMalformed)
    assert [delta for delta in deltas if delta.text or delta.finish_reason] == []
    for _ in range(2):
        pieces, error = await broken_relay(provider, _relay(stream=True))
        assert isinstance(error, UpstreamMalformed)
        assert not any(piece.last for piece in pieces)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("overloaded_error", UpstreamFailed),
        ("api_error", UpstreamFailed),
        ("invalid_request_error", UpstreamFailed),
        ("rate_limit_error", RateLimited),
        ("authentication_error", KeyRefused),
    ],
)
async def test_an_error_in_a_stream_is_told_by_its_type(
    upstream: ScriptedUpstream, provider: UpstreamProvider, kind: str, expected: type[UpstreamError]
) -> None:
    """Errors page: an error may come after a 200; another deployment may help."""
    event = {"type": "error", "error": {"type": kind, "message": "Overloaded"}}
    upstream.play(sse_answer([_START, *_text(), event], named=True))
    deltas, error = await broken_chat(provider, _REQUEST)
    assert [delta.text for delta in deltas] == ["Hello"]
    assert isinstance(error, expected) and error.retryable and "Overloaded" in str(error)


# --- refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (529, {"type": "overloaded_error", "message": "Overloaded"}, UpstreamFailed),
        (402, {"type": "billing_error", "message": "Pay."}, QuotaExhausted),
        (
            400,
            {"type": "invalid_request_error", "message": "Your credit balance is too low to access the Anthropic API."},
            QuotaExhausted,
        ),
        (
            400,
            {
                "type": "invalid_request_error",
                "message": "Limit.",
                "details": {"error_code": "enforced_spend_limit_reached"},
            },
            QuotaExhausted,
        ),
        (413, {"type": "request_too_large", "message": "Request exceeds the maximum size"}, UpstreamRejected),
    ],
)
async def test_a_refusal_is_told_by_status_and_type(
    upstream: ScriptedUpstream, status: int, error: dict[str, object], expected: type[UpstreamError]
) -> None:
    """Errors page; credit and spend limits come as a 400."""
    async with opened(_DIALECT, upstream, keys=("env:FIRST",)) as provider:
        upstream.play(json_answer({"type": "error", "error": error}, status))
        with pytest.raises(expected):
            await chatted(provider, _REQUEST)


async def test_a_prompt_and_limit_too_long_together_are_told_as_such(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Models before Claude 4.5 refuse what does not fit into their context together."""
    message = "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length"
    upstream.play(json_answer({"type": "error", "error": {"type": "invalid_request_error", "message": message}}, 400))
    with pytest.raises(UpstreamRejected) as caught:
        await chatted(provider, _REQUEST)
    assert caught.value.reason == "context"


# --- relays ---------------------------------------------------------------------------


def _relay(*, stream: bool, operation: str = "anthropic.messages", **headers: str) -> RelayRequest:
    body = {"model": "public", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10, "stream": stream}
    fields = {name: json.dumps(value).encode() for name, value in body.items()}
    return RelayRequest(
        operation,
        MODEL,
        json.dumps(body).encode(),
        fields,
        stream,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


async def test_a_relayed_stream_is_held_until_the_model_speaks(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """So that an error right after `message_start` can still be mended elsewhere."""
    event = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    upstream.play(sse_answer([_START, {"type": "ping"}, _open(0, type="text", text=""), event], named=True))
    pieces, error = await broken_relay(provider, _relay(stream=True))
    assert pieces == [] and isinstance(error, UpstreamFailed)


async def test_a_relay_keeps_the_dialects_headers(upstream: ScriptedUpstream) -> None:
    """Betas of the client and of the configuration add up; the version is the client's own."""
    settings = ProviderConfig(headers={"anthropic-beta": "configured-1"})
    async with opened(_DIALECT, upstream, settings) as provider:
        await relayed(
            provider, _relay(stream=True, anthropic_beta="new-thing-1,configured-1", anthropic_version="2026-10-21")
        )
    (seen,) = upstream.requests
    assert seen.headers["anthropic-beta"] == "configured-1,new-thing-1"
    assert seen.headers["anthropic-version"] == "2026-10-21"
    assert seen.target == "/base/v1/messages?beta=true"


async def test_a_relay_gives_back_what_clients_look_at(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """Request id and rate limits."""
    told = {"request-id": "req_9", "anthropic-ratelimit-requests-remaining": "49", "server": "cloudflare"}
    message = {**_START["message"], "stop_reason": "end_turn"}
    upstream.play(json_answer(message, headers=told))
    (piece,) = await relayed(provider, _relay(stream=False))
    assert piece.headers == {"request-id": "req_9", "anthropic-ratelimit-requests-remaining": "49"}
    assert (piece.usage, piece.finish_reason) == (Usage(1320, 1, 1000, 300), "end_turn")


async def test_counting_tokens_is_relayed(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """`POST /v1/messages/count_tokens`"""
    upstream.play(json_answer({"input_tokens": 14}))
    (piece,) = await relayed(provider, _relay(stream=False, operation="anthropic.count_tokens"))
    assert (json.loads(piece.data), piece.last, piece.usage) == ({"input_tokens": 14}, True, None)
    (seen,) = upstream.requests
    assert (seen.path, seen.json["model"]) == ("/base/v1/messages/count_tokens", MODEL)


@pytest.mark.parametrize("body", [{"input_tokens": "many"}, {}, []])
async def test_a_count_that_is_none_is_malformed(
    upstream: ScriptedUpstream, provider: UpstreamProvider, body: object
) -> None:
    """A proxy's own page, say."""
    upstream.play(json_answer(body))
    _, error = await broken_relay(provider, _relay(stream=False, operation="anthropic.count_tokens"))
    assert isinstance(error, UpstreamMalformed)


async def test_a_message_that_has_not_stopped_is_not_relayed_as_whole(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """`stop_reason` is null in `message_start` only."""
    upstream.play(json_answer(_START["message"]))
    pieces, error = await broken_relay(provider, _relay(stream=False))
    assert pieces == [] and isinstance(error, UpstreamMalformed)


# --- keys and models -----------------------------------------------------------------


async def test_a_subscriptions_token_goes_as_a_bearer_token() -> None:
    """OAuth tokens are refused in `x-api-key`."""
    from ghostd.providers.anthropic.provider import authorization

    assert authorization(Key("env:X", "sk-ant-oat01-abc")) == {"authorization": "Bearer sk-ant-oat01-abc"}
    assert authorization(Key("env:X", "sk-ant-api03-abc")) == {"x-api-key": "sk-ant-api03-abc"}


_LISTED = {
    "type": "model",
    "id": "claude-new-9",
    "display_name": "Claude New 9",
    "created_at": "2026-10-07T00:00:00Z",
    "lifecycle": "active",
    "max_input_tokens": 400_000,
    "max_tokens": 50_000,
    "capabilities": {
        "image_input": {"supported": True},
        "pdf_input": {"supported": False},
        "structured_outputs": {"supported": True},
        "thinking": {
            "supported": True,
            "types": {
                "adaptive": {"supported": False},
                "enabled": {"supported": True},
                "disabled": {"supported": True},
                "between_tools": {"supported": False},
            },
        },
        "effort": {
            "supported": False,
            "low": {"supported": False},
            "medium": {"supported": False},
            "high": {"supported": False},
            "max": {"supported": False},
            "xhigh": None,
        },
    },
}


async def test_what_the_service_says_of_its_models_is_used(upstream: ScriptedUpstream) -> None:
    """Models API: limits and capabilities; a retired model is not offered."""
    from ghostd.conversation import Reasoning

    async with opened(_DIALECT, upstream, ProviderConfig()) as provider:
        assert (list(provider.models()), provider.open_ended) == ([], True)
        upstream.play(json_answer({"data": [_LISTED, {**_LISTED, "id": "claude-old", "lifecycle": "retired"}]}))
        await provider.check(5)
        (info,) = provider.models()
        await chatted(provider, ChatRequest("claude-new-9", (Message("user", "hi"),), reasoning=Reasoning("low")))
    assert (info.id, info.context_tokens, info.max_output_tokens) == ("claude-new-9", 400_000, 50_000)
    assert info.created == 1_791_331_200
    assert info.features == frozenset(("tools", "vision", "json", "reasoning"))
    assert info.remote and info.capabilities == frozenset(("chat",))
    body = upstream.requests[-1].json
    assert (body["thinking"], body["max_tokens"]) == ({"type": "enabled", "budget_tokens": 2048}, 32_000)
    assert "output_config" not in body


async def test_a_configured_limit_of_the_reply_is_kept(upstream: ScriptedUpstream) -> None:
    """For a service that speaks the dialect and has other models."""
    settings = ProviderConfig(model={"kimi-k2": ModelConfig(max_output_tokens=8000)})
    async with opened(_DIALECT, upstream, settings) as provider:
        await chatted(provider, ChatRequest("kimi-k2", (Message("user", "hi"),)))
    assert upstream.requests[-1].json["max_tokens"] == 8000


async def test_a_list_that_is_none_fails_the_check(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """A 200 alone is no sign of health."""
    upstream.play(json_answer({"object": "list"}))
    with pytest.raises(UpstreamMalformed, match="acme"):
        await provider.check(5)
