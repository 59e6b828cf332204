"""What passes through in OpenAI's dialect, and what does not. Shapes: the OpenAI API reference."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace

import msgspec
import pytest
from providers.openai_dialect import MistralDialect, OpenAIDialect

from ghostd.errors import (
    InvalidRequest,
    RateLimited,
    UpstreamError,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamRejected,
)
from ghostd.ports import UpstreamProvider
from ghostd.providers import presets
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, json_answer, scripted_upstream, sse_answer
from ghostd.testing.upstream_case import broken_relay, relay_request, relayed
from ghostd.testing.upstream_dialect import Reply, opened
from ghostd.types import RelayRequest, Usage

DIALECT = OpenAIDialect(presets.openai)
DONE = b"data: [DONE]\n\n"


@pytest.fixture
async def upstream() -> AsyncIterator[ScriptedUpstream]:
    async with scripted_upstream(DIALECT.serve) as server:
        yield server


@pytest.fixture
async def provider(upstream: ScriptedUpstream) -> AsyncIterator[UpstreamProvider]:
    async with opened(DIALECT, upstream, keys=("env:FIRST",)) as provider:
        yield provider


def _request(operation: str, body: Mapping[str, object], *, stream: bool = False) -> RelayRequest:
    fields = {name: json.dumps(value).encode() for name, value in body.items()}
    return RelayRequest(operation, "theirs", json.dumps(body).encode(), fields, stream)


def _chat(**more: object) -> RelayRequest:
    return relay_request(DIALECT, stream=True, text="hi", **more)


def _pieces(*changes: bytes) -> tuple[bytes, ...]:
    return tuple(DIALECT.chat(Reply()).pieces) + changes


# --- usage ------------------------------------------------------------------------


async def test_usage_is_asked_for_though_the_client_does_not_want_it(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Its other stream options stay; the chunk that holds the usage alone is not passed on."""
    upstream.play(DIALECT.chat(Reply(usage=Usage(9, 4, cached_tokens=3))))
    request = msgspec.structs.replace(_chat(stream_options={"include_obfuscation": False}), with_usage=False)
    pieces = await relayed(provider, request)
    assert upstream.requests[0].json["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    text = b"".join(piece.data for piece in pieces)
    kept = [event for event in DIALECT.chat(Reply()).pieces if b'"choices": []' not in event]
    assert text == b"".join(kept)
    assert pieces[-1].usage == Usage(9, 4, cached_tokens=3)
    assert pieces[-1].finish_reason == "stop"


async def test_the_usage_chunk_is_left_out_of_a_read_that_holds_the_whole_stream(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Also where lines end with CR LF."""
    answer = DIALECT.chat(Reply())
    upstream.play(replace(answer, pieces=(answer.body.replace(b"\n", b"\r\n"),)))
    (piece,) = await relayed(provider, msgspec.structs.replace(_chat(), with_usage=False))
    assert b'"choices": []' not in piece.data and b'"usage"' not in piece.data
    assert piece.data.endswith(DONE) and b"Hello" in piece.data


@pytest.mark.parametrize("size", [1, 2, 3, 5, 17, 64, 300, 1000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
async def test_the_usage_chunk_is_left_out_wherever_reads_are_cut(
    upstream: ScriptedUpstream, provider: UpstreamProvider, size: int, line_end: bytes
) -> None:
    """What remains are whole events, each once and in order; an empty line more says nothing."""
    answer = DIALECT.chat(Reply(text=("Hello", " wörld", " 日本")))
    body = answer.body.replace(b"\n", line_end)
    upstream.play(replace(answer, pieces=tuple(body[at : at + size] for at in range(0, len(body), size))))
    pieces = await relayed(provider, msgspec.structs.replace(_chat(), with_usage=False))
    kept = [event for event in answer.pieces if b'"choices": []' not in event]
    text = b"".join(piece.data for piece in pieces).replace(b"\r\n", b"\n")
    assert text.replace(b"\n\n\n", b"\n\n") == b"".join(kept)
    assert text.endswith(DONE)


async def test_stream_options_of_another_type_are_the_callers_mistake(provider: UpstreamProvider) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await relayed(provider, _chat(stream_options=["x"]))
    assert caught.value.param == "stream_options"


async def test_members_that_a_service_would_refuse_have_its_names(upstream: ScriptedUpstream) -> None:
    """Clients of OpenAI's dialect send these to every service; Mistral answers unknown members with an error."""
    mistral = MistralDialect()
    upstream.play(mistral.chat(Reply()), mistral.chat(Reply()))
    request = relay_request(
        DIALECT, stream=True, text="hi", max_completion_tokens=5, seed=7, user="u", safe_prompt=True, max_tokens=3
    )
    async with opened(mistral, upstream) as provider:
        pieces = await relayed(provider, request)
    assert {name: value for name, value in upstream.requests[0].json.items() if name != "messages"} == {
        "model": "model-1",
        "stream": True,
        "random_seed": 7,
        "safe_prompt": True,
        "max_tokens": 3,
    }
    assert pieces[-1].usage == Usage(12, 5)


# --- the end ----------------------------------------------------------------------


async def test_a_complete_stream_without_its_mark_gets_it(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Clients wait for `[DONE]`."""
    answer = DIALECT.chat(Reply())
    upstream.play(replace(answer, pieces=answer.pieces[:-1]))
    pieces = await relayed(provider, _chat())
    assert b"".join(piece.data for piece in pieces) == answer.body
    assert pieces[-1].last and pieces[-1].data.endswith(DONE)


async def test_the_mark_without_a_finish_is_no_end(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    answer = DIALECT.chat(Reply())
    upstream.play(replace(answer, pieces=(*answer.pieces[:3], DONE)))
    pieces, error = await broken_relay(provider, _chat())
    assert isinstance(error, UpstreamMalformed)
    assert DONE not in b"".join(piece.data for piece in pieces)


async def test_a_server_that_holds_the_connection_after_the_mark_does_not_hold_the_reply(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """The reply is whole; only the connection is given up."""
    upstream.play(replace(DIALECT.chat(Reply()), ending="hang"))
    pieces = await relayed(provider, _chat())
    assert pieces[-1].last and pieces[-1].data.endswith(DONE)
    async with asyncio.timeout(20):
        await upstream.abandoned()


async def test_a_connection_is_used_again_after_a_stream(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """The body's end is read, too."""
    for _ in range(3):
        await relayed(provider, _chat())
    assert upstream.connections == 1


# --- the beginning ------------------------------------------------------------------


async def test_nothing_is_given_out_before_the_model_says_something(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """A chunk that only opens the message does not show that the model works."""
    answer = DIALECT.chat(Reply())
    upstream.play(replace(answer, pieces=answer.pieces[:1], ending="cut"))
    assert (await broken_relay(provider, _chat()))[0] == []


async def test_a_stream_that_begins_twice_is_told_before_it_is_passed_on(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """Every event comes twice: a proxy in between repeats them."""
    answer = DIALECT.chat(Reply())
    upstream.play(replace(answer, pieces=tuple(piece for piece in answer.pieces for _ in range(2))))
    pieces, error = await broken_relay(provider, _chat())
    assert pieces == [] and isinstance(error, UpstreamMalformed)


async def test_comments_that_keep_the_connection_alive_pass(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    answer = DIALECT.chat(Reply())
    ping = b": ping\n\n"
    upstream.play(replace(answer, pieces=(ping, *answer.pieces[:3], ping, *answer.pieces[3:])))
    pieces = await relayed(provider, _chat())
    assert b"".join(piece.data for piece in pieces).count(ping) == 2


async def test_content_after_the_finish_breaks_the_stream(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    answer = DIALECT.chat(Reply())
    upstream.play(replace(answer, pieces=(*answer.pieces[:-2], answer.pieces[1], *answer.pieces[-2:])))
    pieces, error = await broken_relay(provider, _chat())
    assert isinstance(error, UpstreamMalformed) and not any(piece.last for piece in pieces)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"message": "busy", "type": "rate_limit_exceeded", "code": None}, RateLimited),
        ({"message": "busy", "code": 429}, RateLimited),
        ({"message": "gone", "code": 502}, UpstreamFailed),
        ({"message": "no", "type": "invalid_request_error"}, UpstreamRejected),
        ("it broke", UpstreamFailed),
    ],
)
async def test_an_error_inside_a_stream_is_told_as_what_it_is(
    upstream: ScriptedUpstream, provider: UpstreamProvider, error: object, expected: type[UpstreamError]
) -> None:
    upstream.play(sse_answer([{"error": error}]))
    pieces, caught = await broken_relay(provider, _chat())
    assert pieces == [] and type(caught) is expected


async def test_several_choices_must_all_finish(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """`n`: 2."""

    def chunk(index: int, text: str, finish: str | None = None) -> dict[str, object]:
        return {"choices": [{"index": index, "delta": {"content": text}, "finish_reason": finish}]}

    both = [chunk(0, "a"), chunk(1, "b"), chunk(0, "", "stop"), chunk(1, "", "length")]
    upstream.play(sse_answer(both, done=True), sse_answer(both[:-1], done=True))
    pieces = await relayed(provider, _chat(n=2))
    assert pieces[-1].finish_reason == "stop"
    _, error = await broken_relay(provider, _chat(n=2))
    assert isinstance(error, UpstreamMalformed)


# --- whole replies ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "path", "reply", "usage"),
    [
        (
            "openai.responses",
            "/responses",
            {
                "id": "resp_1",
                "status": "completed",
                "error": None,
                "output": [{"type": "message"}],
                "usage": {
                    "input_tokens": 36,
                    "input_tokens_details": {"cached_tokens": 4},
                    "output_tokens": 87,
                    "output_tokens_details": {"reasoning_tokens": 50},
                    "total_tokens": 123,
                },
            },
            Usage(36, 87, 4, 0, 50),
        ),
        ("openai.moderations", "/moderations", {"id": "modr-1", "results": [{"flagged": False}]}, None),
        ("openai.images.generations", "/images/generations", {"created": 1, "data": [{"b64_json": "aGk="}]}, None),
        (
            "openai.embeddings",
            "/embeddings",
            {"data": [{"index": 0, "embedding": "AAAA"}], "usage": {"prompt_tokens": 5, "total_tokens": 5}},
            Usage(5, 0),
        ),
    ],
)
async def test_each_operation_has_its_path_and_its_shape(
    upstream: ScriptedUpstream,
    provider: UpstreamProvider,
    operation: str,
    path: str,
    reply: dict[str, object],
    usage: Usage | None,
) -> None:
    upstream.play(json_answer(reply), json_answer({"id": "x"}))
    request = _request(operation, {"model": "ours", "input": "hi"})
    (piece,) = await relayed(provider, request)
    assert (json.loads(piece.data), piece.usage, piece.last) == (reply, usage, True)
    assert upstream.requests[0].path == f"/base{path}"
    assert upstream.requests[0].json == {"model": "theirs", "input": "hi"}
    assert isinstance((await broken_relay(provider, request))[1], UpstreamMalformed)


@pytest.mark.parametrize(
    ("message", "finish", "whole"),
    [
        ({"content": "hi"}, "stop", True),
        ({"content": ""}, "stop", True),
        ({"content": None, "tool_calls": [{"id": "c"}]}, "tool_calls", True),
        ({"content": None, "refusal": "no"}, "stop", True),
        ({"content": None}, "length", True),
        ({"content": None}, "stop", False),
        ({"content": 42}, "stop", False),
        (None, "stop", False),
    ],
)
async def test_a_message_that_says_nothing_is_no_reply(
    upstream: ScriptedUpstream, provider: UpstreamProvider, message: object, finish: str, *, whole: bool
) -> None:
    """But for one that was cut off before it said anything."""
    upstream.play(json_answer({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}))
    request = relay_request(DIALECT, stream=False, text="hi")
    if whole:
        assert (await relayed(provider, request))[0].finish_reason == finish
    else:
        assert isinstance((await broken_relay(provider, request))[1], UpstreamMalformed)


async def test_a_whole_reply_is_utf_8_everywhere(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    """Also in members that ghostd does not look at."""
    good = DIALECT.whole_chat(Reply())
    upstream.play(replace(good, pieces=(good.body.replace(b"chatcmpl-1", b"chat\xff\xfecmpl"),)))
    pieces, error = await broken_relay(provider, relay_request(DIALECT, stream=False, text="hi"))
    assert pieces == [] and isinstance(error, UpstreamMalformed)


async def test_headers_of_the_dialect_pass_both_ways_but_never_credentials(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    answer = DIALECT.whole_chat(Reply())
    headers = {**answer.headers, "x-request-id": "req_1", "x-ratelimit-remaining-requests": "9", "set-cookie": "a=b"}
    upstream.play(replace(answer, headers=headers))
    request = relay_request(DIALECT, stream=False, text="hi")
    given = {"openai-organization": "org-1", "authorization": "Bearer theirs", "cookie": "c=d"}
    (piece,) = await relayed(provider, msgspec.structs.replace(request, headers=given))
    assert piece.headers == {"x-request-id": "req_1", "x-ratelimit-remaining-requests": "9"}
    seen = upstream.requests[0].headers
    assert seen["openai-organization"] == "org-1"
    assert seen["authorization"] != "Bearer theirs" and "cookie" not in seen


async def test_an_operation_that_the_service_lacks_is_refused(upstream: ScriptedUpstream) -> None:
    async with opened(OpenAIDialect(presets.groq), upstream) as groq:
        with pytest.raises(InvalidRequest):
            await relayed(groq, _request("openai.embeddings", {"model": "m", "input": "hi"}))
    assert upstream.requests == []


# --- the Responses API's streams -------------------------------------------------------


def _response_events(*, last: str = "response.completed") -> list[object]:
    response: dict[str, object] = {"id": "resp_1", "status": last.rpartition(".")[2], "output": [], "error": None}
    usage = {"input_tokens": 7, "output_tokens": 3}
    return [
        {"type": "response.created", "sequence_number": 0, "response": {**response, "status": "in_progress"}},
        {"type": "response.in_progress", "sequence_number": 1, "response": {**response, "status": "in_progress"}},
        {"type": "response.output_text.delta", "sequence_number": 2, "delta": "Hello"},
        {"type": last, "sequence_number": 3, "response": {**response, "usage": usage}},
    ]


async def test_a_responses_stream_passes_as_it_came(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    answer = sse_answer(_response_events(), named=True)
    upstream.play(answer)
    pieces = await relayed(provider, _request("openai.responses", {"model": "m", "stream": True}, stream=True))
    assert b"".join(piece.data for piece in pieces) == answer.body
    assert (pieces[-1].usage, pieces[-1].finish_reason) == (Usage(7, 3), "completed")


@pytest.mark.parametrize("kind", ["failed at once", "error event", "cut", "an event twice"])
async def test_a_responses_stream_that_fails_is_told(
    upstream: ScriptedUpstream, provider: UpstreamProvider, kind: str
) -> None:
    events = _response_events()
    if kind == "failed at once":
        failure = {"status": "failed", "error": {"code": "server_error", "message": "it broke"}}
        events = [*events[:2], {"type": "response.failed", "sequence_number": 2, "response": failure}]
    elif kind == "error event":
        events = [*events[:3], {"type": "error", "code": "rate_limit_exceeded", "message": "busy"}]
    elif kind == "cut":
        events = events[:3]
    else:
        events = [*events[:3], events[2], events[3]]
    upstream.play(sse_answer(events, named=True))
    request = _request("openai.responses", {"model": "m", "stream": True}, stream=True)
    pieces, error = await broken_relay(provider, request)
    assert not any(piece.last for piece in pieces)
    if kind == "failed at once":
        assert pieces == [] and isinstance(error, UpstreamFailed) and "it broke" in str(error)
    if kind == "error event":
        assert isinstance(error, RateLimited)


async def test_a_stream_of_several_images_ends_with_the_last(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    image = {"type": "image_generation.completed", "b64_json": "aGk=", "usage": {"input_tokens": 5, "output_tokens": 9}}
    partial = {"type": "image_generation.partial_image", "b64_json": "aG=="}
    answer = sse_answer([partial, image, image], named=True)
    upstream.play(answer, sse_answer([partial], named=True))
    request = _request("openai.images.generations", {"model": "m", "n": 2, "stream": True}, stream=True)
    pieces = await relayed(provider, request)
    assert b"".join(piece.data for piece in pieces) == answer.body
    assert pieces[-1].usage == Usage(5, 9)
    assert isinstance((await broken_relay(provider, request))[1], UpstreamMalformed)


# --- sound and forms --------------------------------------------------------------------


async def test_speech_passes_as_it_comes(upstream: ScriptedUpstream, provider: UpstreamProvider) -> None:
    upstream.play(Answer((b"ID3\x00", b"\xff\xfb", b"\x90"), 200, {"content-type": "audio/mpeg"}))
    pieces = await relayed(provider, _request("openai.audio.speech", {"model": "tts-1", "input": "hi"}))
    assert b"".join(piece.data for piece in pieces) == b"ID3\x00\xff\xfb\x90"
    assert [piece.last for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert {piece.content_type for piece in pieces} == {"audio/mpeg"}


@pytest.mark.parametrize("content_type", ["text/html", "application/json", "audio/mpeg"])
async def test_speech_that_is_no_sound_is_not_passed_on(
    upstream: ScriptedUpstream, provider: UpstreamProvider, content_type: str
) -> None:
    """A page, JSON, and nothing at all."""
    body = {"text/html": (b"<html>",), "application/json": (b"{}",), "audio/mpeg": ()}[content_type]
    upstream.play(Answer(body, 200, {"content-type": content_type}))
    pieces, error = await broken_relay(provider, _request("openai.audio.speech", {"model": "tts-1", "input": "hi"}))
    assert pieces == [] and isinstance(error, UpstreamMalformed)


BOUNDARY = "----x1"


def _form(*parts: tuple[str, bytes]) -> bytes:
    made = b""
    for disposition, value in parts:
        made += f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + value + b"\r\n"
    return made + f"--{BOUNDARY}--\r\n".encode()


async def test_a_form_goes_on_as_it_came_but_for_the_model(
    upstream: ScriptedUpstream, provider: UpstreamProvider
) -> None:
    """A part "model" inside a file's content is left alone."""
    sound = b'RIFF\r\n\r\nname="model"\r\n\x00'
    parts = ('name="file"; filename="model"', sound), ('name="model"', b"ours"), ('name="prompt"', b"")
    upstream.play(json_answer({"text": "hello"}))
    content_type = f'multipart/form-data; boundary="{BOUNDARY}"'
    request = RelayRequest(
        "openai.audio.transcriptions", "whisper-1", _form(*parts), {}, stream=False, content_type=content_type
    )
    (piece,) = await relayed(provider, request)
    assert json.loads(piece.data) == {"text": "hello"}
    seen = upstream.requests[0]
    assert seen.headers["content-type"] == content_type
    assert seen.body == _form(parts[0], ('name="model"', b"whisper-1"), parts[2])


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (_form(('name="file"; filename="a"', b"x")), f"multipart/form-data; boundary={BOUNDARY}"),
        (_form(('name="model"', b"x")), "multipart/form-data; boundary=other"),
        (_form(('name="model"', b"x")), "multipart/form-data"),
        (b"", f"multipart/form-data; boundary={BOUNDARY}"),
        (f"--{BOUNDARY}\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"),
    ],
)
async def test_a_form_without_a_model_is_the_callers_mistake(
    upstream: ScriptedUpstream, provider: UpstreamProvider, body: bytes, content_type: str
) -> None:
    request = RelayRequest("openai.images.edits", "m", body, {}, stream=False, content_type=content_type)
    with pytest.raises(InvalidRequest):
        await relayed(provider, request)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("preset", "name"), [(presets.openai, "max_completion_tokens"), (presets.lm_studio, "max_tokens")]
)
async def test_a_default_of_the_replys_length_goes_under_the_name_that_the_service_knows(
    preset: presets.Preset, name: str
) -> None:
    """What the client has written itself passes as it is."""
    dialect = OpenAIDialect(preset)
    messages = [{"role": "user", "content": "hi"}]
    async with scripted_upstream(dialect.serve) as server, opened(dialect, server, keys=("env:FIRST",)) as provider:
        asked = _request("openai.chat", {"model": "m", "messages": messages}, stream=True)
        fields = {**asked.fields, "max_completion_tokens": b"7"}
        await relayed(provider, msgspec.structs.replace(asked, fields=fields))
        assert server.requests[-1].json[name] == 7
        own = {"model": "m", "messages": messages, "max_completion_tokens": 8}
        await relayed(provider, _request("openai.chat", own, stream=True))
        assert server.requests[-1].json["max_completion_tokens"] == 8
