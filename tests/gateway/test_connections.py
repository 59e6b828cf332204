"""What a connection does between requests and around their edges: order, upgrades, ends, and what comes ahead."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any, cast

import pytest
import uvloop
from gateway_wire import CHAT, STREAM, eventually, wire
from multidict import CIMultiDict

from ghostd.config.http import HttpConfig
from ghostd.gateway import connection
from ghostd.gateway.connection import Connection
from ghostd.gateway.hangup import HangUpWatch
from ghostd.gateway.parser import Parser
from ghostd.gateway.request import Request
from ghostd.testing.gateway import check_stream, serving
from ghostd.testing.scripted import ScriptedProvider

H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA")


@pytest.mark.parametrize(
    "junk",
    [
        b"GET /health HTTP/1.1\r\n\r\n",  # no Host
        b"GET /health HTTP/2.0\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/0.9\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /health HTTP/1.1\nHost: x\n\n",
        b"GET /health HTTP/1.1\r\nHost: x\nX: y\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX\x00: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nX Y: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: x\r\nUser-Agent: a\r\nUser-Agent: b\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Type: text/plain\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2, 2\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0x2\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n{}",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"get /health HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(junk: bytes) -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(junk)
        assert await client.error() == (400, "malformed_http")
        assert await client.closed()


@pytest.mark.parametrize(
    ("line", "headers"),
    [
        ("GET /" + "x" * 40_000 + " HTTP/1.1", []),
        ("GET /health HTTP/1.1", ["X" * 40_000 + ": y"]),
        ("GET /health HTTP/1.1", [f"X-{number}: y" for number in range(200)]),
    ],
)
async def test_a_head_beyond_the_limits_is_refused(line: str, headers: list[str]) -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head(line, *headers))
        assert await client.error() == (431, "headers_too_large")
        assert await client.closed()


@pytest.mark.parametrize("start", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nX"])
async def test_an_endless_line_is_refused_before_it_ends(start: bytes) -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(start)
        for _ in range(40):
            await client.send(b"x" * 1000)
            await asyncio.sleep(0)
        assert await client.error() == (431, "headers_too_large")


async def test_a_head_may_come_byte_by_byte() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        for byte in client.post(CHAT, "X-Empty:", "X-Padded:  a b\t "):
            await client.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await client.reply())[0] == 200


async def test_trailers_and_chunk_extensions_are_dropped() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        head = client.head(
            "POST /v1/chat/completions HTTP/1.1", "Content-Type: application/json", "Transfer-Encoding: chunked"
        )
        body = b"%x;a=b\r\n%b\r\n0\r\nHost: evil.example\r\nX: y\r\n\r\n" % (len(CHAT), CHAT)
        await client.send(head + body + client.head("GET /health HTTP/1.1"))
        assert (await client.reply())[0] == 200
        assert (await client.reply())[0] == 200


@pytest.mark.parametrize("ext", [b"1;" + b"x" * 300_000, b"0\r\nX: " + b"y" * 300_000])
async def test_an_endless_chunk_extension_or_trailer_ends_the_request(ext: bytes) -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        head = client.head("POST /v1/completions HTTP/1.1", "Content-Type: application/json")
        await client.send(head[:-2] + b"Transfer-Encoding: chunked\r\n\r\n")
        await client.send(ext)
        assert await client.error() == (400, "malformed_http")


async def test_junk_behind_a_request_is_answered_after_it() -> None:
    hold = asyncio.Event()
    provider = ScriptedProvider(hold=hold)
    async with serving(provider) as served, wire(served) as client:
        await client.send(client.post(CHAT) + b"junk\r\n\r\n")
        await eventually(lambda: provider.started == 1)
        hold.set()
        assert (await client.reply())[0] == 200
        assert await client.error() == (400, "malformed_http")
        assert await client.closed()


async def test_what_follows_the_last_request_is_nobodys() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head("GET /health HTTP/1.1", "Connection: close") + client.head("GET / HTTP/1.1"))
        status, headers, _ = await client.reply()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.closed()


async def test_many_requests_ahead_are_answered_in_order_while_the_first_is_slow() -> None:
    hold = asyncio.Event()
    provider = ScriptedProvider(hold=hold)
    async with serving(provider) as served, wire(served) as client:
        await client.send(client.post(CHAT))
        await eventually(lambda: provider.started == 1)
        padding = "X-Padding: " + "x" * 2000
        ahead = b"".join(client.head("GET /health HTTP/1.1", f"X-Request-Id: r{n}", padding) for n in range(300))
        sending = asyncio.create_task(client.send(ahead))
        await asyncio.sleep(0)
        hold.set()
        assert (await client.reply())[0] == 200
        for number in range(300):
            status, headers, _ = await client.reply()
            assert (status, headers["x-request-id"]) == (200, f"r{number}")
        await sending


async def leave_with_much_sent_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    paused = asyncio.Event()

    class Watch(HangUpWatch):
        def __init__(self, descriptor: int, on_hang_up: Callable[[], None]) -> None:
            super().__init__(descriptor, on_hang_up)
            paused.set()

    monkeypatch.setattr(connection, "HangUpWatch", Watch)
    provider = ScriptedProvider(hold=asyncio.Event())
    async with serving(provider) as served:
        async with wire(served) as client:
            await client.send(client.post(CHAT))
            await eventually(lambda: provider.started == 1)
            padding = "X-Padding: " + "x" * 2000
            await client.send(b"".join(client.head("GET /health HTTP/1.1", padding) for _ in range(100)))
            await paused.wait()
            assert provider.closed == 0
        await eventually(lambda: provider.closed == 1)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of it while what was sent is unread")
@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_client_that_leaves_ends_its_request_however_much_it_has_sent_ahead(
    new_loop: Callable[[], asyncio.AbstractEventLoop], monkeypatch: pytest.MonkeyPatch
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(leave_with_much_sent_ahead(monkeypatch))


async def test_a_body_ahead_of_its_turn_is_read() -> None:
    hold = asyncio.Event()
    provider = ScriptedProvider(hold=hold)
    large = CHAT + b" " * 900_000
    async with serving(provider) as served, wire(served) as client:
        sending = asyncio.create_task(client.send(client.post(CHAT) + client.post(large) + client.post(STREAM)))
        await eventually(lambda: provider.started == 1)
        hold.set()
        assert (await client.reply())[0] == 200
        assert (await client.reply())[0] == 200
        status, _, body = await client.reply()
        assert (status, check_stream(body, chat=True).choices[0].text) == (200, "hello world")
        await sending


async def test_an_upgrade_to_http_2_is_not_taken_up() -> None:
    """Java's HttpClient asks for it with every first request, bodies included."""
    async with serving(ScriptedProvider()) as served:
        async with wire(served) as client:
            await client.send(client.post(CHAT, *H2C))
            status, headers, _ = await client.reply()
            assert (status, headers["connection"]) == (200, "close")
            assert await client.closed()
        async with wire(served) as client:
            head = client.head(
                "POST /v1/chat/completions HTTP/1.1",
                "Content-Type: application/json",
                "Transfer-Encoding: chunked",
                *H2C,
            )
            await client.send(head)
            for byte in CHAT:
                await client.send(b"1\r\n%c\r\n" % byte)
            await client.send(b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n")
            assert (await client.reply())[0] == 200
            assert await client.closed()
        async with wire(served) as client:
            await client.send(client.head("GET /health HTTP/1.1", "Connection: Upgrade", "Upgrade: websocket"))
            assert (await client.reply())[0] == 200
            assert await client.closed()


@pytest.mark.parametrize("ahead", [False, True])
async def test_what_follows_an_upgrade_is_nobodys(ahead: bool, caplog: pytest.LogCaptureFixture) -> None:
    hold = asyncio.Event()
    provider = ScriptedProvider(hold=hold)
    async with serving(provider) as served, wire(served) as client:
        first, *others = [client.post(CHAT, *H2C)] * 3
        await client.send(first + b"".join(others) if ahead else first)
        await eventually(lambda: provider.started == 1)
        if not ahead:
            await client.send(b"".join(others))
        hold.set()
        assert (await client.reply())[0] == 200
        assert await client.closed()
    assert provider.started == 1
    assert not caplog.records


async def test_a_tunnel_is_refused() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head("CONNECT evil.example:443 HTTP/1.1") + b"\x16\x03\x01")
        assert await client.error() == (400, "invalid_target")
        assert await client.closed()


async def test_http_1_0_may_keep_its_connection() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        for _ in range(2):
            await client.send(client.head("GET /health HTTP/1.0", "Connection: keep-alive"))
            status, headers, _ = await client.reply()
            assert (status, headers["connection"]) == (200, "keep-alive")
        await client.send(client.head("GET /health HTTP/1.0"))
        assert (await client.reply())[0] == 200
        assert await client.closed()


async def test_a_client_that_only_ends_its_own_side_has_hung_up() -> None:
    provider = ScriptedProvider(hold=asyncio.Event())
    async with serving(provider) as served, wire(served) as client:
        await client.send(client.post(CHAT))
        await eventually(lambda: provider.started == 1)
        client.writer.write_eof()
        await eventually(lambda: provider.closed == 1)
        assert await client.closed()


async def test_what_needs_no_waiting_is_answered_also_to_a_client_that_has_ended_its_side() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        client.writer.write(client.head("GET /health HTTP/1.1"))
        client.writer.write_eof()
        assert (await client.reply())[0] == 200
        assert await client.closed()


async def test_a_refused_body_is_read_to_its_end_so_that_the_refusal_is_seen() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        body = b"x" * 5_000_000
        await client.send(client.post(body, "Content-Encoding: gzip"))
        assert await client.error() == (415, "unsupported_content_encoding")
        assert await client.closed()


def test_a_body_in_tiny_chunks_takes_no_more_memory_than_it_has_bytes() -> None:
    def begin(method: str, target: str, headers: CIMultiDict[str], old: bool, keep_alive: bool) -> Request:
        nobody = cast("Connection", None)
        return Request(nobody, method, target, headers, 10**7, http_1_0=old, keep_alive=keep_alive)

    parser = Parser(begin)
    parser.feed(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunks = b"2\r\nab\r\n" * 100_000
    tracemalloc.start()
    try:
        parser.feed(chunks)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 400_000
    assert parser.reading is not None
    assert parser.reading.taken() == b"ab" * 100_000


async def test_a_length_may_begin_with_any_number_of_zeros() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        length = "0" * 10_000 + str(len(CHAT))
        fixed = ("Content-Type: application/json", f"Content-Length: {length}")
        await client.send(client.head("POST /v1/chat/completions HTTP/1.1", *fixed) + CHAT)
        assert (await client.reply())[0] == 200


async def test_a_body_that_no_route_reads_does_not_end_the_connection() -> None:
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head("GET /health HTTP/1.1", "Content-Length: 100000"))
        assert (await client.reply())[0] == 200
        await client.send(b"x" * 100_000 + client.head("GET /health HTTP/1.1"))
        assert (await client.reply())[0] == 200


async def test_a_client_that_never_sends_the_rest_of_a_refused_body_is_cut_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "_LINGER_S", 0.05)
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.post(b"x" * 1000, "Content-Encoding: gzip")[:-500])
        assert await client.error() == (415, "unsupported_content_encoding")
        assert await client.closed()


async def test_an_idle_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "KEEP_ALIVE_S", 0.05)
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        await client.send(client.head("GET /health HTTP/1.1"))
        assert (await client.reply())[0] == 200
        assert await client.closed()


async def test_a_client_that_does_not_take_its_last_reply_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_FLUSH_S", 0.05)
    lost: list[Connection] = []
    forget = Connection.connection_lost

    def note(self: Connection, exc: BaseException | None) -> None:
        forget(self, exc)
        lost.append(self)

    monkeypatch.setattr(Connection, "connection_lost", note)
    provider = ScriptedProvider(pieces=["x" * 8000] * 2000)
    async with serving(provider, config=HttpConfig(request_timeout_s=0.3)) as served, wire(served) as client:
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await client.send(client.post(CHAT, "Connection: close"))
        await eventually(lambda: len(lost) == 1)


async def test_a_large_reply_arrives_whole() -> None:
    provider = ScriptedProvider(pieces=["x" * 8000] * 500)
    async with serving(provider) as served, wire(served) as client:
        for body in (CHAT, STREAM):
            await client.send(client.post(body))
            status, _, reply = await client.reply()
            assert status == 200
            assert reply.count(b"x") >= 4_000_000


async def test_a_stream_begins_and_ends_in_one_write_where_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    write = Connection.write

    def counting(self: Connection, data: bytes, more: bytes = b"") -> None:
        sizes.append(len(data) + len(more))
        write(self, data, more)

    monkeypatch.setattr(Connection, "write", counting)
    async with serving(ScriptedProvider(pieces=[])) as served, wire(served) as client:
        await client.send(client.post(CHAT))
        assert (await client.reply())[0] == 200
        assert len(sizes) == 1
        await client.send(client.post(STREAM))
        status, _, body = await client.reply()
        assert status == 200
        check_stream(body, chat=True)
        assert len(sizes) == 3  # the head goes with the first event


def test_the_daemon_needs_no_aiohttp() -> None:
    """It is installed for the tests only."""
    code = "import sys, ghostd.daemon.running, ghostd_lsp.frontend; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_fault_outside_of_the_handlers_reach_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> tuple[int, str]:
        async with serving(ScriptedProvider()) as served, wire(served) as client:
            with pytest.MonkeyPatch.context() as patch:

                def broken(*arguments: Any) -> None:
                    raise ZeroDivisionError

                patch.setattr("ghostd.gateway.app.Exchange", broken)
                await client.send(client.head("GET /health HTTP/1.1"))
                found = await client.error()
                assert await client.closed()
                return found

    with caplog.at_level(logging.ERROR):
        assert asyncio.run(ask()) == (500, "internal_error")
        assert uvloop.run(ask()) == (500, "internal_error")
    assert [bool(record.exc_info) for record in caplog.records] == [True, True]
