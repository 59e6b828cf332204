"""Bodies that are no good, at every door that takes JSON: a 4xx in the dialect's shape, at once."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import aiohttp
import pytest

from ghostd.config.http import HttpConfig
from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.gateway.dialects.responses.doors import responses_doors
from ghostd.gateway.doors import public_routes
from ghostd.gateway.openapi.document import template
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider

LIMIT = 100_000
MAY_BE_EMPTY = ("/v1/conversations",)
JSON = "application/json"


def doors() -> list[tuple[str, str]]:
    """Method and path of every route that takes a JSON body."""

    async def opened() -> list[tuple[str, str]]:
        engine = Engine([])
        async with responses_doors(engine, None, ResponsesConfig()) as responses:
            routes = public_routes(engine, dict, responses).all()
            return [(r.method, template(r).replace("{id}", "x")) for r in routes if r.doc and r.doc.body is not None]

    return asyncio.run(opened())


def text(value: str) -> bytes:
    """A body whose members every door reads or ignores, one of them being this JSON text."""
    return (
        b'{"model":"scripted-model","messages":[{"role":"user","content":"hi"}],"prompt":"hi","input":"hi",'
        b'"max_tokens":5,"temperature":%b}' % value.encode("utf-8", "surrogatepass")
    )


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \n ",
    "cut": b'{"model":"scripted-model"',
    "an array": b'[{"model":"scripted-model"}]',
    "null": b"null",
    "a text": b'"model"',
    "a number": b"1e400",
    "two values": b"{} {}",
    "not JSON": b"model=scripted-model&prompt=hi",
    "JavaScript": b"{model:'scripted-model'}",
    "a trailing comma": b'{"model":"scripted-model",}',
    "a comment": b'{"model":"scripted-model"}//',
    "NaN": text("NaN"),
    "Infinity": text("-Infinity"),
    "hexadecimal": text("0x10"),
    "a bare control character": b'{"model":"scripted\x00model"}',
    "UTF-16": '{"model":"scripted-model"}'.encode("utf-16"),
    "Latin-1": '{"model":"é"}'.encode("latin-1"),
    "an overlong encoding": b'{"model":"\xc0\x80"}',
    "a surrogate in UTF-8": b'{"model":"\xed\xa0\x80"}',
    "a lone surrogate": b'{"model":"\\ud800"}',
    "a lone surrogate as a name": b'{"\\udfff":1,"model":"\\ud800"}',
    "nested arrays": b'{"model":' + b"[" * 40_000 + b"]" * 40_000 + b"}",
    "nested objects": b'{"a":' * 15_000 + b"1" + b"}" * 15_000,
    "unclosed arrays": b"[" * 90_000,
}
"""No door can take these."""

DOUBTFUL: dict[str, bytes] = {
    "a float without bounds": text("1e400"),
    "an integer without bounds": text("1" + "0" * 400),
    "a negative integer without bounds": text("-1" + "0" * 5000),
    "a fraction without end": text("0." + "3" * 5000),
    "a byte order mark": b"\xef\xbb\xbf" + text("0.5"),
    "a name twice": b'{"model":"nobody",' + text("0.5")[1:],
    "an escaped NUL": text("0.5").replace(b'"hi"', b'"h\\u0000i"'),
    "a long name": b'{"' + b"x" * 50_000 + b'":1,' + text("0.5")[1:],
    "many names": b"{" + b"".join(b'"a%d":1,' % number for number in range(5000)) + text("0.5")[1:],
    "wrong types": json.dumps(
        {
            name: {"x": [None, True, -1]}
            for name in ("messages", "prompt", "input", "tools", "stop", "options", "system")
        }
        | {"model": "scripted-model"}
    ).encode(),
    "no model": b'{"messages":[],"prompt":"","input":""}',
    "a model that is a number": b'{"model":5}',
    "a stream that is a text": text("0.5")[:-1] + b',"stream":"yes"}',
}
"""These may be taken, or are refused; nothing breaks."""


async def post(
    client: aiohttp.ClientSession, url: str, method: str, body: bytes, kind: str = JSON
) -> tuple[int, bytes]:
    async with asyncio.timeout(20):
        async with client.request(method, url, data=io.BytesIO(body), headers={"Content-Type": kind}) as reply:
            return reply.status, await reply.read()


def said(raw: bytes) -> str:
    """The words of an error, in whatever dialect's shape; it gives nothing of ghostd's inside away."""
    found: Any = json.loads(raw)
    error = found.get("error", found)
    message = error if isinstance(error, str) else error.get("message") or error.get("detail") or error.get("msg")
    assert isinstance(message, str), raw
    assert message
    assert "Traceback" not in message
    assert ".py" not in message
    return message


@pytest.mark.parametrize(("method", "path"), doors())
async def test_what_is_no_json_object_is_refused_in_words(method: str, path: str) -> None:
    """RFC 8259; NaN and lone surrogates are none of it."""
    async with (
        serving(ScriptedProvider(), config=HttpConfig(max_body_bytes=LIMIT)) as served,
        aiohttp.ClientSession() as client,
    ):
        for name, body in MALFORMED.items():
            if name in ("empty", "blank") and path in MAY_BE_EMPTY:
                continue
            status, raw = await post(client, served.url + path, method, body)
            assert 400 <= status < 500, (name, status, raw)
            said(raw)


@pytest.mark.parametrize(("method", "path"), doors())
async def test_awkward_values_break_nothing(method: str, path: str) -> None:
    provider = ScriptedProvider()
    async with (
        serving(provider, config=HttpConfig(max_body_bytes=LIMIT)) as served,
        aiohttp.ClientSession() as client,
    ):
        for name, body in DOUBTFUL.items():
            status, raw = await post(client, served.url + path, method, body)
            assert status < 500 or status == 501, (name, status, raw)
            if status >= 400:
                said(raw)


@pytest.mark.parametrize(("method", "path"), doors())
async def test_bodies_of_other_types_and_too_large_ones_are_refused(method: str, path: str) -> None:
    async with (
        serving(ScriptedProvider(), config=HttpConfig(max_body_bytes=LIMIT)) as served,
        aiohttp.ClientSession() as client,
    ):
        for kind in ("text/plain", "application/xml", "application/json; charset=utf-16"):
            status, raw = await post(client, served.url + path, method, text("0.5"), kind)
            assert status == 415 or (method == "DELETE" and status == 400), (kind, status)  # a page cannot send those
            said(raw)
        status, raw = await post(client, served.url + path, method, text('"' + "x" * LIMIT + '"'))
        assert status == 413
        assert str(LIMIT) in said(raw)
        async with client.request(method, served.url + path, data=endless(), headers={"Content-Type": JSON}) as reply:
            assert reply.status == 413


async def endless() -> Any:
    """A body in chunks that never ends."""
    while True:
        yield b"[" * 10_000


async def test_of_a_name_that_comes_twice_the_last_counts_at_every_level() -> None:
    """As in JavaScript and Python, and as docs/http-api.md says."""
    provider = ScriptedProvider()
    body = (
        b'{"model":"nobody","model":"scripted-model","messages":[{"role":"robot","content":"a","role":"user",'
        b'"content":"b"}]}'
    )
    async with serving(provider) as served, aiohttp.ClientSession() as client:
        status, raw = await post(client, f"{served.url}/v1/chat/completions", "POST", body)
    assert status == 200, raw
    assert provider.requests[0].messages[0].text == "b"  # type: ignore[union-attr]
