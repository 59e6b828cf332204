"""Connections: kept, shared, waited for, replaced when stale."""

from __future__ import annotations

import asyncio

import pytest
from raw_upstream import Peer, answering, chunk, chunked, raw_upstream, reply

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from ghostd.providers.http.client import HttpClient, http_client
from ghostd.types import Timeouts


async def fetch(client: HttpClient, url: str, timeouts: Timeouts | None = None) -> bytes:
    response = await client.send("POST", f"{url}/x", {}, b"{}", timeouts or Timeouts())
    return await response.read()


@pytest.mark.parametrize("data", [reply(b"ok"), chunked(b"ok"), reply(b"ok", "Connection: keep-alive")])
async def test_a_connection_serves_one_request_after_the_other(client: HttpClient, data: bytes) -> None:
    async with answering(data) as upstream:
        for _ in range(5):
            assert await fetch(client, upstream.url) == b"ok"
        assert upstream.connections == 1


async def test_a_streamed_reply_gives_its_connection_back_at_its_end(client: HttpClient) -> None:
    async with answering(chunked(b"a", b"b")) as upstream:
        for _ in range(3):
            response = await client.send("POST", upstream.url, {}, b"", Timeouts())
            assert b"".join([block async for block in response.blocks()]) == b"ab"
            response.close()
        assert upstream.connections == 1


@pytest.mark.parametrize(
    "data",
    [
        reply(b"ok", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_that_ends_with_its_reply_is_not_used_again(client: HttpClient, data: bytes) -> None:
    async with answering(data) as upstream:
        assert [await fetch(client, upstream.url) for _ in range(2)] == [b"ok", b"ok"]
        assert upstream.connections == 2


async def test_a_stale_connection_is_replaced_and_the_request_sent_again(client: HttpClient) -> None:
    """RFC 9112 9.3.1: the connection was closed while the request was on its way."""
    bodies = []

    async def script(peer: Peer) -> None:
        bodies.append((peer.number, (await peer.request())[2]))
        await peer.send(reply(b"ok"))
        bodies.append((peer.number, (await peer.request())[2]))
        if peer.number == 1:
            await peer.send(reply(b"ok"))  # else it closes without a word

    async with raw_upstream(script) as upstream:
        assert [await fetch(client, upstream.url) for _ in range(3)] == [b"ok"] * 3
        assert bodies == [(0, b"{}"), (0, b"{}"), (1, b"{}"), (1, b"{}")]


async def test_a_stale_connection_is_replaced_only_once(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        if peer.number == 0:
            await peer.send(reply(b"ok"))
            await peer.request()

    async with raw_upstream(script) as upstream:
        assert await fetch(client, upstream.url) == b"ok"
        with pytest.raises(UpstreamUnreachable):
            await fetch(client, upstream.url)
        assert upstream.connections == 2


async def test_a_reply_that_has_begun_is_never_asked_for_again(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(b"ok"))
        await peer.request()
        await peer.send(b"HTTP/1.1 2")

    async with raw_upstream(script) as upstream:
        assert await fetch(client, upstream.url) == b"ok"
        with pytest.raises(UpstreamUnreachable):
            await fetch(client, upstream.url)
        assert upstream.connections == 1


async def test_a_late_reply_on_a_kept_connection_is_not_asked_for_again(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(b"ok"))
        await peer.gone()

    async with raw_upstream(script) as upstream:
        assert await fetch(client, upstream.url) == b"ok"
        with pytest.raises(UpstreamTimeout):
            await fetch(client, upstream.url, Timeouts(first_byte_s=0.05))
        assert upstream.connections == 1


async def test_a_connection_that_the_server_closes_while_idle_is_noticed(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(b"ok") if peer.number else reply(b"ok") + b"HTTP/1.1 408 Request Timeout\r\n\r\n")

    async with raw_upstream(script) as upstream:
        assert await fetch(client, upstream.url) == b"ok"
        assert await fetch(client, upstream.url) == b"ok"
        assert upstream.connections == 2


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    closed = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(reply(b"ok"))
        await peer.gone()
        closed.set()

    async with raw_upstream(script) as upstream, http_client(UpstreamConfig(proxy="", keep_alive_s=0.05)) as client:
        assert await fetch(client, upstream.url) == b"ok"
        await closed.wait()
        assert await fetch(client, upstream.url) == b"ok"
        assert upstream.connections == 2


async def test_requests_beyond_the_limit_of_connections_wait_in_order() -> None:
    asked: list[str] = []
    release = asyncio.Event()
    full = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            line, _, _ = await peer.request()
            asked.append(line.split()[1])
            if len(asked) == 2:
                full.set()
            await release.wait()
            await peer.send(reply(b"ok"))

    async with (
        raw_upstream(script) as upstream,
        http_client(UpstreamConfig(proxy="", max_connections=2)) as client,
        asyncio.TaskGroup() as tasks,
    ):

        async def ask(number: int) -> None:
            response = await client.send("GET", f"{upstream.url}/{number}", {}, b"", Timeouts())
            assert await response.read() == b"ok"

        for number in range(2):
            tasks.create_task(ask(number))
        await full.wait()
        for number in range(2, 12):
            tasks.create_task(ask(number))
        await asyncio.sleep(0)
        release.set()
    assert upstream.connections == 2
    assert sorted(asked[:2]) == ["/0", "/1"]
    assert asked[2:] == sorted(asked[2:], key=lambda path: int(path[1:]))
    assert len(asked) == 12


async def test_waiting_for_a_connection_is_bounded_and_gives_nothing_away() -> None:
    release = asyncio.Event()

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            await release.wait()
            await peer.send(reply(b"ok"))

    async with (
        raw_upstream(script) as upstream,
        http_client(UpstreamConfig(proxy="", max_connections=1)) as client,
    ):
        first = asyncio.create_task(fetch(client, upstream.url))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamTimeout, match=r"all 1 connections .*upstream\.max_connections") as caught:
            await fetch(client, upstream.url, Timeouts(connect_s=0.05))
        assert caught.value.phase == "connect"
        cancelled = asyncio.create_task(fetch(client, upstream.url))
        await asyncio.sleep(0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        release.set()
        assert await first == b"ok"
        assert await fetch(client, upstream.url) == b"ok"
        assert upstream.connections == 1


async def test_slots_survive_a_storm_of_cancelled_and_failed_requests() -> None:
    """Afterwards as many requests as before run at once: none has taken a connection's place with it."""
    together = asyncio.Barrier(3)
    calm = False

    async def script(peer: Peer) -> None:
        while True:
            await peer.request()
            if calm:
                await together.wait()
            elif peer.number % 3 == 0:
                peer.reset()
                return
            await peer.send(reply(b"ok") if calm or peer.number % 3 == 1 else b"junk")

    async with (
        raw_upstream(script) as upstream,
        http_client(UpstreamConfig(proxy="", max_connections=3)) as client,
    ):
        for round_ in range(10):
            tasks = [asyncio.create_task(fetch(client, upstream.url)) for _ in range(20)]
            for turn in range(20):
                await asyncio.sleep(0)
                tasks[(turn * 7 + round_) % 20].cancel()
            for outcome in await asyncio.gather(*tasks, return_exceptions=True):
                assert outcome == b"ok" or isinstance(outcome, (UpstreamError, asyncio.CancelledError))
        calm = True
        assert await asyncio.gather(*(fetch(client, upstream.url) for _ in range(3))) == [b"ok"] * 3


async def test_no_request_ever_gets_another_ones_reply() -> None:
    """Few connections, many requests, every third cancelled at some point between its first byte and its last."""

    async def script(peer: Peer) -> None:
        while True:
            line, _, body = await peer.request()
            path = line.split()[1].encode()
            await peer.send(b"HTTP/1.1 200 OK\r\nX-Path: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % path)
            await asyncio.sleep(0)
            await peer.send(chunk(path))
            await asyncio.sleep(0)
            await peer.send(chunk(body) + b"0\r\n\r\n")

    answered = 0
    async with raw_upstream(script) as upstream, http_client(UpstreamConfig(proxy="", max_connections=5)) as client:

        async def ask(number: int) -> None:
            nonlocal answered
            response = await client.send("POST", f"{upstream.url}/{number}", {}, b"=%d" % number, Timeouts())
            try:
                assert response.headers["x-path"] == f"/{number}"
                assert await response.read() == b"/%d=%d" % (number, number)
            finally:
                response.close()
            answered += 1

        async def ask_and_leave(number: int) -> None:
            task = asyncio.create_task(ask(number))
            for _ in range(number % 41):
                await asyncio.sleep(0)
            task.cancel()
            (outcome,) = await asyncio.gather(task, return_exceptions=True)
            assert outcome is None or isinstance(outcome, asyncio.CancelledError)

        await asyncio.gather(*(ask(number) if number % 3 else ask_and_leave(number) for number in range(600)))
    assert answered >= 400


async def test_warming_opens_a_connection_that_the_next_request_uses(client: HttpClient) -> None:
    async with answering(reply(b"ok")) as upstream:
        await client.warm(upstream.url)
        await client.warm(upstream.url)
        assert await fetch(client, upstream.url) == b"ok"
        assert upstream.connections == 1


async def test_warming_never_fails(client: HttpClient) -> None:
    await client.warm("http://127.0.0.1:1")
    await client.warm("http://nobody.invalid")


async def test_leaving_the_client_fails_those_who_wait_for_a_connection() -> None:
    asked = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()

    async with raw_upstream(script) as upstream:
        async with http_client(UpstreamConfig(proxy="", max_connections=1)) as client:
            tasks = [asyncio.create_task(fetch(client, upstream.url)) for _ in range(3)]
            await asked.wait()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [UpstreamUnreachable] * 3
        assert upstream.connections == 1


# --- back-pressure --------------------------------------------------------------------


async def test_a_slow_consumer_slows_the_upstream_down(client: HttpClient) -> None:
    block = b"x" * 100_000
    count = 300
    sent = 0
    stalled = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(count):
            peer.writer.write(chunk(block))
            sent += 1
            try:
                await asyncio.wait_for(peer.writer.drain(), 2.5)
            except TimeoutError:
                stalled.set()
                await peer.writer.drain()
        await peer.send(b"0\r\n\r\n")

    async with raw_upstream(script) as upstream:
        # silence while nothing is read is not the upstream's
        response = await client.send("POST", upstream.url, {}, b"", Timeouts(idle_s=2.0))
        await stalled.wait()
        assert sent < count // 2
        assert sum([len(block) async for block in response.blocks()]) == count * len(block)
        assert await fetch_status(client, upstream.url) == 200


async def fetch_status(client: HttpClient, url: str) -> int:
    response = await client.send("POST", url, {}, b"", Timeouts())
    assert len(await response.read()) == 300 * 100_000  # read as a whole, nothing needs to be taken piece by piece
    return response.status
