"""Servers that cannot be reached, break off, or are late."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import pytest
from raw_upstream import Peer, answering, chunk, raw_upstream, reply

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable
from ghostd.providers.http.client import HttpClient, http_client
from ghostd.types import Timeouts

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def fetch(client: HttpClient, url: str, timeouts: Timeouts | None = None, body: bytes = b"") -> bytes:
    response = await client.send("POST", f"{url}/x", {}, body, timeouts or Timeouts())
    return await response.read()


def free_port() -> int:
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@asynccontextmanager
async def silent_after(data: bytes) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A server that sends these bytes and then nothing; the event tells that the client has hung up."""
    hung_up = asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        await peer.gone()
        hung_up.set()

    async with raw_upstream(script) as upstream:
        yield upstream.url, hung_up


async def test_a_refused_connection_is_unreachable(client: HttpClient) -> None:
    port = free_port()
    with pytest.raises(UpstreamUnreachable, match=rf"^acme: connection refused by 127\.0\.0\.1:{port}$"):
        await client.send("GET", f"http://127.0.0.1:{port}", {}, b"", Timeouts(), upstream="acme")


async def test_a_name_that_does_not_exist_is_unreachable(client: HttpClient) -> None:
    """RFC 6761 6.4: .invalid never exists."""
    with pytest.raises(UpstreamUnreachable, match=r"no such host: nobody\.invalid|cannot look up nobody\.invalid"):
        await fetch(client, "http://nobody.invalid")


@pytest.mark.parametrize(
    "url",
    [
        "ftp://127.0.0.1", "127.0.0.1:80", "http://", "http://user:pw@127.0.0.1", "http://127.0.0.1:port",
        "http://127.0.0.1:99999", "http://a b", "http://a\r\nb", f"http://{'a' * 64}.example", "http://\u2024",
        "http://127.0.0.1/\u00e9",
    ],
)  # fmt: skip
async def test_a_url_that_is_none_is_unreachable(client: HttpClient, url: str) -> None:
    with pytest.raises(UpstreamUnreachable, match="cannot send the request"):
        await fetch(client, url)
    await client.warm(url)


async def test_a_reset_before_the_reply_is_unreachable(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        peer.reset()

    async with raw_upstream(script) as upstream:
        with pytest.raises(UpstreamUnreachable, match=r"connection reset by|connection closed by"):
            await fetch(client, upstream.url)
        assert upstream.connections == 1  # a fresh connection is not tried twice


async def test_a_server_that_closes_without_reading_is_unreachable(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        peer.reset()

    async with raw_upstream(script) as upstream:
        with pytest.raises(UpstreamUnreachable):
            await fetch(client, upstream.url, body=b"x" * 10_000_000)


async def test_a_reset_inside_the_body_is_malformed(client: HttpClient) -> None:
    resets: list[asyncio.Event] = []

    async def script(peer: Peer) -> None:
        resets.append(asyncio.Event())
        await peer.request()
        await peer.send(HEAD + chunk(b"ab"))
        await resets[-1].wait()
        peer.reset()

    async with raw_upstream(script) as upstream:
        response = await client.send("POST", upstream.url, {}, b"", Timeouts())
        blocks = response.blocks()
        assert await anext(blocks) == b"ab"
        resets[-1].set()
        with pytest.raises(UpstreamMalformed, match="cut off"):
            await anext(blocks)


async def test_an_early_refusal_is_read_while_the_request_is_still_being_sent(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.send(reply(b"too large", status="413 Content Too Large"))
        await peer.gone()

    async with raw_upstream(script) as upstream:
        response = await client.send("POST", upstream.url, {}, b"x" * 50_000_000, Timeouts())
        assert (response.status, await response.read()) == (413, b"too large")


# --- time -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 102 Processing\r\n\r\n"], ids=["nothing", "head", "interim"]
)
async def test_a_reply_that_does_not_begin_is_given_up(client: HttpClient, begun: bytes) -> None:
    async with silent_after(begun) as (url, hung_up):
        with pytest.raises(UpstreamTimeout, match="no reply from") as caught:
            await fetch(client, url, Timeouts(first_byte_s=0.05))
        assert caught.value.phase == "first byte"
        await hung_up.wait()


async def test_headers_that_trickle_in_are_given_up(client: HttpClient) -> None:
    """The limit is on the whole head, or a byte now and then would hold a request for ever."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            await peer.send(b"x")
            await asyncio.sleep(0.01)

    async with raw_upstream(script) as upstream:
        with pytest.raises(UpstreamTimeout) as caught:
            await fetch(client, upstream.url, Timeouts(first_byte_s=0.1))
        assert caught.value.phase == "first byte"


async def test_a_body_that_falls_silent_is_given_up(client: HttpClient) -> None:
    async with silent_after(HEAD + chunk(b"ab")) as (url, hung_up):
        response = await client.send("POST", url, {}, b"", Timeouts(idle_s=0.05))
        blocks = response.blocks()
        assert await anext(blocks) == b"ab"
        with pytest.raises(UpstreamTimeout, match=r"was silent for 0\.05 s") as caught:
            await anext(blocks)
        assert caught.value.phase == "idle"
        await hung_up.wait()


async def test_an_endless_stream_ends_at_the_deadline(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(HEAD)
        while True:
            await peer.send(chunk(b"data: x\n\n"))
            await asyncio.sleep(0.01)

    async with raw_upstream(script) as upstream:
        deadline = asyncio.get_running_loop().time() + 1.5
        response = await client.send("POST", upstream.url, {}, b"", Timeouts(idle_s=10, deadline_s=deadline))
        with pytest.raises(UpstreamTimeout, match="in time") as caught:
            _ = [block async for block in response.blocks()]
        assert caught.value.phase == "total"


@pytest.mark.parametrize("data", [b"", HEAD + chunk(b"ab")], ids=["before the head", "in the body"])
async def test_the_deadline_goes_before_the_other_limits(client: HttpClient, data: bytes) -> None:
    async with silent_after(data) as (url, hung_up):
        deadline = asyncio.get_running_loop().time() + 1.0
        with pytest.raises(UpstreamTimeout) as caught:
            await fetch(client, url, Timeouts(deadline_s=deadline))
        assert caught.value.phase == "total"
        await hung_up.wait()


async def test_a_deadline_that_has_passed_sends_nothing(client: HttpClient) -> None:
    async with answering(reply()) as upstream:
        with pytest.raises(UpstreamTimeout) as caught:
            await fetch(client, upstream.url, Timeouts(deadline_s=asyncio.get_running_loop().time()))
        assert caught.value.phase == "total"
        assert upstream.connections == 0


async def test_a_handshake_that_is_not_answered_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with raw_upstream(script) as upstream, http_client(UpstreamConfig(proxy="")) as client:
        with pytest.raises(UpstreamTimeout, match="no connection to") as caught:
            await fetch(client, upstream.url.replace("http:", "https:"), Timeouts(connect_s=0.2))
        assert caught.value.phase == "connect"


async def test_a_connection_that_nobody_accepts_is_given_up(client: HttpClient) -> None:
    """A full backlog drops the handshake's first packet, as a black hole does."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        try:
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(address)
            with pytest.raises(UpstreamTimeout) as caught:
                await fetch(client, f"http://127.0.0.1:{address[1]}", Timeouts(connect_s=0.2))
            assert caught.value.phase == "connect"
        finally:
            for filler in fillers:
                filler.close()


async def test_a_request_that_the_server_does_not_read_is_given_up(client: HttpClient) -> None:
    stop = asyncio.Event()

    async def script(peer: Peer) -> None:
        peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await stop.wait()

    async with raw_upstream(script) as upstream:
        with pytest.raises(UpstreamTimeout) as caught:
            await fetch(client, upstream.url, Timeouts(first_byte_s=0.2), b"x" * 50_000_000)
        assert caught.value.phase == "first byte"
        stop.set()


async def test_a_long_request_may_take_longer_than_the_first_byte(client: HttpClient) -> None:
    """The limit runs from the request's last byte on; before it, only a standstill counts."""

    async def script(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        left = 40_000_000
        while left:
            left -= len(await peer.reader.read(500_000))
            if left > 20_000_000:  # the kernel holds the last megabytes: they have been sent, for all the client sees
                await asyncio.sleep(0.06)
        await peer.send(reply(b"read"))

    async with raw_upstream(script) as upstream:
        assert await fetch(client, upstream.url, Timeouts(first_byte_s=2.0), b"x" * 40_000_000) == b"read"


# --- leaving --------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", HEAD + chunk(b"ab")], ids=["before the head", "in the body"])
async def test_a_cancelled_request_hangs_up(client: HttpClient, data: bytes) -> None:
    under_way, hung_up = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)
        if not data:
            under_way.set()
        await peer.gone()
        hung_up.set()

    async def ask(url: str) -> None:
        response = await client.send("POST", url, {}, b"", Timeouts())
        under_way.set()
        try:
            await response.read()
        finally:
            response.close()

    async with raw_upstream(script) as upstream:
        task = asyncio.create_task(ask(upstream.url))
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await hung_up.wait()


async def test_closing_an_unfinished_reply_hangs_up(client: HttpClient) -> None:
    async with silent_after(HEAD + chunk(b"ab")) as (url, hung_up):
        response = await client.send("POST", url, {}, b"", Timeouts())
        response.close()
        await hung_up.wait()
        with pytest.raises(UpstreamError):  # it does not pass for a complete one
            await response.read()


async def test_leaving_the_client_ends_running_requests() -> None:
    async with silent_after(HEAD + chunk(b"ab")) as (url, hung_up):
        async with http_client(UpstreamConfig(proxy="")) as client:
            response = await client.send("POST", url, {}, b"", Timeouts())
        with pytest.raises(UpstreamUnreachable):
            await response.read()
        await hung_up.wait()
        with pytest.raises(UpstreamUnreachable, match="shutting down"):
            await fetch(client, url)
