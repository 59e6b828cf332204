"""What Gemini answers, as its API reference has it, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from providers.gemini_dialect import MODEL, GeminiDialect

from ghostd.config.providers import ProviderConfig
from ghostd.conversation import Message, ToolCall, ToolCallDelta
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
from ghostd.testing.scripted_upstream import ScriptedUpstream, json_answer, scripted_upstream, sse_answer
from ghostd.testing.upstream_case import broken_chat, broken_relay, chatted, relayed
from ghostd.testing.upstream_dialect import opened
from ghostd.types import ChatRequest, Delta, EmbedRequest, RelayRequest, TokenLogprob, Usage

_DIALECT = GeminiDialect()
_REQUEST = ChatRequest(MODEL, (Message("user", "hi"),))
_USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "candidatesTokenCount": 10,
    "thoughtsTokenCount": 30,
    "toolUsePromptTokenCount": 5,
    "totalTokenCount": 145,
}
_COUNTED = Usage(105, 40, 60, 0, 30)


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream(_DIALECT.serve) as server:
        yield server


@pytest.fixture
async def provider(upstream: ScriptedUpstream) -> AsyncIterator[UpstreamProvider]:
    async with opened(_DIALECT, upstream) as made:
        yield made


def _chunk(*parts: dict[str, Any], reason: str | None = None, **more: Any) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0, **more}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "usageMetadata": _USAGE, "modelVersion": MODEL}


def _relay(*, stream: bool, **more: object) -> RelayRequest:
    body = {"contents": [{"parts": [{"text": "hi"}]}], **more}
    fields = {name: json.dumps(value).encode() for name, value in body.items()}
    return RelayRequest("gemini.generate", MODEL, json.dumps(body).encode(), fields, stream)


async def test_thoughts_text_and_parallel_calls_come_apart(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Only the first of parallel calls is signed; older models give no ids."""
    upstream.play(
        sse_answer(
            [
                _chunk({"text": "Hm.", "thought": True}),
                _chunk({"text": "Looking."}),
                _chunk(
                    {
                        "functionCall": {"id": "c1", "name": "weather", "args": {"city": "Oslo", "n": 1.50}},
                        "thoughtSignature": "c2ln",
                    },
                    {"functionCall": {"name": "clock"}},
                ),
                _chunk({"text": ""}, reason="STOP"),
            ]
        )
    )
    deltas = await chatted(provider, _REQUEST)
    made = deltas[3].tool_calls[0].id
    assert made and made != "c1"
    assert deltas == [
        Delta(reasoning="Hm."),
        Delta("Looking."),
        Delta(tool_calls=(ToolCallDelta(0, '{"city": "Oslo", "n": 1.5}', "c1", "weather", "c2ln"),)),
        Delta(tool_calls=(ToolCallDelta(1, "{}", made, "clock"),)),
        Delta(finish_reason="tool_calls", usage=_COUNTED),
    ]


async def test_a_call_goes_back_as_it_came(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """With its id and its signature."""
    part = {
        "functionCall": {"id": "c1", "name": "f", "args": {"big": 12345678901234567890}},
        "thoughtSignature": "c2ln",
    }
    upstream.play(sse_answer([_chunk(part, reason="STOP")]))
    (piece,) = (await chatted(provider, _REQUEST))[0].tool_calls
    said = Message("assistant", (ToolCall(piece.id or "", piece.name or "", piece.arguments, piece.signature),))
    await chatted(provider, ChatRequest(MODEL, (Message("user", "hi"), said)))
    assert upstream.requests[-1].json["contents"][1] == {"role": "model", "parts": [part]}


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("A_REASON_OF_THE_FUTURE", "stop"),
    ],
)
async def test_every_reason_to_stop_has_a_meaning(
    upstream: ScriptedUpstream, provider: UpstreamProvider, reason: str, finish: str
) -> None:
    """FinishReason"""
    upstream.play(sse_answer([_chunk({"text": "Hello"}), _chunk(reason=reason)]))
    assert await chatted(provider, _REQUEST) == [
        Delta("Hello"),
        Delta(finish_reason=finish, usage=_COUNTED),  # type: ignore[arg-type]
    ]


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL"])
async def test_a_call_that_the_model_has_spoilt_is_an_error(
    upstream: ScriptedUpstream, provider: UpstreamProvider, reason: str
) -> None:
    """There is no reply; another model may give one."""
    upstream.play(sse_answer([_chunk(reason=reason)]))
    deltas, error = await broken_chat(provider, _REQUEST)
    assert deltas == [] and isinstance(error, UpstreamMalformed) and reason in str(error)


async def test_a_refused_prompt_ends_with_content_filter(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """promptFeedback.blockReason: there are no candidates."""
    usage = {"promptTokenCount": 8}
    blocked = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "Not that."},
        "usageMetadata": usage,
    }
    upstream.play(sse_answer([blocked]), json_answer(blocked))
    assert await chatted(provider, _REQUEST) == [
        Delta(refusal="Not that."),
        Delta(finish_reason="content_filter", usage=Usage(8, 0)),
    ]
    (piece,) = await relayed(provider, _relay(stream=False))
    assert (piece.finish_reason, piece.usage) == ("PROHIBITED_CONTENT", Usage(8, 0))


async def test_a_reply_whose_words_are_missing_is_an_error(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """The model has generated tokens and none of them came; with stop sequences that may be in order."""
    empty = _chunk(reason="STOP")
    upstream.play(sse_answer([empty]), sse_answer([empty]), json_answer(empty), json_answer(empty))
    deltas, error = await broken_chat(provider, _REQUEST)
    assert deltas == [] and isinstance(error, UpstreamMalformed)
    deltas = await chatted(provider, ChatRequest(MODEL, (Message("user", "hi"),), stop=("x",)))
    assert deltas == [Delta(finish_reason="stop", usage=_COUNTED)]
    pieces, error = await broken_relay(provider, _relay(stream=False))
    assert pieces == [] and isinstance(error, UpstreamMalformed)
    (piece,) = await relayed(provider, _relay(stream=False, generationConfig={"stopSequences": ["x"]}))
    assert piece.usage == _COUNTED


async def test_log_probabilities_come_with_their_text(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """LogprobsResult"""
    result = {
        "chosenCandidates": [{"token": "Hé", "tokenId": 5, "logProbability": -0.1}],
        "topCandidates": [{"candidates": [{"token": "Hé", "tokenId": 5, "logProbability": -0.1}]}],
    }
    upstream.play(sse_answer([_chunk({"text": "Hé"}, reason="STOP", logprobsResult=result)]))
    token = "Hé".encode()
    assert (await chatted(provider, _REQUEST))[0] == Delta(
        "Hé", logprobs=(TokenLogprob(5, token, -0.1, ((token, -0.1),)),)
    )


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (
            400,
            {
                "code": 400,
                "message": "API key not valid. Please pass a valid API key.",
                "status": "INVALID_ARGUMENT",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                        "reason": "API_KEY_INVALID",
                        "domain": "googleapis.com",
                        "metadata": {"service": "generativelanguage.googleapis.com"},
                    }
                ],
            },
            KeyRefused,
        ),
        (400, {"code": 400, "message": "User location is not supported.", "status": "FAILED_PRECONDITION"}, KeyRefused),
        (503, {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}, UpstreamFailed),
        (
            429,
            {
                "code": 429,
                "message": "You exceeded your current quota.",
                "status": "RESOURCE_EXHAUSTED",
                "details": [
                    {
                        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                        "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier"}],
                    },
                    {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "39s"},
                ],
            },
            QuotaExhausted,
        ),
        (400, {"code": 400, "message": "Unsupported MIME type", "status": "INVALID_ARGUMENT"}, UpstreamRejected),
    ],
)
async def test_a_refusal_is_told_by_status_and_details(
    upstream: ScriptedUpstream, status: int, error: dict[str, object], expected: type[UpstreamError]
) -> None:
    """google.rpc.Status; an invalid key is a 400."""
    async with opened(_DIALECT, upstream, keys=("env:FIRST",)) as provider:
        upstream.play(json_answer({"error": error}, status))
        with pytest.raises(expected):
            await chatted(provider, _REQUEST)


async def test_the_pause_asked_for_is_read_from_the_details(upstream: ScriptedUpstream) -> None:
    """google.rpc.RetryInfo: there is no Retry-After header."""
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "39.5s"}]
    error = {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED", "details": details}
    async with opened(_DIALECT, upstream, keys=("env:FIRST",)) as provider:
        upstream.play(json_answer({"error": error}, 429))
        with pytest.raises(RateLimited) as caught:
            await chatted(provider, _REQUEST)
    assert caught.value.retry_after_s == 39.5


async def test_an_error_in_a_stream_is_told(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """Half an answer never looks like a whole one."""
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    upstream.play(sse_answer([_chunk({"text": "Hello"}), error]))
    deltas, caught = await broken_chat(provider, _REQUEST)
    assert [delta.text for delta in deltas] == ["Hello"]
    assert isinstance(caught, UpstreamFailed) and caught.status == 503


async def test_the_services_models_are_offered_with_their_limits(upstream: ScriptedUpstream) -> None:
    """models.list; what neither talks nor embeds is left out."""
    listed = [
        {
            "name": "models/gemini-2.5-pro",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
            "thinking": True,
        },
        {
            "name": "models/gemini-embedding-001",
            "inputTokenLimit": 2048,
            "supportedGenerationMethods": ["embedContent"],
        },
        {"name": "models/veo-3", "supportedGenerationMethods": ["predictLongRunning"]},
    ]
    async with opened(_DIALECT, upstream, ProviderConfig()) as provider:
        upstream.play(json_answer({"models": listed}))
        await provider.check(5)
        pro, embedding = provider.models()
    assert (pro.id, pro.context_tokens, pro.max_output_tokens) == ("gemini-2.5-pro", 1048576, 65536)
    assert pro.features == frozenset(("tools", "vision", "files", "audio", "json", "reasoning"))
    assert (pro.capabilities, pro.remote) == (frozenset(("chat",)), True)
    assert (embedding.id, embedding.capabilities) == ("gemini-embedding-001", frozenset(("embed",)))
    assert embedding.relays == frozenset()


@pytest.mark.parametrize("reply", [{"embeddings": []}, {"embeddings": [{"values": "no"}]}, {}])
async def test_a_reply_without_the_vectors_is_malformed(
    upstream: ScriptedUpstream, provider: UpstreamProvider, reply: object
) -> None:
    """One for each input."""
    upstream.play(json_answer(reply))
    with pytest.raises(UpstreamMalformed, match="acme"):
        await provider.embed(EmbedRequest("gemini-embedding-001", (("x",),)))
