"""TLS with an authority of the test's own, and proxies that open tunnels."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
from pathlib import Path

import pytest
import trustme
from raw_upstream import Peer, Script, answering, chunked, raw_upstream, reply

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable
from ghostd.providers.http.client import HttpClient, http_client
from ghostd.providers.http.proxy import excepted
from ghostd.providers.http.target import Origin
from ghostd.types import Timeouts


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


async def fetch(client: HttpClient, url: str, timeouts: Timeouts | None = None) -> bytes:
    response = await client.send("POST", f"{url}/x", {}, b"{}", timeouts or Timeouts(), upstream="acme")
    return await response.read()


async def test_a_server_with_a_certificate_of_the_configured_authority_answers(
    server_tls: ssl.SSLContext, ca_file: str
) -> None:
    config = UpstreamConfig(proxy="", ca_file=ca_file)
    async with answering(chunked(b"a" * 300_000, b"b"), tls=server_tls) as upstream, http_client(config) as client:
        for host in ("127.0.0.1", "127.0.0.1", "localhost", "localhost"):
            assert await fetch(client, f"https://{host}:{upstream.port}") == b"a" * 300_000 + b"b"
        assert upstream.connections == 2


async def test_a_large_request_goes_over_tls(server_tls: ssl.SSLContext, ca_file: str) -> None:
    config = UpstreamConfig(proxy="", ca_file=ca_file)
    async with answering(reply(b"ok"), tls=server_tls) as upstream, http_client(config) as client:
        response = await client.send("POST", upstream.url, {}, b"x" * 5_000_000, Timeouts())
        assert await response.read() == b"ok"
        assert upstream.requests[0][2] == b"x" * 5_000_000


async def test_an_unknown_authority_is_not_trusted(client: HttpClient, server_tls: ssl.SSLContext) -> None:
    async with answering(reply(), tls=server_tls) as upstream:
        with pytest.raises(UpstreamUnreachable, match=r"^acme: certificate verify failed: .*upstream\.ca_file"):
            await fetch(client, upstream.url)
        assert upstream.requests == []


async def test_a_certificate_for_another_name_is_not_trusted(authority: trustme.CA, ca_file: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    config = UpstreamConfig(proxy="", ca_file=ca_file)
    async with answering(reply(), tls=context) as upstream, http_client(config) as client:
        with pytest.raises(UpstreamUnreachable, match="certificate verify failed"):
            await fetch(client, upstream.url)


async def test_a_server_that_does_not_speak_tls_is_unreachable(client: HttpClient) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw_upstream(script) as upstream:
        with pytest.raises(UpstreamUnreachable):
            await fetch(client, upstream.url.replace("http:", "https:"))


async def test_an_authority_file_that_cannot_be_read_is_named(
    tmp_path: Path, server_tls: ssl.SSLContext, authority: trustme.CA
) -> None:
    path = tmp_path / "mine.pem"
    config = UpstreamConfig(proxy="", ca_file=str(path))
    async with answering(reply(b"ok"), tls=server_tls) as upstream, http_client(config) as client:
        with pytest.raises(UpstreamUnreachable, match=r"upstream\.ca_file cannot be used: .*mine\.pem: No such file"):
            await fetch(client, upstream.url)
        path.write_text("nonsense")
        with pytest.raises(UpstreamUnreachable, match=r"upstream\.ca_file cannot be used"):
            await fetch(client, upstream.url)
        authority.cert_pem.write_to_path(path)  # once mended, it works
        assert await fetch(client, upstream.url) == b"ok"


async def test_cancelling_hangs_up_over_tls(server_tls: ssl.SSLContext, ca_file: str) -> None:
    asked, hung_up = asyncio.Event(), asyncio.Event()

    async def script(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.gone()
        hung_up.set()

    config = UpstreamConfig(proxy="", ca_file=ca_file)
    async with raw_upstream(script, server_tls) as upstream, http_client(config) as client:
        task = asyncio.create_task(fetch(client, upstream.url))
        await asked.wait()
        task.cancel()
        await hung_up.wait()
        with pytest.raises(asyncio.CancelledError):
            await task


# --- proxies --------------------------------------------------------------------------


def tunnelling(lines: list[str], headers: list[dict[str, str]], answer: bytes | None = None) -> Script:
    """A proxy; with `answer` it says that instead of connecting."""

    async def script(peer: Peer) -> None:
        line, fields, _ = await peer.request()
        lines.append(line)
        headers.append(fields)
        if answer is not None:
            await peer.send(answer)
            return
        host, _, port = line.split()[1].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await peer.send(b"HTTP/1.1 200 Connection established\r\nX-Via: test\r\n\r\n")

        async def copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                target.write(data)
            target.close()

        try:
            await asyncio.gather(copy(peer.reader, writer), copy(reader, peer.writer), return_exceptions=True)
        finally:
            writer.close()
            await writer.wait_closed()

    return script


async def test_https_upstreams_are_reached_through_the_proxy(server_tls: ssl.SSLContext, ca_file: str) -> None:
    lines: list[str] = []
    headers: list[dict[str, str]] = []
    async with (
        answering(reply(b"ok"), tls=server_tls) as upstream,
        answering(reply(b"plain")) as plain,
        raw_upstream(tunnelling(lines, headers)) as proxy,
        http_client(UpstreamConfig(proxy=f"http://us%40er:p%3Aw@{proxy.where}", ca_file=ca_file)) as client,
    ):
        for _ in range(2):
            assert await fetch(client, upstream.url) == b"ok"
        assert await fetch(client, plain.url) == b"plain"  # http:// goes directly
        assert lines == [f"CONNECT {upstream.where} HTTP/1.1"]
        assert headers[0]["host"] == upstream.where
        assert base64.b64decode(headers[0]["proxy-authorization"].removeprefix("Basic ")) == b"us@er:p:w"
        assert "proxy-authorization" not in upstream.requests[0][1]


@pytest.mark.parametrize(
    ("answer", "kind", "message"),
    [
        (b"HTTP/1.1 407 Authenticate\r\n\r\n", UpstreamUnreachable, "refuses to connect.*407; its user"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 2\r\n\r\nno", UpstreamUnreachable, "refuses to connect.*502"),
        (b"SSH-2.0-x\r\n\r\n", UpstreamMalformed, "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\nsurprise", UpstreamMalformed, "sends data before"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, UpstreamMalformed, "does not end its reply's head"),
        (b"HTTP/1.1 200", UpstreamUnreachable, "closed the connection"),
    ],
)  # fmt: skip
async def test_a_proxy_that_does_not_connect_is_named(answer: bytes, kind: type[UpstreamError], message: str) -> None:
    async with (
        raw_upstream(tunnelling([], [], answer)) as proxy,
        http_client(UpstreamConfig(proxy=f"http://user:hunter2@{proxy.where}")) as client,
    ):
        with pytest.raises(kind, match=f"^acme: .*{proxy.where}.*{message}") as caught:
            await fetch(client, "https://upstream.example")
        assert "hunter2" not in str(caught.value)


async def test_a_proxy_that_is_not_there_or_hangs_is_named() -> None:
    async def script(peer: Peer) -> None:
        await peer.gone()

    async with http_client(UpstreamConfig(proxy="http://127.0.0.1:1")) as client:
        with pytest.raises(UpstreamUnreachable, match=r"the proxy 127\.0\.0\.1:1 cannot be reached"):
            await fetch(client, "https://upstream.example")
    async with raw_upstream(script) as proxy, http_client(UpstreamConfig(proxy=f"http://{proxy.where}")) as client:
        with pytest.raises(UpstreamTimeout) as caught:
            await fetch(client, "https://upstream.example", Timeouts(connect_s=0.1))
        assert caught.value.phase == "connect"


@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1", "https://127.0.0.1:1", "http://", "http://127.0.0.1:port"])
async def test_a_proxy_of_another_kind_is_refused(url: str) -> None:
    async with http_client(UpstreamConfig(proxy=url)) as client:
        with pytest.raises(UpstreamUnreachable, match=r"upstream\.proxy"):
            await fetch(client, "https://upstream.example")


async def test_the_environments_proxy_is_used_but_for_its_exceptions(
    monkeypatch: pytest.MonkeyPatch, server_tls: ssl.SSLContext, ca_file: str
) -> None:
    lines: list[str] = []
    async with (
        answering(reply(b"ok"), tls=server_tls) as upstream,
        raw_upstream(tunnelling(lines, [], b"HTTP/1.1 503 Busy\r\n\r\n")) as proxy,
    ):
        monkeypatch.delenv("https_proxy", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.setenv("HTTPS_PROXY", f"http://{proxy.where}")
        monkeypatch.setenv("NO_PROXY", "internal.example")
        async with http_client(UpstreamConfig(ca_file=ca_file)) as client:
            assert await fetch(client, upstream.url) == b"ok"  # this machine is always reached directly
            with pytest.raises(UpstreamUnreachable, match="503"):
                await fetch(client, "https://upstream.example")
            with pytest.raises(UpstreamUnreachable, match=r"no such host|cannot look up"):
                await fetch(client, "https://api.internal.example")
        async with http_client(UpstreamConfig(proxy="", ca_file=ca_file)) as client:
            with pytest.raises(UpstreamUnreachable, match=r"no such host|cannot look up"):
                await fetch(client, "https://upstream.example.invalid")
    assert lines == ["CONNECT upstream.example:443 HTTP/1.1"]


@pytest.mark.parametrize(
    ("host", "exceptions", "expected"),
    [
        ("api.example.com", "example.com", True),
        ("api.example.com", ".example.com", True),
        ("api.example.com", "*.example.com", True),
        ("example.com", "example.com", True),
        ("badexample.com", "example.com", False),
        ("api.example.com", "a, API.example.com ,b", True),
        ("api.example.com", "*", True),
        ("api.example.com", "example.com:443", True),
        ("api.example.com", "example.com:8443", False),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "[fd00::1]", True),
        ("fd00::1", "[fd00::1]:443", True),
        ("fd00::1", "[fd00::1]:1", False),
        ("api.example.com", "", False),
        ("api.example.com", ",,", False),
    ],
)
def test_exceptions_from_the_proxy(host: str, exceptions: str, expected: bool) -> None:
    assert excepted(Origin(True, host, 443), exceptions) is expected


# --- addresses ------------------------------------------------------------------------


async def test_an_ipv6_address_is_reached(client: HttpClient) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply(b"six", "Connection: close"))
        writer.close()

    try:
        server = await asyncio.start_server(serve, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 here")
    async with server:
        port = server.sockets[0].getsockname()[1]
        response = await client.send("GET", f"http://[::1]:{port}/", {}, b"", Timeouts())
        assert await response.read() == b"six"
    assert f"\r\nhost: [::1]:{port}\r\n".encode() in seen[0]


async def test_localhost_is_reached_on_the_family_that_answers(client: HttpClient) -> None:
    """RFC 8305: ::1 refuses here, 127.0.0.1 answers."""
    async with answering(reply(b"ok")) as upstream:
        assert await fetch(client, f"http://localhost:{upstream.port}") == b"ok"
