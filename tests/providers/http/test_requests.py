"""What goes out on the wire."""

from __future__ import annotations

import pytest
from raw_upstream import answering, reply

from ghostd.errors import UpstreamUnreachable
from ghostd.providers.http.client import HttpClient
from ghostd.types import Timeouts


async def test_a_request_carries_the_callers_headers_and_its_own_framing(client: HttpClient) -> None:
    async with answering(reply()) as upstream:
        headers = {
            "Authorization": "Bearer k", "x-a": "caf\xe9", "Content-Length": "7", "Transfer-Encoding": "chunked",
            "Connection": "close",
        }  # fmt: skip
        await (await client.send("POST", f"{upstream.url}/v1/x?y=1#z", headers, b"{}", Timeouts())).read()
        line, seen, body = upstream.requests[0]
        assert (line, body) == ("POST /v1/x?y=1 HTTP/1.1", b"{}")
        assert seen == {
            "host": upstream.where, "accept-encoding": "identity", "authorization": "Bearer k", "x-a": "caf\xe9",
            "content-length": "2",
        }  # fmt: skip


async def test_host_and_accept_encoding_may_be_chosen(client: HttpClient) -> None:
    async with answering(reply()) as upstream:
        headers = {"Host": "models.example", "Accept-Encoding": "gzip"}
        await (await client.send("GET", upstream.url, headers, b"", Timeouts())).read()
        assert upstream.requests[0] == (
            "GET / HTTP/1.1", {"host": "models.example", "accept-encoding": "gzip"}, b""
        )  # fmt: skip


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 64 * 1024 + 1, 3_000_000])
async def test_a_body_of_any_size_arrives_whole(client: HttpClient, size: int) -> None:
    async with answering(reply()) as upstream:
        body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
        for _ in range(2):
            await (await client.send("POST", upstream.url, {}, body, Timeouts())).read()
        assert [request[2] == body for request in upstream.requests] == [True, True]
        assert upstream.requests[0][1]["content-length"] == str(size)


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\0b", "\u20ac"])
@pytest.mark.parametrize("name", ["x-a", "Host", "accept-encoding"])
async def test_a_header_that_would_break_the_head_is_not_sent(client: HttpClient, name: str, value: str) -> None:
    async with answering(reply()) as upstream:
        with pytest.raises(UpstreamUnreachable, match=f"the header '{name}' holds") as caught:
            await client.send("GET", upstream.url, {"x-b": "fine", name: value}, b"", Timeouts(), upstream="acme")
        assert str(caught.value).startswith("acme: ")
        assert value not in str(caught.value)
        assert upstream.connections == 0


@pytest.mark.parametrize("name", ["", "x a", "x:", "x\r\ny", "\xe9"])
async def test_a_header_needs_a_proper_name(client: HttpClient, name: str) -> None:
    async with answering(reply()) as upstream:
        with pytest.raises(UpstreamUnreachable, match="is not a header's name"):
            await client.send("GET", upstream.url, {name: "a"}, b"", Timeouts())
        assert upstream.connections == 0
