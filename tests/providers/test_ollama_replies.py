"""What Ollama answers, as its API documentation has it, and what becomes of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from providers.ollama_dialect import MODEL, OllamaDialect

from ghostd.config.providers import ProviderConfig
from ghostd.conversation import Message, Tool, ToolCall, ToolCallDelta, Tools
from ghostd.errors import UpstreamFailed, UpstreamMalformed, UpstreamRejected
from ghostd.ports import UpstreamProvider
from ghostd.providers.native import ollama
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, json_answer, ndjson_answer, scripted_upstream
from ghostd.testing.upstream_case import broken_chat, broken_relay, chatted, relayed
from ghostd.testing.upstream_dialect import opened
from ghostd.types import ChatRequest, Delta, EmbedRequest, RelayRequest, TokenLogprob, Usage

_DIALECT = OllamaDialect()
_REQUEST = ChatRequest(MODEL, (Message("user", "hi"),))
_DIGEST = "sha256:500a1f067a9f782620b40bee6f7b0c89e17ae61f686b92c24933e4ca4b2b8b41"


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream(_DIALECT.serve) as server:
        yield server


@pytest.fixture
async def provider(upstream: ScriptedUpstream) -> AsyncIterator[UpstreamProvider]:
    async with opened(_DIALECT, upstream) as made:
        yield made


def _line(**message: Any) -> dict[str, Any]:
    return {
        "model": MODEL,
        "created_at": "2026-11-20T10:00:00Z",
        "message": {"role": "assistant", **message},
        "done": False,
    }


def _last(reason: str | None = "stop", tokens: int = 9, **message: Any) -> dict[str, Any]:
    line = {**_line(content="", **message), "done": True, "prompt_eval_count": 21, "eval_count": tokens}
    return line if reason is None else {**line, "done_reason": reason}


def _relay(operation: str, *, stream: bool, **body: object) -> RelayRequest:
    fields = {name: json.dumps(value).encode() for name, value in {"model": "public", **body}.items()}
    return RelayRequest(operation, MODEL, b"{}", fields, stream)


async def test_thoughts_text_and_calls_come_apart_and_calls_get_ids(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Arguments are objects; older servers give no ids."""
    calls = [
        {"function": {"index": 0, "name": "weather", "arguments": {"city": "Oslo"}}},
        {"id": "call_x", "function": {"index": 1, "name": "clock", "arguments": {}}},
    ]
    upstream.play(
        ndjson_answer(
            [_line(content="", thinking="Hm."), _line(content="Looking."), _line(content="", tool_calls=calls), _last()]
        )
    )
    deltas = await chatted(provider, _REQUEST)
    made = deltas[2].tool_calls[0].id
    assert made and made != "call_x"
    assert deltas == [
        Delta(reasoning="Hm."),
        Delta("Looking."),
        Delta(
            tool_calls=(
                ToolCallDelta(0, '{"city": "Oslo"}', made, "weather"),
                ToolCallDelta(1, "{}", "call_x", "clock"),
            )
        ),
        Delta(finish_reason="tool_calls", usage=Usage(21, 9)),
    ]


async def test_a_call_goes_back_as_it_came(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """With the id that it got, and the text of its arguments."""
    call = {"function": {"name": "f", "arguments": {"big": 12345678901234567890}}}
    upstream.play(ndjson_answer([_line(content="", tool_calls=[call]), _last()]))
    (piece,) = (await chatted(provider, _REQUEST))[0].tool_calls
    said = Message("assistant", (ToolCall(piece.id or "", piece.name or "", piece.arguments),))
    await chatted(provider, ChatRequest(MODEL, (Message("user", "hi"), said)))
    assert upstream.requests[-1].json["messages"][1]["tool_calls"] == [{"id": piece.id, **call}]


@pytest.mark.parametrize(("reason", "finish"), [("stop", "stop"), ("length", "length"), (None, "stop")])
async def test_every_reason_to_stop_has_a_meaning(
    upstream: ScriptedUpstream, provider: UpstreamProvider, reason: str | None, finish: str
) -> None:
    """`done_reason`, which older servers do not give."""
    upstream.play(ndjson_answer([_line(content="Hello"), _last(reason)]))
    assert await chatted(provider, _REQUEST) == [
        Delta("Hello"),
        Delta(finish_reason=finish, usage=Usage(21, 9)),  # type: ignore[arg-type]
    ]


async def test_log_probabilities_come_with_their_text(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """`logprobs`"""
    logprobs = [{"token": "Hé", "logprob": -0.1, "top_logprobs": [{"token": "Hé", "logprob": -0.1}]}]
    upstream.play(ndjson_answer([{**_line(content="Hé"), "logprobs": logprobs}, _last()]))
    token = "Hé".encode()
    assert (await chatted(provider, _REQUEST))[0] == Delta(
        "Hé", logprobs=(TokenLogprob(-1, token, -0.1, ((token, -0.1),)),)
    )


async def test_an_error_line_ends_the_stream(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """A 200 has been sent by then."""
    answer = ndjson_answer([_line(content="Hello"), {"error": "llama runner process has terminated"}])
    upstream.play(answer, answer)
    deltas, error = await broken_chat(provider, _REQUEST)
    assert [delta.text for delta in deltas] == ["Hello"]
    assert isinstance(error, UpstreamFailed) and "acme: llama runner" in str(error)
    pieces, error = await broken_relay(provider, _relay("ollama.chat", stream=True))
    assert isinstance(error, UpstreamFailed) and not any(piece.last for piece in pieces)


@pytest.mark.parametrize(
    "lines",
    [
        [{"message": {"role": "assistant", "content": "Hello"}}],
        [{"done": False}],
        [_line(content="Hello")],
        [_last(), _line(content="more")],
        [_last(tokens=40)],
    ],
)
async def test_a_stream_that_is_none_ends_with_an_error(
    upstream: ScriptedUpstream, provider: UpstreamProvider, lines: Sequence[object]
) -> None:
    """Lines with `done`, the last one true and nothing after it; words for the tokens that were generated."""
    upstream.play(ndjson_answer(lines))
    deltas, error = await broken_chat(provider, _REQUEST)
    assert isinstance(error, UpstreamMalformed)
    assert [delta for delta in deltas if delta.finish_reason] == []


async def test_a_model_may_have_nothing_to_say(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """One token is its word for the end; before a stop sequence there may be more."""
    upstream.play(ndjson_answer([_last(tokens=1)]), ndjson_answer([_last(tokens=40)]))
    assert await chatted(provider, _REQUEST) == [Delta(finish_reason="stop", usage=Usage(21, 1))]
    stopped = ChatRequest(MODEL, (Message("user", "hi"),), stop=("x",))
    assert await chatted(provider, stopped) == [Delta(finish_reason="stop", usage=Usage(21, 40))]


async def test_an_input_too_long_is_told_as_such(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """`/api/embed` without truncation."""
    upstream.play(json_answer({"error": "the input length exceeds the context length"}, 400))
    with pytest.raises(UpstreamRejected) as caught:
        await provider.embed(EmbedRequest("nomic-embed-text:latest", (("x",),)))
    assert caught.value.reason == "context"


@pytest.mark.parametrize("reply", [{"embeddings": []}, {"embeddings": None}, {"embeddings": ["x"]}, {}])
async def test_a_reply_without_the_vectors_is_malformed(
    upstream: ScriptedUpstream, provider: UpstreamProvider, reply: object
) -> None:
    """One for each input."""
    upstream.play(json_answer(reply))
    with pytest.raises(UpstreamMalformed, match="acme"):
        await provider.embed(EmbedRequest("nomic-embed-text:latest", (("x",),)))


async def test_generations_and_embeddings_are_relayed(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """As they came, with their usage."""
    generated = ndjson_answer(
        [
            {"model": MODEL, "response": "Hi", "done": False},
            {"model": MODEL, "response": "", "done": True, "context": [1, 2], "prompt_eval_count": 3, "eval_count": 2},
        ]
    )
    upstream.play(generated)
    pieces = await relayed(provider, _relay("ollama.generate", stream=True, prompt="x", keep_alive="5m"))
    assert b"".join(piece.data for piece in pieces) == generated.body
    assert (pieces[-1].usage, pieces[-1].finish_reason) == (Usage(3, 2), "stop")
    assert pieces[0].content_type == "application/x-ndjson"
    embedded = json_answer({"model": "m", "embeddings": [[0.1]], "total_duration": 5, "prompt_eval_count": 4})
    upstream.play(embedded)
    (piece,) = await relayed(provider, _relay("ollama.embed", stream=False, input="x"))
    assert (piece.data, piece.last, piece.usage) == (embedded.body, True, Usage(4, 0))
    assert [seen.path for seen in upstream.requests] == ["/base/api/generate", "/base/api/embed"]
    assert upstream.requests[0].json == {"model": MODEL, "prompt": "x", "keep_alive": "5m"}


async def test_loading_a_model_is_relayed(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """A request without a prompt; the reply has no words and no counts."""
    upstream.play(json_answer({"model": MODEL, "response": "", "done": True, "done_reason": "load"}))
    (piece,) = await relayed(provider, _relay("ollama.generate", stream=False))
    assert (piece.usage, piece.finish_reason) == (Usage(0, 0), "load")


def _tag(name: str, digest: str = _DIGEST, **more: object) -> dict[str, object]:
    details = {
        "parent_model": "",
        "format": "gguf",
        "family": "qwen3",
        "families": ["qwen3"],
        "parameter_size": "8.2B",
        "quantization_level": "Q4_K_M",
    }
    made = "2025-06-01T12:00:00.123456789+02:00"
    return {
        "name": name,
        "model": name,
        "modified_at": made,
        "size": 5225388164,
        "digest": digest,
        "details": details,
        **more,
    }


def _show(*capabilities: str, parameters: str = "") -> Answer:
    info = {"general.architecture": "qwen3", "qwen3.context_length": 40960}
    return json_answer({"capabilities": list(capabilities), "parameters": parameters, "model_info": info})


async def test_models_are_described_once_with_what_they_can_do(upstream: ScriptedUpstream) -> None:
    """`/api/tags`, then `/api/show` for each digest that is new."""
    tags = json_answer({"models": [_tag("qwen3:8b"), _tag("coder", "sha256:2"), _tag("embedder", "sha256:3")]})
    async with opened(_DIALECT, upstream, ProviderConfig()) as provider:
        upstream.play(
            tags,
            _show("completion", "tools", "thinking"),
            _show("completion", "insert", parameters='stop "x"\nnum_ctx                        8192'),
            _show("embedding"),
            tags,
        )
        await provider.check(5)
        chat, coder, embedder = provider.models()
        await provider.check(5)
    assert [seen.path for seen in upstream.requests] == ["/base/api/tags", *["/base/api/show"] * 3, "/base/api/tags"]
    assert upstream.requests[1].json == {"model": "qwen3:8b"}
    assert (chat.id, chat.capabilities) == ("qwen3:8b", frozenset(("chat", "complete")))
    assert chat.features == frozenset(("json", "tools", "reasoning"))
    assert (chat.context_tokens, chat.size_bytes, chat.created) == (40960, 5225388164, 1748772000)
    assert (chat.detail, chat.remote) == ("qwen3 8.2B Q4_K_M", False)
    assert (chat.family, chat.parameter_size, chat.quantization) == ("qwen3", "8.2B", "Q4_K_M")
    assert chat.digest == _DIGEST.removeprefix("sha256:")
    assert (coder.context_tokens, coder.capabilities) == (8192, frozenset(("chat", "complete", "fill")))
    assert (embedder.capabilities, embedder.features) == (frozenset(("embed",)), frozenset())


async def test_a_model_that_cannot_be_described_is_offered_all_the_same(upstream: ScriptedUpstream) -> None:
    """It may be of an older server, or be removed in between."""
    async with opened(_DIALECT, upstream, ProviderConfig()) as provider:
        upstream.play(json_answer({"models": [_tag("qwen3:8b")]}), json_answer({"error": "model not found"}, 404))
        await provider.check(5)
        (info,) = provider.models()
    assert (info.features, "chat" in info.capabilities) == (None, True)


async def test_models_of_the_cloud_are_not_on_this_machine(upstream: ScriptedUpstream) -> None:
    """The server passes requests for them on to ollama.com."""
    tags = [_tag("gpt-oss:120b-cloud", ""), _tag("mine", "", remote_host="https://ollama.com:443"), _tag("local", "")]
    async with opened(_DIALECT, upstream, ProviderConfig()) as provider:
        upstream.play(json_answer({"models": tags}))
        await provider.check(5)
        assert [info.remote for info in provider.models()] == [True, True, False]
        assert provider.model("kimi:cloud").remote


@pytest.mark.parametrize(
    ("url", "remote"),
    [
        ("http://127.0.0.1:11434", False),
        ("http://[::1]:11434", False),
        ("http://localhost:11434", False),
        ("http://192.168.1.9:11434", True),
        ("https://ollama.com", True),
    ],
)
async def test_a_server_elsewhere_is_remote(upstream: ScriptedUpstream, url: str, remote: bool) -> None:
    """What goes there leaves this machine."""
    from dataclasses import replace

    from ghostd.providers.ollama.provider import OllamaProvider

    async with opened(_DIALECT, upstream) as provider:
        assert isinstance(provider, OllamaProvider)
        elsewhere = ollama(replace(provider._endpoint, base_url=url))
        assert elsewhere.model("qwen3:8b").remote is remote


@pytest.mark.parametrize(
    ("text", "deltas"),
    [
        (
            ['{"tool_calls": [{"name": "f", "arg', 'uments": {"a": 1}}, {"name": "g", "arguments": {}}]}'],
            [("f", '{"a": 1}'), ("g", "{}")],
        ),
        (['{"tool_calls": [{"name": "f", "argum'], None),
        (["no JSON"], None),
        (['{"tool_calls": [{"name": "f"}]}'], None),
    ],
)
async def test_a_reply_that_had_to_be_calls_of_tools_is_told_as_such(
    upstream: ScriptedUpstream, provider: UpstreamProvider, text: list[str], deltas: list[tuple[str, str]] | None
) -> None:
    """One that was cut, or is something else in spite of the schema, stays the text that it is."""
    upstream.play(ndjson_answer([_line(content="", thinking="hm"), *(_line(content=piece) for piece in text), _last()]))
    request = replace(_REQUEST, tools=Tools((Tool("f"), Tool("g")), "required"))
    found = await chatted(provider, request)
    assert "".join(delta.reasoning for delta in found) == "hm"
    calls = [call for delta in found for call in delta.tool_calls]
    if deltas is None:
        assert not calls
        assert "".join(delta.text for delta in found) == "".join(text)
        assert found[-1].finish_reason == "stop"
        return
    assert [(call.name, call.arguments) for call in calls] == deltas
    assert [call.index for call in calls] == [0, 1]
    assert len({call.id for call in calls}) == 2
    assert not any(delta.text for delta in found)
    assert (found[-1].finish_reason, found[-1].usage) == ("tool_calls", Usage(21, 9))


async def test_of_several_calls_where_one_is_allowed_the_first_one_is_given(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    calls: list[dict[str, Any]] = [{"function": {"name": name, "arguments": {}}} for name in ("f", "g")]
    upstream.play(ndjson_answer([_line(content="x"), _line(content="", tool_calls=calls), _last()]))
    request = replace(_REQUEST, tools=Tools((Tool("f"), Tool("g")), parallel=False))
    found = await chatted(provider, request)
    assert [call.name for delta in found for call in delta.tool_calls] == ["f"]
    assert ("".join(delta.text for delta in found), found[-1].finish_reason) == ("x", "tool_calls")
