"""Upstream: keys, headers, refusals and content types, against a server that says exactly what the test wants."""

from __future__ import annotations

import asyncio
import email.utils
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from raw_upstream import Peer, RawUpstream, answering, chunk, chunked, raw_upstream, reply

from ghostd import __version__
from ghostd.config.providers import ProviderConfig, UpstreamConfig
from ghostd.errors import (
    KeyRefused,
    NoUsableKey,
    QuotaExhausted,
    RateLimited,
    SecretError,
    UpstreamError,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from ghostd.providers.http.client import http_client
from ghostd.providers.keys import Key, KeyPool
from ghostd.providers.refusals import openai_refusal, retry_after_s
from ghostd.providers.upstream import Endpoint, Format, Upstream
from ghostd.types import Timeouts

Expect = Literal["json", "sse", "ndjson", "any"]


class Secrets:
    """Secrets in memory."""

    def __init__(self, **values: str) -> None:
        self.values = values

    async def get(self, reference: str) -> str:
        try:
            return self.values[reference.removeprefix("env:")]
        except KeyError:
            raise SecretError(f"{reference} is not set") from None

    def forget(self, reference: str) -> None:
        return None


def bearer(key: Key) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {key.value}"}


@asynccontextmanager
async def asking(
    served: RawUpstream, secrets: Secrets | None = None, settings: ProviderConfig | None = None
) -> AsyncIterator[tuple[Upstream, KeyPool]]:
    secrets = secrets or Secrets()
    loop = asyncio.get_running_loop()
    keys = KeyPool("acme", [f"env:{name}" for name in secrets.values], secrets, loop.time)
    limits = UpstreamConfig(proxy="")
    async with http_client(limits) as http:
        endpoint = Endpoint("acme", f"{served.url}/v1", settings or ProviderConfig(), limits, keys, http)
        yield Upstream(endpoint, authorize=bearer, refusal=openai_refusal, headers={"X-Api": "1", "X-Both": "a"}), keys


async def send(upstream: Upstream, expect: Format = "json", **more: str) -> bytes:
    headers = {name.replace("_", "-"): value for name, value in more.items()}
    response = await upstream.send("POST", "/chat", b"{}", timeouts=Timeouts(), expect=expect, headers=headers)
    return await response.read()


def error(code: str | int | None = None, message: str = "no", **fields: object) -> bytes:
    return json.dumps({"error": {"message": message, "code": code, **fields}}).encode()


REFUSED = reply(error("invalid_api_key", "Incorrect API key: sk-first-key"), status="401 Unauthorized")
LIMITED = reply(error("rate_limit_exceeded"), "Retry-After: 7", status="429 Too Many Requests")
EXHAUSTED = reply(error("insufficient_quota"), status="429 Too Many Requests")


async def test_a_request_carries_key_and_headers_the_configurations_first() -> None:
    configured = ProviderConfig(headers={"x-both": "b", "X-Org": "o"})
    async with (
        answering(reply(b'{"ok":1}')) as served,
        asking(served, Secrets(A="sk-first-key"), configured) as (upstream, _),
    ):
        assert await send(upstream, x_beta="new", authorization="Bearer stolen") == b'{"ok":1}'
        line, headers, body = served.requests[0]
        assert (line, body) == ("POST /v1/chat HTTP/1.1", b"{}")
        assert headers == {
            "host": served.where, "user-agent": f"ghostd/{__version__}", "accept": "application/json",
            "accept-encoding": "gzip", "content-type": "application/json", "content-length": "2", "x-api": "1",
            "x-both": "b", "x-org": "o", "x-beta": "new", "authorization": "Bearer sk-first-key",
        }  # fmt: skip


async def test_a_stream_is_asked_for_uncompressed() -> None:
    async with answering(chunked(b"data: 1\n\n")) as served, asking(served) as (upstream, _):
        assert await send(upstream, "sse") == b"data: 1\n\n"
        headers = served.requests[0][1]
        assert (headers["accept"], headers["accept-encoding"]) == ("text/event-stream", "identity")
        assert "authorization" not in headers


# --- keys -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "state"), [(REFUSED, "refuses the API key"), (LIMITED, "pause"), (EXHAUSTED, "used up")]
)
async def test_a_key_that_does_not_work_rests_and_the_next_one_is_tried(first: bytes, state: str) -> None:
    async with (
        answering(first, reply(b"{}")) as served,
        asking(served, Secrets(A="sk-first-key", B="sk-second-key")) as (upstream, keys),
    ):
        assert await send(upstream) == b"{}"
        assert await send(upstream) == b"{}"
        used = [headers["authorization"].removeprefix("Bearer ") for _, headers, _ in served.requests]
        assert used == ["sk-first-key", "sk-second-key", "sk-second-key"]
        assert [key.state for key in keys.states()] == ["resting", "ready"]
        assert state in keys.states()[0].detail


@pytest.mark.parametrize(("last", "kind"), [(REFUSED, KeyRefused), (LIMITED, RateLimited), (EXHAUSTED, QuotaExhausted)])
async def test_when_no_key_is_left_the_last_refusal_is_told(last: bytes, kind: type[UpstreamError]) -> None:
    async with (
        answering(LIMITED, last) as served,
        asking(served, Secrets(A="sk-first-key", B="sk-second-key")) as (upstream, _),
    ):
        with pytest.raises(kind, match=r"^acme: "):
            await send(upstream)
        assert len(served.requests) == 2
        with pytest.raises(NoUsableKey, match=r"^acme: "):
            await send(upstream)
        assert len(served.requests) == 2


async def test_without_keys_a_refusal_is_told_at_once() -> None:
    async with answering(REFUSED) as served, asking(served) as (upstream, _):
        with pytest.raises(KeyRefused):
            await send(upstream)
        assert len(served.requests) == 1


async def test_a_key_that_was_replaced_meanwhile_is_tried_at_once() -> None:
    secrets = Secrets(A="sk-first-key")

    async def script(peer: Peer) -> None:
        while True:
            _, headers, _ = await peer.request()
            works = headers["authorization"] == "Bearer sk-second-key"
            secrets.values["A"] = "sk-second-key"
            await peer.send(reply(b"{}") if works else REFUSED)

    async with raw_upstream(script) as served, asking(served, secrets) as (upstream, keys):
        keys.succeeded(Key("env:A", "sk-first-key"))
        lease = await keys.lease()
        assert lease is not None
        keys.succeeded(lease)  # it used to work, so its refusal means that it was rotated
        assert await send(upstream) == b"{}"


async def test_other_errors_rest_no_key() -> None:
    for status in ("500 Oops", "400 Bad", "404 None"):
        async with (
            answering(reply(error(), status=status)) as served,
            asking(served, Secrets(A="sk-first-key", B="sk-second-key")) as (upstream, keys),
        ):
            with pytest.raises(UpstreamError):
                await send(upstream)
            assert len(served.requests) == 1
            assert all(key.state != "resting" for key in keys.states())


async def test_a_key_that_no_header_can_hold_rests_without_being_sent() -> None:
    async with (
        answering(reply(b"{}")) as served,
        asking(served, Secrets(A="sk-first\nkey", B="sk-second-key")) as (upstream, keys),
    ):
        assert await send(upstream) == b"{}"
        assert [headers["authorization"] for _, headers, _ in served.requests] == ["Bearer sk-second-key"]
        assert keys.states()[0].state == "resting"


async def test_a_key_that_the_upstream_repeats_is_not_told() -> None:
    told = reply(error(None, "no sk-first-key here"), status="400 Bad")
    async with answering(told, REFUSED) as served, asking(served, Secrets(A="sk-first-key")) as (upstream, keys):
        with pytest.raises(UpstreamRejected) as rejected:
            await send(upstream)
        assert str(rejected.value) == "no [redacted] here"
        assert rejected.value.body is not None
        assert b"sk-first-key" not in rejected.value.body
        with pytest.raises(KeyRefused) as refused:
            await send(upstream)
        assert "sk-first-key" not in str(refused.value) + keys.states()[0].detail


# --- refusals -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error(), UpstreamRejected),
        (409, error(), UpstreamRejected),
        (413, b"<html>too large</html>", UpstreamRejected),
        (415, b"", UpstreamRejected),
        (422, b'{"detail":[{"loc":["body"],"msg":"bad"}]}', UpstreamRejected),
        (401, error("invalid_api_key"), KeyRefused),
        (403, b"", KeyRefused),
        (402, b"{}", QuotaExhausted),
        (429, error("insufficient_quota"), QuotaExhausted),
        (429, error(None, type="insufficient_quota"), QuotaExhausted),
        (403, error("billing_not_active"), QuotaExhausted),
        (429, error("rate_limit_exceeded"), RateLimited),
        (404, error("model_not_found"), UpstreamModelMissing),
        (400, error("model_not_found"), UpstreamModelMissing),
        (404, error(), UpstreamModelMissing),
        (404, b'{"detail":"Not Found"}', UpstreamModelMissing),
        (408, b"", UpstreamFailed),
        (425, b"", UpstreamFailed),
        (500, error("insufficient_whatever"), UpstreamFailed),
        (503, b"<html>", UpstreamFailed),
        (529, b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', UpstreamFailed),
        (400, b'{"error":"bad thing"}', UpstreamRejected),
        (400, b'[{"error":{"code":400,"message":"bad","status":"INVALID_ARGUMENT"}}]', UpstreamRejected),
        (400, b'{"message":"bad","code":3051}', UpstreamRejected),
        (400, b'{"error":{"message":{"message":"deep"}}}', UpstreamRejected),
        (400, b'{"error":null}', UpstreamRejected),
        (400, b"[" * 60_000, UpstreamRejected),
        (400, b"\xff\xfe", UpstreamRejected),
        (403, error(403, "flagged", metadata={"flagged_input": "x", "reasons": ["y"]}), UpstreamRejected),
    ],
)  # fmt: skip
async def test_a_refusal_is_told_apart_by_status_and_code(status: int, body: bytes, kind: type[UpstreamError]) -> None:
    async with answering(reply(body, status=f"{status} Refused")) as served, asking(served) as (upstream, _):
        with pytest.raises(UpstreamError) as caught:
            await send(upstream)
        assert type(caught.value) is kind
        if isinstance(caught.value, (UpstreamRejected, UpstreamFailed)):
            assert caught.value.status == status


async def test_what_the_upstream_rejects_keeps_its_words_code_and_body() -> None:
    body = error("string_too_long", "'x' is too long", type="invalid_request_error", param="messages[0]")
    async with answering(reply(body, status="400 Bad Request")) as served, asking(served) as (upstream, _):
        with pytest.raises(UpstreamRejected) as caught:
            await send(upstream)
        told = caught.value
        assert (str(told), told.code, told.kind, told.param, told.reason, told.body) == (
            "'x' is too long", "string_too_long", "invalid_request_error", "messages[0]", None, body
        )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (error("context_length_exceeded"), "context"),
        (error("content_filter"), "content_filter"),
        (error("content_policy_violation"), "content_filter"),
        (error(None, "This model's maximum context length is 5 tokens"), None),
    ],
)
async def test_only_a_code_says_that_another_model_may_help(body: bytes, reason: str | None) -> None:
    async with answering(reply(body, status="400 Bad Request")) as served, asking(served) as (upstream, _):
        with pytest.raises(UpstreamRejected) as caught:
            await send(upstream)
        assert caught.value.reason == reason


async def test_a_refusals_body_is_read_to_64_kib_only() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await peer.send(chunk(b"x" * 10_000))

    async with raw_upstream(script) as served, asking(served) as (upstream, _):
        with pytest.raises(UpstreamFailed, match="status 500") as caught:
            await send(upstream)
        assert len(str(caught.value)) < 2000


async def test_a_refusal_whose_body_breaks_off_is_told_by_its_status() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(LIMITED[:-5])

    async with raw_upstream(script) as served, asking(served) as (upstream, _):
        with pytest.raises(RateLimited) as caught:
            await send(upstream)
        assert caught.value.retry_after_s == 7


async def test_a_short_refusal_gives_its_connection_back() -> None:
    async with answering(reply(error(), status="500 Oops")) as served, asking(served) as (upstream, _):
        for _ in range(3):
            with pytest.raises(UpstreamFailed):
                await send(upstream)
        assert served.connections == 1


async def test_a_redirect_is_not_followed_and_told_with_its_host() -> None:
    moved = reply(b"", "Location: https://evil.example/v1?key=1", status="307 Temporary Redirect")
    async with answering(moved) as served, asking(served, Secrets(A="sk-first-key")) as (upstream, _):
        with pytest.raises(UpstreamMalformed, match=r"^acme: .*redirect \(307\) to evil\.example; base_url"):
            await send(upstream)
        assert len(served.requests) == 1


# --- content types --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "kind", "accepted"),
    [
        ("json", "application/json", True),
        ("json", "Application/JSON; charset=utf-8", True),
        ("json", "application/problem+json", True),
        ("json", "text/plain", True),
        ("json", "text/html", False),
        ("json", "text/html; charset=utf-8", False),
        ("json", "text/event-stream", False),
        ("json", "audio/mpeg", False),
        ("sse", "text/event-stream; charset=utf-8", True),
        ("sse", "application/json", True),
        ("sse", "text/html", False),
        ("sse", "text/plain", False),
        ("ndjson", "application/x-ndjson", True),
        ("ndjson", "application/json", True),
        ("ndjson", "text/html", False),
        ("any", "audio/mpeg", True),
        ("any", "text/html", False),
    ],
)
async def test_the_reply_must_be_of_the_expected_type(expect: Expect, kind: str, accepted: bool) -> None:
    async with answering(reply(b"{}", kind=kind)) as served, asking(served) as (upstream, _):
        if accepted:
            assert await send(upstream, expect) == b"{}"
        else:
            with pytest.raises(UpstreamMalformed, match=r"^acme: it answers with"):
                await send(upstream, expect)


async def test_a_reply_without_a_type_is_left_to_its_reader() -> None:
    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}") as served, asking(served) as (upstream, _):
        for expect in ("json", "sse", "ndjson", "any"):
            assert await send(upstream, expect) == b"{}"


# --- the network's errors -------------------------------------------------------------


async def test_errors_of_the_network_are_headed_by_the_providers_name() -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")

    async with raw_upstream(script) as served, asking(served) as (upstream, _):
        with pytest.raises(UpstreamMalformed, match=r"^acme: the reply was cut off"):
            await send(upstream)
        with pytest.raises(UpstreamUnreachable, match=r"^acme: connection"):
            await send(upstream)
        with pytest.raises(UpstreamTimeout, match=r"^acme: no time left"):
            await upstream.send("GET", "/", timeouts=Timeouts(deadline_s=0.0))
        with pytest.raises(UpstreamUnreachable, match=r"^acme: connection refused by 127\.0\.0\.1:1$"):
            await upstream.send("GET", "/", timeouts=Timeouts(), base_url="http://127.0.0.1:1")


# --- Retry-After ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "9" * 5000}, 86400),
        ({"retry-after": "inf"}, 86400),
        ({"retry-after": "86401"}, 86400),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86400),
        ({"retry-after": "Thu, 99 Jan 2026 00:00:00 GMT"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_by_rfc_9110(headers: dict[str, str], expected: float | None) -> None:
    """RFC 9110 10.2.3; the milliseconds are OpenAI's. Capped at a day."""
    assert retry_after_s(headers) == expected


def test_retry_after_may_be_a_date() -> None:
    soon = email.utils.formatdate(time.time() + 30, usegmt=True)
    found = retry_after_s({"retry-after": soon})
    assert found is not None
    assert 25 < found <= 31
