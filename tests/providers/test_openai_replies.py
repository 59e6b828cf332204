"""Replies of OpenAI's dialect and its variants, as deltas, vectors and models. Shapes: the services' references."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest
from providers.openai_dialect import LlamaServerDialect, MistralDialect, OpenAIDialect, TgiDialect

from ghostd.config.providers import ProviderConfig, UpstreamConfig
from ghostd.conversation import File, Message, Text, ToolCall, ToolCallDelta, ToolResult
from ghostd.errors import (
    InvalidRequest,
    KeyRefused,
    UnsupportedParameter,
    UpstreamMalformed,
    UpstreamRejected,
)
from ghostd.ports import UpstreamProvider
from ghostd.providers import presets
from ghostd.providers.http.client import http_client
from ghostd.providers.keys import KeyPool
from ghostd.providers.upstream import Endpoint
from ghostd.testing.memory_secrets import MemorySecrets
from ghostd.testing.scripted_upstream import ScriptedUpstream, json_answer, scripted_upstream, sse_answer
from ghostd.testing.upstream_case import broken_chat, chatted
from ghostd.testing.upstream_dialect import KEYS, Reply, UpstreamDialect, opened
from ghostd.types import (
    ChatRequest,
    CompletionRequest,
    Delta,
    EmbedRequest,
    FillRequest,
    OpenDocument,
    Sampling,
    TokenLogprob,
    Usage,
)

DIALECT = OpenAIDialect(presets.openai)
ASK = ChatRequest("model-1", (Message("user", "hi"),))


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream() as server:
        yield server


@pytest.fixture
async def provider(upstream: ScriptedUpstream) -> AsyncIterator[UpstreamProvider]:
    async with opened(DIALECT, upstream) as provider:
        yield provider


def _chunks(*deltas: dict[str, object], finish: str = "stop", **more: object) -> list[object]:
    events: list[object] = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    return [*events, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **more}]


async def _said(
    upstream: ScriptedUpstream, provider: UpstreamProvider, *deltas: dict[str, object], finish: str = "stop"
) -> list[Delta]:
    upstream.play(sse_answer(_chunks(*deltas, finish=finish), done=True))
    return await chatted(provider, ASK)


# --- chat -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "deltas",
    [
        # as OpenAI streams them
        (
            {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}}]},
            {"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]},
            {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "g", "arguments": ""}}]},
            {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        ),
        # id and name in each piece
        (
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a"'}}]},
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": ":1}"}}]},
            {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}}]},
        ),
        # the same index for every call
        (
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}}]},
            {"tool_calls": [{"index": 0, "id": "c2", "function": {"name": "g", "arguments": "{}"}}]},
        ),
        # no index
        (
            {
                "tool_calls": [
                    {"id": "c1", "function": {"name": "f", "arguments": '{"a":1}'}},
                    {"id": "c2", "function": {"name": "g", "arguments": "{}"}},
                ]
            },
        ),
        # the arguments as an object
        (
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}]},
            {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "g", "arguments": {}}}]},
        ),
        # the arguments before the name
        (
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"arguments": '{"a"'}}]},
            {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ":1}"}}]},
            {"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "g", "arguments": "{}"}}]},
        ),
    ],
)
async def test_tool_calls_in_every_variant(
    upstream: ScriptedUpstream, provider: UpstreamProvider, deltas: Sequence[dict[str, object]]
) -> None:
    said = await _said(upstream, provider, *deltas)
    pieces = [piece for delta in said for piece in delta.tool_calls]
    assert [(piece.index, piece.id, piece.name) for piece in pieces if piece.id] == [(0, "c1", "f"), (1, "c2", "g")]
    assert "".join(piece.arguments for piece in pieces if piece.index == 0) == '{"a":1}'
    assert "".join(piece.arguments for piece in pieces if piece.index == 1) == "{}"
    assert said[-1].finish_reason == "tool_calls", "some servers say stop"


async def test_a_legacy_function_call_is_a_tool_call(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    said = await _said(
        upstream,
        provider,
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        finish="function_call",
    )
    first, second = (piece for delta in said for piece in delta.tool_calls)
    assert (first.index, first.name, second) == (0, "f", ToolCallDelta(0, "{}"))
    assert first.id is not None and first.id.startswith("call_")
    assert said[-1].finish_reason == "tool_calls"


async def test_a_tool_call_without_a_name_is_malformed(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    upstream.play(
        sse_answer(_chunks({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{}"}}]}), done=True)
    )
    assert isinstance((await broken_chat(provider, ASK))[1], UpstreamMalformed)


async def test_a_refusal_is_told_apart(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    said = await _said(
        upstream, provider, {"role": "assistant", "content": ""}, {"refusal": "I will"}, {"refusal": " not"}
    )
    assert "".join(delta.refusal for delta in said) == "I will not"


@pytest.mark.parametrize("member", ["reasoning_content", "reasoning"])
async def test_thoughts_under_both_names(upstream: ScriptedUpstream, provider: UpstreamProvider, member: str) -> None:
    said = await _said(upstream, provider, {member: "hm"}, {"content": "42"})
    assert [(delta.reasoning, delta.text) for delta in said[:-1]] == [("hm", ""), ("", "42")]


async def test_text_in_the_chunk_that_finishes_is_kept(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """Mistral's last chunk may say something."""
    last = {
        "choices": [{"index": 0, "delta": {"content": "!"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
    }
    upstream.play(sse_answer([*_chunks({"content": "hi"})[:-1], last], done=True))
    said = await chatted(provider, ASK)
    assert [delta.text for delta in said] == ["hi", "!", ""]
    assert said[-1].usage == Usage(3, 2)


async def test_log_probabilities(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    top = [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105]}, {"token": "\ufffd", "logprob": -2.5, "bytes": [226]}]
    logprobs = {"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": top}], "refusal": None}
    chunk = {"choices": [{"index": 0, "delta": {"content": "Hi"}, "logprobs": logprobs, "finish_reason": None}]}
    upstream.play(sse_answer([chunk, *_chunks()], done=True))
    (first, _) = await chatted(provider, ASK)
    assert first == Delta("Hi", logprobs=(TokenLogprob(-1, b"Hi", -0.1, ((b"Hi", -0.1), (b"\xe2", -2.5))),))


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_cache_hit_tokens": 6}, Usage(10, 4, 6)),  # DeepSeek
        ({"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": None}, Usage(10, 4)),
        (
            {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 99}},
            Usage(10, 4, 10),
        ),
        ({"prompt_tokens": -1, "completion_tokens": 4}, None),
        (None, None),
    ],
)
async def test_usage_as_services_tell_it(
    upstream: ScriptedUpstream, provider: UpstreamProvider, usage: object, expected: Usage | None
) -> None:
    """What nobody said is None, never 0; nonsense is not believed."""
    upstream.play(sse_answer(_chunks({"content": "hi"}, usage=usage), done=True))
    assert (await chatted(provider, ASK))[-1].usage == expected


async def test_an_empty_finish_reason_is_none(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """Some servers say so in every chunk."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": ""}]}
    upstream.play(sse_answer([chunk, chunk, *_chunks()], done=True))
    assert [delta.text for delta in await chatted(provider, ASK)] == ["hi", "hi", ""]


async def test_a_stream_with_only_choiceless_chunks_is_malformed(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    upstream.play(
        sse_answer([{"choices": []}, {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 0}}], done=True)
    )
    assert isinstance((await broken_chat(provider, ASK))[1], UpstreamMalformed)


async def test_a_deeply_nested_event_is_malformed(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    upstream.play(sse_answer(['{"error": ' + "[" * 100_000 + "]" * 100_000 + "}"]))
    assert isinstance((await broken_chat(provider, ASK))[1], UpstreamMalformed)


async def test_azures_first_chunk_has_no_choices(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """It tells the content filter's results for the prompt."""
    first = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    upstream.play(sse_answer([first, *_chunks({"content": "hi"})], done=True))
    assert [delta.text for delta in await chatted(provider, ASK)] == ["hi", ""]


async def test_openrouter_repeats_the_role_and_ends_with_an_empty_chunk(upstream: ScriptedUpstream) -> None:
    """`: OPENROUTER PROCESSING` keeps the connection alive meanwhile."""
    empty = {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}]}
    end = {**empty, "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    events = [b": OPENROUTER PROCESSING\n\n", empty, empty, *_chunks({"content": "hi"}), end]
    upstream.play(sse_answer(events, done=True))
    async with opened(OpenAIDialect(presets.openrouter), upstream) as openrouter:
        said = await chatted(openrouter, ASK)
    assert [delta.text for delta in said] == ["hi", ""]
    assert said[-1].usage == Usage(3, 2)


# --- embeddings -----------------------------------------------------------------------


async def test_vectors_come_in_the_inputs_order_and_of_unit_length(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Token arrays are legal input; `index` says which is which."""
    data = [{"index": 1, "embedding": [0.0, 2.0]}, {"index": 0, "embedding": [3.0, 4.0]}]
    upstream.play(json_answer({"data": data, "usage": {"prompt_tokens": 4, "total_tokens": 4}}))
    answer = await provider.embed(EmbedRequest("text-embedding-3-small", ((1, 2), (3,)), dimensions=2))
    first, second = answer.vectors
    assert first == pytest.approx((0.6, 0.8)) and second == pytest.approx((0.0, 1.0))
    assert answer.usage == Usage(4, 0)
    assert upstream.requests[0].json == {"model": "text-embedding-3-small", "input": [[1, 2], [3]], "dimensions": 2}


async def test_a_large_reply_with_vectors_is_decoded_off_the_loop(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    vector = [math.sin(number) for number in range(3000)]
    upstream.play(json_answer({"data": [{"index": at, "embedding": vector} for at in range(20)]}))
    answer = await provider.embed(EmbedRequest("text-embedding-3-small", (("a",),) * 20))
    assert len(answer.vectors) == 20 and math.isclose(math.fsum(x * x for x in answer.vectors[19]), 1.0)


@pytest.mark.parametrize(
    "data",
    [
        [{"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 0.0]}],
        [{"index": 0, "embedding": [0.0]}, {"index": 1, "embedding": [1.0]}],
        [{"index": 0, "embedding": "AAAA"}, {"index": 1, "embedding": "not base64"}],
    ],
)
async def test_vectors_that_do_not_fit_the_inputs_are_malformed(
    upstream: ScriptedUpstream, provider: UpstreamProvider, data: object
) -> None:
    """Too few, one twice, of different lengths, of no direction, garbage."""
    upstream.play(json_answer({"data": data}))
    with pytest.raises(UpstreamMalformed):
        await provider.embed(EmbedRequest("text-embedding-3-small", (("a",), ("b",))))


async def test_texts_and_token_arrays_do_not_mix(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    with pytest.raises(InvalidRequest):
        await provider.embed(EmbedRequest("m", (("a",), (1, 2))))
    with pytest.raises(InvalidRequest):
        await provider.embed(EmbedRequest("m", ()))
    assert upstream.requests == []


# --- completions and fills --------------------------------------------------------------


async def test_a_completion_with_log_probabilities(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    logprobs = {"tokens": ["a"], "token_logprobs": [-0.5], "top_logprobs": [{"b": -1.0, "a": -0.5}], "text_offset": [0]}
    chunks = [
        {"choices": [{"index": 0, "text": "a", "logprobs": logprobs, "finish_reason": None}]},
        {"choices": [{"index": 0, "text": "", "logprobs": None, "finish_reason": "length"}]},
    ]
    upstream.play(sse_answer(chunks, done=True))
    request = CompletionRequest("model-1", (1, 2, 3), max_tokens=1, sampling=Sampling(logprobs=2))
    async with aclosing(provider.complete(request)) as stream:
        first, last = [delta async for delta in stream]
    assert first == Delta("a", logprobs=(TokenLogprob(-1, b"a", -0.5, ((b"a", -0.5), (b"b", -1.0))),))
    assert last.finish_reason == "length"
    body = upstream.requests[0].json
    assert (body["prompt"], body["logprobs"], body["max_tokens"]) == ([1, 2, 3], 2, 1)


async def test_a_prompt_of_text_and_tokens_is_named(provider: UpstreamProvider) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await anext(provider.complete(CompletionRequest("m", ("a", 1))))
    assert caught.value.param == "prompt"


async def _filled(dialect: UpstreamDialect, upstream: ScriptedUpstream, request: FillRequest) -> list[Delta]:
    async with opened(dialect, upstream) as provider, aclosing(provider.fill(request)) as stream:
        return [delta async for delta in stream]


async def test_mistral_fills_by_its_own_call(upstream: ScriptedUpstream) -> None:
    dialect = MistralDialect()
    upstream.play(dialect.fill(Reply(text=("return", " a\n", "b"))))
    request = FillRequest("codestral-latest", "def f(a):\n", "\nf(1)", max_tokens=9, sampling=Sampling(seed=3))
    said = await _filled(dialect, upstream, request)
    assert "".join(delta.text for delta in said) == "return a\nb"
    assert upstream.requests[0].path == "/base/fim/completions"
    assert upstream.requests[0].json == {
        "model": "codestral-latest",
        "stream": True,
        "max_tokens": 9,
        "random_seed": 3,
        "prompt": "def f(a):\n",
        "suffix": "\nf(1)",
        "temperature": 0,
    }


@pytest.mark.parametrize("version", ["", "/v1"])
async def test_deepseek_fills_below_its_root(upstream: ScriptedUpstream, version: str) -> None:
    """Whether the base URL ends with the version or not."""
    dialect = OpenAIDialect(presets.deepseek)
    upstream.play(dialect.fill(Reply()))
    limits = UpstreamConfig(proxy="")
    keys = KeyPool("acme", (), MemorySecrets(), asyncio.get_running_loop().time)
    async with http_client(limits) as http:
        endpoint = Endpoint("acme", upstream.url + version, ProviderConfig(), limits, keys, http)
        async with aclosing(presets.deepseek(endpoint).fill(FillRequest("deepseek-chat", "a", "b"))) as stream:
            assert [delta.text async for delta in stream] == ["Hello", " wor", "ld", ""]
    assert upstream.requests[0].path == "/beta/completions"


async def test_llama_server_fills_by_its_own_call(upstream: ScriptedUpstream) -> None:
    """Other open documents are its `input_extra`; it lies beside `/v1`, whatever the base URL ends with."""
    dialect = LlamaServerDialect()
    upstream.play(dialect.fill(Reply()))
    request = FillRequest(
        "model-1", "a = ", "\n", open_documents=(OpenDocument(Path("/x/b.py"), "b = 1"),), max_tokens=9, stop=("\n",)
    )
    said = await _filled(dialect, upstream, request)
    assert ("".join(delta.text for delta in said), said[-1].finish_reason) == ("Hello world", "stop")
    assert said[-1].usage == Usage(12, 5)
    seen = upstream.requests[0]
    assert seen.path == "/base/infill"
    assert seen.json["input_extra"] == [{"filename": "b.py", "text": "b = 1"}]
    assert (seen.json["input_prefix"], seen.json["input_suffix"], seen.json["n_predict"]) == ("a = ", "\n", 9)


@pytest.mark.parametrize("dialect", [MistralDialect(), LlamaServerDialect()], ids=["mistral", "llama-server"])
async def test_a_fill_has_no_log_probabilities_where_its_call_tells_none(
    upstream: ScriptedUpstream, dialect: UpstreamDialect
) -> None:
    with pytest.raises(UnsupportedParameter, match="'logprobs'"):
        await _filled(dialect, upstream, FillRequest("model-1", "a", sampling=Sampling(logprobs=2)))
    assert not upstream.requests


async def test_a_fill_ends_behind_its_last_wanted_line(upstream: ScriptedUpstream) -> None:
    """The rest is not waited for; a first line break does not count."""
    dialect = LlamaServerDialect()
    upstream.play(dialect.fill(Reply(text=("\none", "\ntwo\nthr", "ee"))))
    said = await _filled(dialect, upstream, FillRequest("model-1", "x", max_lines=2))
    assert "".join(delta.text for delta in said) == "\none\ntwo"
    assert (said[-1].finish_reason, said[-1].usage) == ("stop", None)


async def test_a_service_that_fills_no_holes_says_so(upstream: ScriptedUpstream) -> None:
    with pytest.raises(UnsupportedParameter):
        await _filled(OpenAIDialect(presets.groq), upstream, FillRequest("m", "x"))


async def test_tgi_continues_plain_text_by_its_own_call(upstream: ScriptedUpstream) -> None:
    """It refuses a temperature of 0: greedy is its default."""
    dialect = TgiDialect()
    upstream.play(dialect.complete(Reply(finish="length")))
    request = CompletionRequest(
        "model-1", ("a ", "b"), sampling=Sampling(temperature=0.0, logprobs=0, top_k=5), max_tokens=3, stop=("x",)
    )
    async with opened(dialect, upstream) as provider, aclosing(provider.complete(request)) as stream:
        said = [delta async for delta in stream]
    assert said[0] == Delta("Hello", logprobs=(TokenLogprob(0, b"Hello", -0.5),))
    assert (said[-1].finish_reason, said[-1].usage) == ("length", Usage(12, 5))
    assert upstream.requests[0].path == "/base/generate_stream"
    assert upstream.requests[0].json == {
        "inputs": "a b",
        "parameters": {
            "details": True,
            "return_full_text": False,
            "max_new_tokens": 3,
            "stop": ["x"],
            "top_k": 5,
        },
    }


# --- Mistral's variants ------------------------------------------------------------------


async def test_mistrals_words(upstream: ScriptedUpstream) -> None:
    dialect = MistralDialect()
    upstream.play(dialect.chat(Reply()))
    call = ToolCall("call_0123456789", "f", "{}")
    messages = (
        Message("user", (Text("read"), File(data="aGk=", name="a.pdf"))),
        Message("assistant", (call,)),
        Message("tool", (ToolResult(call.id, (Text("ok"),)),)),
    )
    async with opened(dialect, upstream) as provider:
        await chatted(provider, ChatRequest("mistral-large-latest", messages))
    wire = upstream.requests[0].json["messages"]
    assert wire[0]["content"][1] == {
        "type": "document_url",
        "document_url": "data:application/pdf;base64,aGk=",
        "document_name": "a.pdf",
    }
    assert wire[1]["tool_calls"][0]["id"] == wire[2]["tool_call_id"]
    assert len(wire[2]["tool_call_id"]) == 9


async def test_mistral_tells_what_does_not_fit_its_schema(upstream: ScriptedUpstream) -> None:
    detail = [{"type": "extra_forbidden", "loc": ["body", "user"], "msg": "Extra inputs are not permitted"}]
    upstream.play(json_answer({"detail": detail}, 422))
    async with opened(MistralDialect(), upstream) as provider:
        _, error = await broken_chat(provider, ASK)
    assert isinstance(error, UpstreamRejected)
    assert error.param == "user" and "Extra inputs are not permitted" in str(error)


# --- models, health, keys ---------------------------------------------------------------


async def test_models_are_those_that_the_service_lists(upstream: ScriptedUpstream) -> None:
    listed = [
        {"id": "big", "created": 1760000000, "max_model_len": 8192},
        {"id": "text-embedding-x"},
        {"id": "big"},
    ]
    upstream.play(json_answer({"object": "list", "data": listed}))
    async with opened(OpenAIDialect(presets.vllm), upstream, ProviderConfig()) as provider:
        assert (list(provider.models()), provider.open_ended) == ([], True)
        await provider.check(20.0)
        big, embedder = provider.models()
        assert provider.model("unlisted").id == "unlisted"
    assert (big.id, big.context_tokens, big.created, big.remote) == ("big", 8192, 1760000000, False)
    assert embedder.capabilities == frozenset(("embed",))


async def test_a_service_without_a_list_is_alive(upstream: ScriptedUpstream) -> None:
    upstream.play(json_answer({"detail": "Not Found"}, 404), json_answer({"error": "no"}, 405), json_answer(["a"]))
    async with opened(OpenAIDialect(), upstream) as provider:
        for _ in range(3):
            await provider.check(20.0)


async def test_a_service_that_refuses_the_key_is_not_well(upstream: ScriptedUpstream) -> None:
    upstream.play(json_answer({"error": {"message": "no"}}, 401))
    async with opened(OpenAIDialect(), upstream, keys=("env:FIRST",)) as provider:
        with pytest.raises(KeyRefused):
            await provider.check(20.0)


async def test_azure_wants_its_key_in_a_header_of_its_own(upstream: ScriptedUpstream) -> None:
    upstream.play(DIALECT.chat(Reply()))
    async with opened(OpenAIDialect(presets.azure), upstream) as provider:
        await chatted(provider, ASK)
    headers = upstream.requests[0].headers
    assert headers["api-key"] == KEYS[0] and "authorization" not in headers


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 8192 tokens. However, you requested 8203 tokens.",
        "This endpoint's maximum context length is 8192 tokens. However, you requested about 9000 tokens.",
        "Trying to keep the first 111490 tokens when context the overflows.",
    ],
)
async def test_a_prompt_that_is_too_long_is_recognised_where_services_have_no_code_for_it(
    upstream: ScriptedUpstream, provider: UpstreamProvider, message: str
) -> None:
    error = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}
    upstream.play(json_answer(error, 400), json_answer({"error": {**error, "message": f"Not: {message}"}}, 400))
    with pytest.raises(UpstreamRejected) as caught:
        await chatted(provider, ASK)
    assert caught.value.reason == "context"
    with pytest.raises(UpstreamRejected) as caught:
        await chatted(provider, ASK)
    assert caught.value.reason is None, "only the beginning counts"
