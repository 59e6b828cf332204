"""What counts as a reply: framing by RFC 9112 6, strict where a cut reply could be taken for a whole one."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from raw_upstream import Peer, answering, chunk, chunked, raw_upstream, reply

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamMalformed, UpstreamUnreachable
from ghostd.providers.http.client import HttpClient, HttpResponse, http_client
from ghostd.types import Timeouts

H = b"HTTP/1.1 200 OK\r\n"
SMALL = UpstreamConfig(proxy="", max_reply_bytes=10_000, max_header_bytes=2_000)


@asynccontextmanager
async def closing(data: bytes) -> AsyncIterator[str]:
    """A server that answers with these bytes and closes the connection."""

    async def script(peer: Peer) -> None:
        await peer.request()
        await peer.send(data)

    async with raw_upstream(script) as upstream:
        yield upstream.url


async def get(client: HttpClient, url: str, method: str = "GET") -> HttpResponse:
    return await client.send(method, f"{url}/x", {}, b"", Timeouts())


async def fetch(client: HttpClient, url: str, method: str = "GET") -> tuple[int, bytes]:
    response = await get(client, url, method)
    return response.status, await response.read()


@pytest.mark.parametrize(
    ("data", "status", "body"),
    [
        (reply(b'{"a":1}'), 200, b'{"a":1}'),
        (reply(b""), 200, b""),
        (reply(b"no", status="418 I'm a teapot"), 418, b"no"),
        (reply(b"no", "Location: http://elsewhere/", status="302 Found"), 302, b"no"),
        (chunked(b"ab", b"", b"c"), 200, b"ab"),  # an empty chunk is the last one
        (chunked(b"ab", b"cd"), 200, b"abcd"),
        (H + b"transfer-encoding: CHUNKED\r\n\r\n2;ext=1\r\nab\r\n0\r\nX-Trailer: 1\r\n\r\n", 200, b"ab"),
        (H + b"\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", 200, b"until the end"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(b"ok"), 200, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 3 + reply(b"ok"), 200, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
    ],
)
async def test_a_reply_is_read_as_its_head_frames_it(client: HttpClient, data: bytes, status: int, body: bytes) -> None:
    async with closing(data) as url:
        assert await fetch(client, url) == (status, body)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(reply(b"abcd")[:-1], id="short body"),
        pytest.param(chunked(b"abcd", end=False), id="no last chunk"),
        pytest.param(chunked(b"abcd")[:-8], id="cut chunk"),
        pytest.param(chunked(b"abcd")[:-2], id="last chunk without its end"),
        pytest.param(H + b"Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n", id="negative chunk"),
        pytest.param(H + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 20 + b"\r\nab", id="huge chunk"),
        pytest.param(H + b"Transfer-Encoding: chunked\r\n\r\n2\r\nabX0\r\n\r\n", id="long chunk"),
        pytest.param(H + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nabc", id="two lengths"),
        pytest.param(H + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", id="both"),
        pytest.param(H + b"Content-Length: -2\r\n\r\n", id="negative length"),
        pytest.param(H + b"Content-Length: 2, 2\r\n\r\nab", id="list of lengths"),
        pytest.param(H + b"Content-Length: 99999999999999999999999\r\n\r\n", id="endless length"),
        pytest.param(H + b"Content-Length: 134217729\r\n\r\n", id="length over the limit"),
        pytest.param(H + b"Transfer-Encoding: gzip\r\n\r\nab", id="not chunked"),
        pytest.param(H + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", id="compressed chunks"),
        pytest.param(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="HTTP/1.0 chunks"),
        pytest.param(b"junk" + reply(), id="junk before the status line"),
        pytest.param(b"SSH-2.0-OpenSSH_9\r\n", id="another protocol"),
        pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", id="HTTP/2"),
        pytest.param(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="upgrade"),
        pytest.param(b"HTTP/1.1 099 Odd\r\nContent-Length: 0\r\n\r\n", id="status 099"),
        pytest.param(b"HTTP/1.1 777 Odd\r\nContent-Length: 0\r\n\r\n", id="status 777"),
        pytest.param(H + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n", id="folded header"),
        pytest.param(H + b"X: a\0b\r\nContent-Length: 0\r\n\r\n", id="NUL in a header"),
        pytest.param(H + b"X : a\r\nContent-Length: 0\r\n\r\n", id="blank before the colon"),
        pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", id="bare line feeds"),
        pytest.param(reply(b"abc", "Content-Encoding: br"), id="unknown coding"),
        pytest.param(reply(b"abc", "Content-Encoding: gzip, gzip"), id="two codings"),
        pytest.param(reply(b"abc", "Content-Encoding: gzip"), id="not gzip"),
        pytest.param(reply(gzip.compress(b"abc", mtime=0)[:-4], "Content-Encoding: gzip"), id="cut gzip"),
        pytest.param(reply(gzip.compress(b"abc", mtime=0) + b"!", "Content-Encoding: gzip"), id="data after the gzip"),
    ],
)
async def test_a_reply_that_may_not_be_whole_is_malformed(client: HttpClient, data: bytes) -> None:
    async with closing(data) as url:
        with pytest.raises(UpstreamMalformed):
            await fetch(client, url)
        with pytest.raises(UpstreamMalformed):  # a stream tells it, too
            _ = [block async for block in (await get(client, url)).blocks()]


async def test_an_error_names_the_upstream_and_the_server(client: HttpClient) -> None:
    async with closing(reply(b"abcd")[:-1]) as url:
        response = await client.send("GET", url, {}, b"", Timeouts(), upstream="acme")
        with pytest.raises(UpstreamMalformed, match=r"^acme: the reply was cut off: 127\.0\.0\.1:\d+ closed"):
            await response.read()


@pytest.mark.parametrize("cut", range(0, 60, 7))
async def test_a_connection_that_closes_inside_the_head_is_unreachable(client: HttpClient, cut: int) -> None:
    async with closing(reply(b"abcd", "X-Long: " + "x" * 40)[:cut]) as url:
        with pytest.raises(UpstreamUnreachable, match=r"connection reset by|connection closed by"):
            await get(client, url)


async def test_headers_have_lower_case_names_and_repeated_ones_are_joined(client: HttpClient) -> None:
    data = reply(b"", "X-Request-ID: 1", "x-a: 1", "X-A: caf\xe9").decode().encode("latin-1")
    async with closing(data) as url:
        assert (await get(client, url)).headers == {
            "content-type": "application/json", "content-length": "0", "x-request-id": "1", "x-a": "1, caf\xe9",
        }  # fmt: skip


async def test_a_trailer_is_not_taken_for_a_header(client: HttpClient) -> None:
    async with closing(H + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Late: 1\r\n\r\n") as url:
        response = await get(client, url)
        assert await response.read() == b""
        assert "x-late" not in response.headers


async def test_the_reply_to_head_has_no_body(client: HttpClient) -> None:
    async with closing(reply(b"abcd")) as url:
        assert await fetch(client, url, "HEAD") == (200, b"")


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(b"hello" * 1000, mtime=0)),
        ("GZIP", gzip.compress(b"hello" * 1000, mtime=0)),
        ("deflate", zlib.compress(b"hello" * 1000)),
        ("deflate", zlib.compress(b"hello" * 1000, wbits=-15)),
        ("identity", b"hello" * 1000),
    ],
)
async def test_a_compressed_body_is_decompressed(client: HttpClient, coding: str, body: bytes) -> None:
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    async with closing(head + b"".join(map(chunk, pieces)) + b"0\r\n\r\n") as url:
        assert await fetch(client, url) == (200, b"hello" * 1000)
        assert b"".join([block async for block in (await get(client, url)).blocks()]) == b"hello" * 1000


@pytest.mark.parametrize("size", [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 512 * 1024, 3_000_000])
@pytest.mark.parametrize("window", [31, 15, -15])
async def test_a_compressed_body_of_any_size_is_whole(client: HttpClient, size: int, window: int) -> None:
    body = b"x" * size
    data = reply(zlib.compress(body, wbits=window), f"Content-Encoding: {'gzip' if window == 31 else 'deflate'}")
    async with closing(data) as url:
        assert await fetch(client, url) == (200, body)


# --- limits ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(reply(b"x" * 10_001), id="length"),
        pytest.param(chunked(*[b"x" * 1000] * 11), id="chunks"),
        pytest.param(H + b"\r\n" + b"x" * 10_001, id="until close"),
        pytest.param(H + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"x" * 90_000, id="chunk extension"),
        pytest.param(H + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 90_000, id="trailer"),
        pytest.param(H + b"X: " + b"x" * 2_001, id="header without end"),
        pytest.param(reply(b"", "X: " + "x" * 2_001), id="header"),
        pytest.param(reply(b"", *["X: x"] * 500), id="headers"),
        pytest.param(b"HTTP/1.1 103 Early\r\nX: y\r\n\r\n" * 1000 + reply(b""), id="interim replies"),
        pytest.param(b"HTTP/1.1 200 " + b"x" * 3_000, id="status line"),
        pytest.param(reply(gzip.compress(b"x" * 10_001, mtime=0), "Content-Encoding: gzip"), id="gzip"),
    ],
)
async def test_a_reply_over_a_limit_is_malformed(data: bytes) -> None:
    async with closing(data) as url, http_client(SMALL) as client:
        with pytest.raises(UpstreamMalformed, match=r"exceeds upstream.max_|more than upstream\.max_"):
            await fetch(client, url)


async def test_replies_at_the_limit_pass() -> None:
    async with http_client(SMALL) as client:
        for data in (
            reply(b"x" * 10_000),
            chunked(*[b"x" * 1000] * 10),
            chunked(*[b"x"] * 10_000),
            reply(gzip.compress(b"x" * 10_000, mtime=0), "Content-Encoding: gzip"),
        ):
            async with closing(data) as url:
                assert await fetch(client, url) == (200, b"x" * 10_000)


@pytest.mark.parametrize("framing", ["until close", "chunked"])
async def test_a_body_of_200_mb_is_given_up_at_the_limit(framing: str) -> None:
    sent = 0
    left = asyncio.Event()

    async def script(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.send(H + (b"\r\n" if framing == "until close" else b"Transfer-Encoding: chunked\r\n\r\n"))
        block = b"x" * 1_000_000
        try:
            for _ in range(200):
                await peer.send(block if framing == "until close" else chunk(block))
                sent += len(block)
        finally:
            left.set()

    config = UpstreamConfig(proxy="", max_reply_bytes=2_000_000)
    async with raw_upstream(script) as upstream, http_client(config) as client:
        with pytest.raises(UpstreamMalformed, match=r"exceeds upstream\.max_reply_bytes"):
            await fetch(client, upstream.url)
        await left.wait()
    assert sent < 100_000_000


async def test_a_gzip_bomb_is_given_up_at_the_limit_piece_by_piece() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000, mtime=0)
    config = UpstreamConfig(proxy="", max_reply_bytes=1_000_000)
    async with closing(reply(bomb, "Content-Encoding: gzip")) as url, http_client(config) as client:
        got = 0
        with pytest.raises(UpstreamMalformed, match="when decompressed"):
            async for block in (await get(client, url)).blocks():
                assert len(block) <= 256 * 1024
                got += len(block)
        assert got <= 1_000_000


async def test_what_follows_a_complete_reply_is_ignored_and_the_connection_is_not_used_again(
    client: HttpClient,
) -> None:
    async with answering(reply(b"first") + reply(b"smuggled"), reply(b"second")) as upstream:
        assert await fetch(client, upstream.url) == (200, b"first")
        assert await fetch(client, upstream.url) == (200, b"second")
        assert upstream.connections == 2
