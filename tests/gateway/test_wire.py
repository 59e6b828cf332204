"""Raw bytes on the connection: what is not HTTP, what is slow, what is too big, who hangs up."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import socket
from collections.abc import Iterator

import msgspec
import pytest
from gateway_wire import CHAT, STREAM, Wire, eventually, skip, wire

from ghostd.config.http import HttpConfig
from ghostd.gateway import connection, sse
from ghostd.telemetry import request_id
from ghostd.testing.gateway import check_failed_stream, check_stream, serving
from ghostd.testing.scripted import ScriptedProvider


@pytest.mark.parametrize(
    "junk",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # a TLS greeting
        b"hello\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n{}",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"GET /health HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET /health HTTP/1.1\r\n folded: x\r\n\r\n",
    ],
)
async def test_what_is_not_http_gets_a_short_400_without_a_traceback(
    junk: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(junk)
        status, headers, body = await client.reply()
        assert status == 400
        assert json.loads(body)["error"]["code"] == "malformed_http"
        assert headers["server"] == "ghostd"
        assert headers["x-request-id"].startswith("req_")
        assert len(body) < 300
        assert await client.closed()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert not any(record.exc_info for record in caplog.records)


async def test_junk_in_a_row_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ScriptedProvider()) as served:
        for _ in range(20):
            async with wire(served) as client:
                await client.send(b"junk\r\n\r\n")
                assert await client.error() == (400, "malformed_http")
    assert len(caplog.records) == 1


async def test_a_header_over_the_limit_is_refused() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head("GET /health HTTP/1.1", "X-Long: " + "x" * 40_000))
        assert await client.error() == (431, "headers_too_large")


@pytest.mark.parametrize("start", [b"", b"GET /hea", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: "])
async def test_a_head_that_does_not_arrive_in_time_ends_the_connection(start: bytes) -> None:
    async with serving(ScriptedProvider(), config=HttpConfig(header_timeout_s=0.1)) as served, wire(served) as client:
        await client.send(start)
        assert await client.error() == (408, "header_timeout")
        assert await client.closed()


async def test_the_time_for_a_head_runs_again_for_a_second_request() -> None:
    config = HttpConfig(header_timeout_s=2.0)
    async with serving(ScriptedProvider(), config=config) as served, wire(served) as client:
        await client.send(client.head("GET /health HTTP/1.1"))
        assert (await client.reply())[0] == 200
        await client.send(b"GET /health HTT")
        assert await client.error() == (408, "header_timeout")


async def test_a_slow_reply_is_not_taken_for_a_slow_head() -> None:
    hold = asyncio.Event()
    provider = ScriptedProvider(hold=hold)
    async with serving(provider, config=HttpConfig(header_timeout_s=5.0)) as served, wire(served) as client:
        await client.send(client.post(CHAT))
        await eventually(lambda: provider.started == 1)
        skip(6.0)
        hold.set()
        assert (await client.reply())[0] == 200
        await client.send(client.post(CHAT))
        assert (await client.reply())[0] == 200


async def test_a_body_that_does_not_arrive_in_time_is_a_408() -> None:
    config = HttpConfig(body_timeout_s=0.1)
    async with serving(ScriptedProvider(), config=config) as served, wire(served) as client:
        await client.send(client.post(CHAT)[:-10])
        assert await client.error() == (408, "body_timeout")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "x-unknown"])
async def test_a_compressed_body_is_refused_unread(encoding: str) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.post(bomb, f"Content-Encoding: {encoding}"))
        assert await client.error() == (415, "unsupported_content_encoding")
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head("GET /health HTTP/1.1", f"Content-Encoding: {encoding}"))
        assert await client.error() == (415, "unsupported_content_encoding")


async def test_an_identity_encoding_is_no_compression() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.post(CHAT, "Content-Encoding: identity"))
        assert (await client.reply())[0] == 200


async def test_a_body_over_the_limit_is_refused_with_both_numbers() -> None:
    config = HttpConfig(max_body_bytes=1000)
    async with serving(ScriptedProvider(), config=config) as served, wire(served) as client:
        await client.send(client.post(b" " * 5000))
        status, _, body = await client.reply()
        error = json.loads(body)["error"]
        assert (status, error["code"]) == (413, "request_too_large")
        assert "5000 bytes" in error["message"]
        assert "1000 bytes" in error["message"]


async def test_a_chunked_body_over_the_limit_is_refused() -> None:
    config = HttpConfig(max_body_bytes=1000)
    async with serving(ScriptedProvider(), config=config) as served, wire(served) as client:
        head = client.head(
            "POST /v1/completions HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked"
        )
        await client.send(head + b"400\r\n" + b" " * 1024 + b"\r\n")
        status, _, body = await client.reply()
        assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")
        assert "1024 bytes" in json.loads(body)["error"]["message"]


async def test_a_chunked_body_is_read() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        head = client.head(
            "POST /v1/chat/completions HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked"
        )
        await client.send(head)
        for byte in (CHAT[:7], CHAT[7:]):
            await client.send(b"%x\r\n%s\r\n" % (len(byte), byte))
        await client.send(b"0\r\n\r\n")
        assert (await client.reply())[0] == 200


async def test_a_malformed_chunk_is_a_400() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        head = client.head(
            "POST /v1/completions HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked"
        )
        await client.send(head)
        await client.send(b"zz\r\n{}\r\n0\r\n\r\n")
        assert await client.error() == (400, "malformed_http")


async def test_expect_100_continue_is_answered_before_the_body_and_only_for_a_good_head() -> None:
    async with serving(ScriptedProvider(), config=HttpConfig(max_body_bytes=1000)) as served, wire(served) as client:
        whole = client.post(CHAT, "Expect: 100-continue")
        await client.send(whole[: -len(CHAT)])
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(CHAT)
        assert (await client.reply())[0] == 200
        await client.send(client.post(b" " * 5000, "Expect: 100-continue")[:-5000])
        assert await client.error() == (413, "request_too_large")


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head("GET /health HTTP/1.1") + client.post(STREAM) + client.head("GET /no HTTP/1.1"))
        assert (await client.reply())[0] == 200
        status, _, body = await client.reply()
        assert status == 200
        assert check_stream(body, chat=True).choices[0].text == "hello world"
        assert await client.error() == (404, "unknown_url")


async def test_an_absolute_target_must_name_this_server_too() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head(f"GET http://localhost:{served.port}/health HTTP/1.1"))
        assert (await client.reply())[0] == 200
        await client.send(client.head("GET http://evil.example/health HTTP/1.1"))
        assert await client.error() == (421, "host_not_allowed")


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_a_client_that_hangs_up_ends_its_generation(body: bytes) -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    async with serving(provider) as served:
        async with wire(served) as client:
            await client.send(client.post(body))
            await eventually(lambda: provider.started == 1)
        await eventually(lambda: provider.closed == 1)


async def test_a_client_that_hangs_up_amid_a_stream_ends_its_generation() -> None:
    provider = ScriptedProvider(pieces=["word "] * 1_000_000)
    async with serving(provider) as served:
        async with wire(served) as client:
            await client.send(client.post(STREAM))
            await client.reader.readuntil(b'"word "')
        await eventually(lambda: provider.closed == 1)


async def test_a_client_that_reads_slowly_holds_the_model_back() -> None:
    """Back-pressure: what is sent ahead is bounded by socket buffers, not by the reply."""
    taken = 0

    class Counting(list[str]):
        def __iter__(self) -> Iterator[str]:
            nonlocal taken
            for _ in range(1_000_000):
                taken += 1
                yield "x" * 1000

    provider = ScriptedProvider(pieces=Counting())
    async with serving(provider) as served:
        async with wire(served) as client:
            await client.send(client.post(STREAM))
            await eventually(lambda: taken > 0)
            seen = -1
            while seen != taken:
                seen = taken
                await asyncio.sleep(0.2)
            assert 0 < taken < 200_000
        await eventually(lambda: provider.closed == 1)


async def test_replies_are_sent_without_delay() -> None:
    """Nagle's algorithm together with delayed acknowledgements stalls small events by 40 ms."""
    options = []
    async with serving(ScriptedProvider()) as served:
        made = connection.Connection.connection_made

        def look(self: connection.Connection, transport: asyncio.BaseTransport) -> None:
            made(self, transport)
            endpoint = transport.get_extra_info("socket")
            options.append(endpoint.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(connection.Connection, "connection_made", look)
            async with wire(served) as client:
                await client.send(client.head("GET /health HTTP/1.1"))
                await client.reply()
    assert options == [1]


async def test_connections_over_the_limit_are_refused() -> None:
    config = HttpConfig(max_connections=2)
    async with serving(ScriptedProvider(), config=config) as served:
        async with wire(served) as first, wire(served) as second:
            for client in (first, second):
                await client.send(client.head("GET /health HTTP/1.1"))
                assert (await client.reply())[0] == 200
            async with wire(served) as third:
                status, headers, body = await third.reply()
                assert (status, json.loads(body)["error"]["code"]) == (503, "too_many_connections")
                assert headers["x-request-id"].startswith("req_")
                assert await third.closed()
            reader, writer = await asyncio.open_unix_connection(str(served.socket))
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")  # the user's own commands still get in
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
            writer.close()
        async with asyncio.timeout(20):
            status = 503
            while status == 503:  # until the server has noticed that the first two have gone
                async with wire(served) as again:
                    await again.send(again.head("GET /health HTTP/1.1"))
                    status, _, _ = await again.reply()
        assert status == 200


async def test_a_request_that_takes_too_long_is_a_504() -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    config = HttpConfig(request_timeout_s=5.0)
    async with serving(provider, config=config) as served, wire(served) as client:
        for number, body in enumerate((CHAT, STREAM), 1):
            await client.send(client.post(body))
            await eventually(lambda started=number: provider.started == started)  # type: ignore[misc]
            skip(6.0)
            assert await client.error() == (504, "request_timeout")
    assert provider.closed == 2


async def test_a_silent_stream_begins_with_a_comment_and_then_takes_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SILENCE_S", 0.05)
    provider = ScriptedProvider(hold=asyncio.Event())
    config = HttpConfig(request_timeout_s=5.0)
    async with serving(provider, config=config) as served, wire(served) as client:
        await client.send(client.post(STREAM))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert b"content-type: text/event-stream\r\n" in head.lower()
        assert await client.chunk() == b": waiting\n\n"
        skip(6.0)
        body = await client.chunks()
        assert check_failed_stream(body)["code"] == "request_timeout"
        assert await client.closed()


async def test_a_stream_goes_on_normally_after_its_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "SILENCE_S", 0.05)
    hold = asyncio.Event()
    async with serving(ScriptedProvider(hold=hold)) as served, wire(served) as client:
        await client.send(client.post(STREAM))
        await client.reader.readuntil(b": waiting\n\n\r\n")
        hold.set()
        rest = await client.reader.readuntil(b"\r\n0\r\n\r\n")
        assert b'"content":"hello"' in rest
        assert b"[DONE]" in rest


async def test_a_stream_whose_client_does_not_read_ends_at_its_deadline() -> None:
    provider = ScriptedProvider(pieces=["x" * 1000] * 100_000)
    config = HttpConfig(request_timeout_s=5.0)
    async with serving(provider, config=config) as served, wire(served) as client:
        await client.send(client.post(STREAM))
        await eventually(lambda: provider.started == 1)
        skip(6.0)
        await eventually(lambda: provider.closed == 1)
        assert b"[DONE]" not in await client.reader.read(1_000_000)


async def test_leaving_lets_running_requests_finish_and_closes_idle_connections() -> None:
    hold = asyncio.Event()
    provider = ScriptedProvider(hold=hold)
    async with asyncio.TaskGroup() as tasks:
        async with serving(provider, drain_s=20) as served:
            idle = await asyncio.open_connection("127.0.0.1", served.port)
            busy = await asyncio.open_connection("127.0.0.1", served.port)
            client = Wire(served, *busy)
            await client.send(client.post(CHAT))
            await eventually(lambda: provider.started == 1)

            async def finish() -> None:
                assert await idle[0].read() == b""  # closed at once
                hold.set()

            tasks.create_task(finish())
        status, headers, body = await client.reply()
        assert (status, headers["connection"]) == (200, "close")
        assert json.loads(body)["choices"][0]["message"]["content"] == "hello world"
        idle[1].close()
        busy[1].close()


@pytest.mark.parametrize("body", [CHAT, STREAM])
async def test_leaving_ends_what_outlives_the_drain_with_an_error(body: bytes) -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    async with serving(provider, drain_s=0.05) as served:
        connection = await asyncio.open_connection("127.0.0.1", served.port)
        client = Wire(served, *connection)
        await client.send(client.post(body))
        await eventually(lambda: provider.started == 1)
    assert provider.closed == 1
    assert await client.error() == (503, "shutting_down")
    connection[1].close()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", served.port)
    assert not served.socket.exists()


async def test_leaving_is_bounded_also_for_a_client_that_does_not_read() -> None:
    provider = ScriptedProvider(pieces=["x" * 1000] * 100_000)
    async with asyncio.timeout(20):
        async with serving(provider, drain_s=0.05) as served:
            connection = await asyncio.open_connection("127.0.0.1", served.port)
            client = Wire(served, *connection)
            await client.send(client.post(STREAM))
            await eventually(lambda: provider.started == 1)
    assert provider.closed == 1
    connection[1].close()


async def test_the_request_id_is_the_clients_where_it_is_sane() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        for sent, kept in [("abc-1.2_3", True), ("x" * 128, True), ("x" * 129, False), ("a b", False), ("ä", False)]:
            await client.send(client.head("GET /health HTTP/1.1", f"X-Request-Id: {sent}"))
            _, headers, _ = await client.reply()
            assert (headers["x-request-id"] == sent) is kept
            assert kept or headers["x-request-id"].startswith("req_")


async def test_the_request_id_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    seen = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append(request_id.get())  # type: ignore[method-assign]
    logger = logging.getLogger("ghostd.gateway.app")
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.DEBUG, "ghostd.gateway.app"):
            async with serving(ScriptedProvider()) as served, wire(served) as client:
                await client.send(client.head("GET /health HTTP/1.1", "X-Request-Id: mine"))
                await client.reply()
    finally:
        logger.removeHandler(handler)
    assert seen == ["mine"]


async def test_http_1_0_gets_its_stream_and_the_end_of_the_connection() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.post(STREAM).replace(b"HTTP/1.1", b"HTTP/1.0"))
        raw = await client.reader.read()
        assert check_stream(raw.partition(b"\r\n\r\n")[2], chat=True).choices[0].text == "hello world"


async def test_the_health_reply_says_what_the_daemon_adds() -> None:
    said = {"roots": 2, "status": "overruled"}
    async with serving(ScriptedProvider(), status=lambda: said) as served, wire(served) as client:
        await client.send(client.head("GET /health HTTP/1.1"))
        _, headers, body = await client.reply()
        health = msgspec.json.decode(body)
        assert (health["status"], health["roots"]) == ("ok", 2)
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["openai-processing-ms"].isdigit()
        await client.send(client.head("HEAD /v1/health HTTP/1.1") + client.head("GET /no HTTP/1.1"))
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert await client.error() == (404, "unknown_url")  # and so the reply to HEAD had no body
