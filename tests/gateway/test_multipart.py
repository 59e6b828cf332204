"""Calls that come as forms and are passed on. Shapes: the OpenAI API reference, "Audio" and "Images"; RFC 7578."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import openai
import pytest
from gateway_harness import gateway
from routing_harness import upstream
from service_harness import Service, field_of, form_of, service

from ghostd.config.http import HttpConfig
from ghostd.gateway.dialects.openai.multipart import PATHS as PASSED
from ghostd.testing.scripted import ScriptedProvider
from ghostd.testing.scripted_upstream import Answer, json_answer, sse_answer

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(range(256)) * 4 + b"\r\n--not-the-boundary\r\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
PATHS = tuple(PASSED)


def text_answer(text: str, kind: str) -> Answer:
    body = text.encode()
    return Answer((body,), 200, {"content-type": kind}, "length")


async def post(s: Service, path: str, body: bytes, content_type: str) -> tuple[int, dict[str, Any]]:
    headers = {"Content-Type": content_type}
    async with (
        aiohttp.ClientSession() as client,
        client.post(s.served.url + path, data=io.BytesIO(body), headers=headers) as reply,
    ):
        return reply.status, await reply.json()


def form(parts: Sequence[tuple[str, bytes]], boundary: str = "b") -> bytes:
    """Parts of a disposition's parameters and a content."""
    whole = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + data + b"\r\n"
        for head, data in parts
    )
    return whole + f"--{boundary}--\r\n".encode()


AUDIO = ('name="file"; filename="a.wav"', WAV)
MODEL = ('name="model"', b"acme/whisper-1")


# --- what is passed on ------------------------------------------------------------


@pytest.mark.covers("openai.audio", "transcriptions", behind="openai", state="passed on")
async def test_a_transcription_goes_to_the_service_with_its_own_name_of_the_model() -> None:
    async with service() as s:
        s.upstream.play(json_answer({"text": "hello", "usage": {"type": "duration", "seconds": 3}}))
        found = await s.client.audio.transcriptions.create(
            model=s.model("whisper-1"), file=("a.wav", WAV, "audio/wav"), language="en", temperature=0.2
        )
        assert found.text == "hello"
        (seen,) = s.upstream.requests
        assert seen.path == "/base/audio/transcriptions"
        assert field_of(seen, "model") == b"whisper-1"
        assert field_of(seen, "file") == WAV
        assert (field_of(seen, "language"), field_of(seen, "temperature")) == (b"en", b"0.2")
        (part,) = [part for part in form_of(seen) if part.get_filename()]
        assert (part.get_filename(), part.get_content_type()) == ("a.wav", "audio/wav")
        (row,) = s.ledger.rows
        assert (row.operation, row.status, row.deployment) == ("openai.audio.transcriptions", "ok", "acme/whisper-1")


@pytest.mark.covers("openai.audio", "transcriptions: response_format", behind="openai", state="passed on")
@pytest.mark.parametrize(
    ("kind", "reply"),
    [
        ("text", text_answer("hello\n", "text/plain; charset=utf-8")),
        ("srt", text_answer("1\n00:00:00,000 --> 00:00:01,000\nhello\n", "text/plain; charset=utf-8")),
        ("vtt", text_answer("WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n", "text/vtt")),
        ("verbose_json", json_answer({"task": "transcribe", "text": "hello", "segments": [], "newer": 1})),
    ],
)
async def test_a_transcription_comes_back_in_whatever_type_it_has(kind: Any, reply: Answer) -> None:
    async with service() as s:
        s.upstream.play(reply)
        raw = await s.client.audio.transcriptions.with_raw_response.create(
            model=s.model("whisper-1"), file=("a.wav", WAV), response_format=kind
        )
        assert raw.content == reply.body
        assert raw.headers["content-type"] == reply.headers["content-type"]
        assert raw.headers["x-ghostd-deployment"] == "acme/whisper-1"
        assert field_of(s.upstream.requests[0], "response_format") == kind.encode()


@pytest.mark.covers("openai.audio", "transcriptions: stream", behind="openai", state="passed on")
async def test_a_streamed_transcription_comes_event_by_event() -> None:
    events: list[dict[str, Any]] = [
        {"type": "transcript.text.delta", "delta": "hel"},
        {"type": "transcript.text.delta", "delta": "lo"},
        {"type": "transcript.text.done", "text": "hello", "usage": {"input_tokens": 9, "output_tokens": 2}},
    ]
    async with service() as s:
        s.upstream.play(sse_answer(events))
        stream = await s.client.audio.transcriptions.create(
            model=s.model("gpt-4o-transcribe"), file=("a.wav", WAV), stream=True
        )
        assert [event.type async for event in stream] == [event["type"] for event in events]
        assert (s.ledger.rows[0].prompt_tokens, s.ledger.rows[0].completion_tokens) == (9, 2)


async def test_a_model_that_does_not_stream_may_answer_whole() -> None:
    """ "Streaming is not supported for the whisper-1 model and will be ignored."."""
    async with service() as s:
        s.upstream.play(json_answer({"text": "hello"}))
        stream = ('name="stream"', b"true")
        found = await post(s, PATHS[0], form([AUDIO, MODEL, stream]), "multipart/form-data; boundary=b")
        assert found == (200, {"text": "hello"})


@pytest.mark.covers("openai.audio", "translations", behind="openai", state="passed on")
@pytest.mark.covers("openai.images", "edits", behind="openai", state="passed on")
@pytest.mark.covers("openai.images", "variations", behind="openai", state="passed on")
@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
async def test_translations_edits_and_variations_are_passed_on() -> None:
    async with service() as s:
        s.upstream.play(json_answer({"text": "hello"}))
        said = await s.client.audio.translations.create(model=s.model("whisper-1"), file=("a.wav", WAV))
        assert said.text == "hello"
        s.upstream.play(json_answer({"created": 1, "data": [{"b64_json": "eA=="}]}))
        made = await s.client.images.edit(
            model=s.model("gpt-image-1"), prompt="a cat", image=[("1.png", PNG), ("2.png", PNG)], mask=("m.png", PNG)
        )
        assert made.data is not None
        assert made.data[0].b64_json == "eA=="
        s.upstream.play(json_answer({"created": 1, "data": [{"url": "x"}]}))
        await s.client.images.create_variation(image=("1.png", PNG))  # its model is optional
        paths = [seen.path for seen in s.upstream.requests]
        assert paths == ["/base/audio/translations", "/base/images/edits", "/base/images/variations"]
        names = [part.get_param("name", header="content-disposition") for part in form_of(s.upstream.requests[1])]
        assert sorted(map(str, names)) == ["image[]", "image[]", "mask", "model", "prompt"]
        assert field_of(s.upstream.requests[1], "mask") == PNG
        assert field_of(s.upstream.requests[2], "model") in (b"gpt-image-1", b"dall-e-2")


async def test_the_services_refusal_is_told_in_its_own_words() -> None:
    async with service() as s:
        told = {"error": {"message": "bad audio", "type": "invalid_request_error", "param": "file", "code": "newer"}}
        s.upstream.play(json_answer(told, 400))
        with pytest.raises(openai.BadRequestError) as caught:
            await s.client.audio.transcriptions.create(model=s.model("whisper-1"), file=("a.wav", WAV))
        assert caught.value.body == told["error"]


async def test_sound_is_passed_on_as_it_comes() -> None:
    """The first piece reaches the client while the service is still making the others."""
    async with service() as s:
        s.upstream.play(Answer((b"ID3first",), 200, {"content-type": "audio/mpeg"}, ending="hang"))
        async with (
            aiohttp.ClientSession() as client,
            client.post(
                f"{s.served.url}/v1/audio/speech", json={"model": "acme/tts-1", "input": "hi", "voice": "alloy"}
            ) as reply,
        ):
            assert (reply.status, reply.headers["content-type"]) == (200, "audio/mpeg")
        await s.upstream.abandoned()


@pytest.mark.covers("openai.audio", "speech", behind="openai", state="passed on")
async def test_sound_comes_whole() -> None:
    pieces = [bytes([number]) * 5000 for number in range(20)]
    async with service() as s:
        s.upstream.play(Answer(tuple(pieces), 200, {"content-type": "audio/mpeg"}))
        async with s.client.audio.speech.with_streaming_response.create(
            model=s.model("tts-1"), input="hi", voice="alloy"
        ) as reply:
            assert b"".join([block async for block in reply.iter_bytes()]) == b"".join(pieces)


async def test_sound_that_breaks_off_is_not_passed_off_as_whole() -> None:
    async with service() as s:
        s.upstream.play(Answer((b"one" * 999, b"two"), 200, {"content-type": "audio/mpeg"}, ending="cut"))
        with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
            async with (
                aiohttp.ClientSession() as client,
                client.post(f"{s.served.url}/v1/audio/speech", json={"model": "acme/tts-1", "input": "x"}) as reply,
            ):
                assert reply.status == 200
                await reply.read()
        assert s.ledger.rows[0].status == "partial"


async def test_a_client_that_hangs_up_frees_the_service() -> None:
    async with service() as s:
        s.upstream.play(Answer(silent=True, ending="hang"))
        asking = asyncio.create_task(
            s.client.audio.transcriptions.create(model=s.model("whisper-1"), file=("a.wav", WAV))
        )
        await s.upstream.requested()
        asking.cancel()
        await s.upstream.abandoned()
        with pytest.raises(asyncio.CancelledError):
            await asking


# --- what is refused --------------------------------------------------------------


def sent(*parts: tuple[str, bytes]) -> Mapping[str, Any]:
    return {"body": form([AUDIO, *parts])}


REFUSED: Mapping[str, tuple[Mapping[str, Any], int, str | None, str]] = {
    "no model": (sent(), 400, "model", "Missing required parameter: 'model'"),
    "an empty model": (sent(('name="model"', b"")), 400, "model", "Missing required parameter: 'model'"),
    "two models": (sent(MODEL, MODEL), 400, "model", "it is given 2 times"),
    "a model as a file": (sent(('name="model"; filename="m"', b"x")), 400, "model", "not a file"),
    "a model that is no text": (sent(('name="model"', b"\xff\xfe")), 400, "model", "not UTF-8"),
    "an endless model": (sent(('name="model"', b"m" * 501)), 400, "model", "501 characters"),
    "an unknown model": (sent(('name="model"', b"nobody")), 404, "model", "does not exist"),
    "a wrong stream": (sent(MODEL, ('name="stream"', b"maybe")), 400, "stream", "true or false"),
    "another upstream": (sent(MODEL, ('name="api_base"', b"http://evil.test")), 400, "api_base", "not taken"),
    "no boundary": ({"body": form([AUDIO]), "content_type": "multipart/form-data; x=1"}, 400, None, "no boundary"),
    "a bare type": ({"body": form([AUDIO]), "content_type": "Multipart/form-data"}, 400, None, "no boundary"),
    "a long boundary": (
        {"body": form([AUDIO]), "content_type": f"multipart/form-data; boundary={'b' * 71}"}, 400, None, "1 to 70",
    ),
    "another boundary": ({"body": form([AUDIO, MODEL], "other")}, 400, None, "malformed"),
    "no end": ({"body": form([AUDIO, MODEL])[:-6]}, 400, None, "malformed"),
    "an empty body": ({"body": b""}, 400, None, "malformed"),
    "a part without a name": (sent(("x=1", b"1")), 400, None, "no name"),
    "no disposition": ({"body": b"--b\r\nX: y\r\n\r\n1\r\n--b--\r\n"}, 400, None, "Content-Disposition"),
    "a line break in a header": (sent(('name="x"; y="a\rb"', b"1")), 400, None, "control characters"),
    "thousands of fields": (sent(*[('name="x"', b"1")] * 5000), 413, None, "at most 128 parts"),
    "a huge field": (sent(('name="prompt"', b"x" * 1_048_577)), 400, "prompt", "at most 1048576 bytes"),
    "a huge header": (sent((f'name="{"n" * 9000}"', b"1")), 413, None, "at most 128 parts"),
    "many headers": (
        {"body": b"--b\r\n" + b"X: y\r\n" * 50 + b"\r\n1\r\n--b--\r\n"}, 413, None, "header lines",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
async def test_forms_are_refused_with_the_field(name: str) -> None:
    changes, status, param, told = REFUSED[name]
    content_type = changes.get("content_type", "multipart/form-data; boundary=b")
    async with service() as s:
        found = await post(s, PATHS[0], changes["body"], content_type)
        assert (found[0], found[1]["error"]["param"]) == (status, param)
        assert told in found[1]["error"]["message"]
        assert s.upstream.requests == []


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_over_the_limit_is_refused(path: str) -> None:
    async with service(HttpConfig(max_body_bytes=1000)) as s:
        found = await post(s, path, form([AUDIO, MODEL]), "multipart/form-data; boundary=b")
        assert (found[0], found[1]["error"]["code"]) == (413, "request_too_large")


async def test_forms_are_taken_only_where_the_api_has_them() -> None:
    async with service() as s:
        found = await post(s, "/v1/chat/completions", form([MODEL]), "multipart/form-data; boundary=b")
        assert (found[0], found[1]["error"]["code"]) == (415, "unsupported_media_type")


async def test_a_part_that_only_looks_like_the_model_stays_as_it_was() -> None:
    """What the service reads is what ghostd has read, whatever tricks a header plays."""
    trick = ('filename="; name=model; x="; name="notes"', b"evil")
    async with service() as s:
        s.upstream.play(json_answer({"text": "hello"}))
        status, _ = await post(s, PATHS[0], form([trick, AUDIO, MODEL]), "multipart/form-data; boundary=b")
        assert status == 200
        (seen,) = s.upstream.requests
        assert field_of(seen, "model") == b"whisper-1"
        assert field_of(seen, "notes") == b"evil"


# --- what nobody offers -----------------------------------------------------------


@pytest.mark.covers("openai.images", behind=("anthropic", "gemini", "ollama", "local"), state="refused")
@pytest.mark.covers("openai.audio", behind=("anthropic", "gemini", "ollama", "local"), state="refused")
@pytest.mark.parametrize("path", PATHS)
async def test_calls_that_no_service_offers_are_refused_with_the_reason(path: str) -> None:
    local = ScriptedProvider(model="local-model")
    async with gateway('routes.r.deployments = ["a/m"]\n', upstream("a"), local=[local]) as g:
        for model in (b"r", b"a/m", b"local-model", b"auto"):
            g.world.calls += 1
            body = io.BytesIO(form([AUDIO, ('name="model"', model)]))
            headers = {"Content-Type": "multipart/form-data; boundary=b"}
            async with g.client.post(g.served.url + path, data=body, headers=headers) as reply:
                error = (await reply.json())["error"]
                assert (reply.status, error["code"], error["param"]) == (400, "unsupported_parameter", "model")
                assert f"does not offer {PASSED[path]}" in error["message"]
