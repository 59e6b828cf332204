"""Who may speak to the HTTP port, and what of a request is read at all."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import Any

import aiohttp
import msgspec
import pytest

from ghostd.config.http import HttpConfig
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.guard import collapse, own_hosts
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.testing.gateway import Served, serving
from ghostd.testing.scripted import ScriptedProvider

ROUTES = [
    ("GET", "/health"),
    ("HEAD", "/health"),
    ("GET", "/v1/health"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/scripted-model"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("GET", "/nowhere"),
    ("DELETE", "/v1/models"),
    ("OPTIONS", "/v1/chat/completions"),
]

CHAT = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}


async def call(
    served: Served, method: str, path: str, headers: dict[str, str] | None = None, **options: Any
) -> tuple[int, Any, aiohttp.ClientResponse]:
    async with (
        aiohttp.ClientSession() as client,
        client.request(method, served.url + path, headers=headers, **options) as reply,
    ):
        body = await reply.read()
        return reply.status, (await reply.json() if body else None), reply


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", "evil.example:80", "", "[::1]"]
)
async def test_every_route_refuses_a_host_that_is_not_its_own(method: str, path: str, host: str) -> None:
    """DNS rebinding: a page's own host name resolves to 127.0.0.1."""
    async with serving(ScriptedProvider()) as served:
        status, body, reply = await call(served, method, path, {"Host": host})
        assert status == 421
        assert method == "HEAD" or body["error"]["code"] == "host_not_allowed"
        assert "Access-Control-Allow-Origin" not in reply.headers


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost", "http://127.0.0.1:1"])
async def test_every_route_refuses_a_foreign_origin(method: str, path: str, origin: str) -> None:
    async with serving(ScriptedProvider()) as served:
        status, body, reply = await call(served, method, path, {"Origin": origin})
        assert status == 403
        assert method == "HEAD" or body["error"]["code"] == "origin_not_allowed"
        assert not [name for name in reply.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
async def test_own_hosts_and_own_origins_are_served(name: str) -> None:
    async with serving(ScriptedProvider()) as served:
        host = f"{name}:{served.port}"
        status, _, _ = await call(served, "GET", "/health", {"Host": host, "Origin": f"http://{host}"})
        assert status == 200


async def test_a_configured_host_is_served_exactly_as_it_is_written() -> None:
    async with serving(ScriptedProvider(), config=HttpConfig(allowed_hosts=("devbox.local:8080",))) as served:
        assert (await call(served, "GET", "/health", {"Host": "devbox.local:8080"}))[0] == 200
        assert (await call(served, "GET", "/health", {"Host": "devbox.local"}))[0] == 421
        own_page = {"Host": "devbox.local:8080", "Origin": "https://devbox.local:8080"}
        assert (await call(served, "GET", "/health", own_page))[0] == 200


def test_the_port_may_be_left_out_of_host_only_on_port_80() -> None:
    assert own_hosts(["localhost"], 80, ()) == ["localhost:80", "localhost"]
    assert own_hosts(["::1"], 8080, ("a",)) == ["[::1]:8080", "a"]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/json; charset=utf-16",
        "application/json; boundary=x",
        "application/json, text/plain",
    ],
)
async def test_a_post_that_is_not_json_is_refused(content_type: str) -> None:
    """What an HTML form can send is never read."""
    async with serving(ScriptedProvider()) as served:
        for path in ("/v1/chat/completions", "/nowhere"):
            status, body, _ = await call(served, "POST", path, {"Content-Type": content_type}, data=b"{}")
            assert (status, body["error"]["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", 'Application/JSON;charset="UTF-8"'])
async def test_a_charset_of_utf_8_is_accepted(content_type: str) -> None:
    async with serving(ScriptedProvider()) as served:
        body = b'{"model":"auto","messages":[{"role":"user","content":"hi"}]}'
        status, _, _ = await call(served, "POST", "/v1/chat/completions", {"Content-Type": content_type}, data=body)
        assert status == 200


@pytest.mark.parametrize("authorization", [b"Bearer sk-anything", b"\xaa" * 16])
async def test_loopback_needs_no_key_and_ignores_any_that_is_sent(authorization: bytes) -> None:
    """Zeke's documented build sends sixteen bytes of 0xAA."""
    async with serving(ScriptedProvider()) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost:%d\r\nAuthorization: " % served.port)
        writer.write(authorization + b"\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_the_unix_socket_serves_this_user_the_same_routes_and_the_control_routes() -> None:
    async def secret(exchange: Exchange) -> Response:
        return exchange.json(msgspec.json.encode({"got": (await exchange.body()).decode()}))

    control = [Route(method, "/ghostd/v1/secret", secret) for method in ("POST", "DELETE")]
    async with serving(ScriptedProvider(), control=control) as served:
        assert stat.S_IMODE(os.stat(served.socket).st_mode) == 0o600  # noqa: PTH116
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(served.socket))) as client:
            async with client.get("http://anything/health") as reply:
                assert reply.status == 200
            async with client.post("http://ghostd/v1/chat/completions", json=CHAT) as reply:
                assert reply.status == 200
            async with client.post("http://ghostd/ghostd/v1/secret", json={"a": 1}) as reply:
                assert await reply.json() == {"got": '{"a": 1}'}
                assert reply.headers["x-request-id"]
            async with client.delete("http://ghostd/ghostd/v1/secret") as reply:
                assert reply.status == 200
            async with client.post("http://ghostd/ghostd/v1/secret", data=b"x") as reply:
                assert reply.status == 415
            async with client.get("http://ghostd/health", headers={"Origin": "http://evil.example"}) as reply:
                assert reply.status == 403
        for method in ("POST", "DELETE"):
            status, body, _ = await call(served, method, "/ghostd/v1/secret", json={})
            assert (status, body["error"]["code"]) == (404, "unknown_url")


async def test_another_users_process_is_cut_off_at_the_unix_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ghostd.gateway.connection.peer_uid", lambda connection: os.getuid() + 1)
    async with serving(ScriptedProvider()) as served:
        reader, writer = await asyncio.open_unix_connection(str(served.socket))
        with pytest.raises(ConnectionError):
            writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            if await reader.read() == b"":
                raise ConnectionResetError
        writer.close()


@pytest.mark.parametrize(
    ("path", "collapsed"),
    [
        ("/v1/../health", "/health"),
        ("/./v1/./models", "/v1/models"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/v1/models/a/..", "/v1/models"),
        ("/v1/models/..hidden", "/v1/models/..hidden"),
        ("/..", "/"),
    ],
)
def test_dot_segments_collapse_and_never_climb_above_the_root(path: str, collapsed: str) -> None:
    assert collapse(path) == collapsed


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../../etc/passwd",
        "/v1/%2e%2e/health",
        "/v1//models",
        "//health",
        "/health/",
        "/health%00",
        "/HEALTH",
        "/v1/models/",
        "/v1/models/..%2f..%2fetc",
        "/v1/models/%ff%fe",
        "/%c0%af",
        "/v1/chat/completions/x",
    ],
)
async def test_odd_paths_get_an_openai_error(path: str) -> None:
    async with serving(ScriptedProvider()) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost:{served.port}\r\nConnection: close\r\n\r\n".encode())
        reply = await reader.read()
        assert reply.startswith(b"HTTP/1.1 404 ")
        assert b'"type":"invalid_request_error"' in reply
        writer.close()


async def test_dots_that_a_client_leaves_in_the_path_reach_health() -> None:
    """Zeke sends `GET /v1/../health` as it stands."""
    async with serving(ScriptedProvider()) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        writer.write(b"GET /v1/../health HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % served.port)
        reply = await reader.read()
        assert reply.startswith(b"HTTP/1.1 200 ")
        assert b'"status":"ok"' in reply
        writer.close()


async def test_a_known_path_with_another_method_says_which_are_allowed() -> None:
    async with serving(ScriptedProvider()) as served:
        status, body, reply = await call(served, "GET", "/v1/chat/completions")
        assert (status, reply.headers["Allow"]) == (405, "POST")
        assert body["error"]["code"] == "method_not_supported"
        status, _, reply = await call(served, "PUT", "/v1/models/x/y", json={})
        assert (status, reply.headers["Allow"]) == (405, "GET, HEAD")
