"""What of Ollama's paths is read without a type, and the second port for clients that look for Ollama."""

from __future__ import annotations

import asyncio
import json
import logging
import socket

import aiohttp
import pytest
from gateway_wire import wire

from ghostd.config.http import HttpConfig
from ghostd.gateway.listen import bind_spare
from ghostd.testing.gateway import Served, serving
from ghostd.testing.scripted import ScriptedProvider

BODY = json.dumps({"model": "auto", "stream": False, "messages": [{"role": "user", "content": "hi"}]}).encode()
FORM = "application/x-www-form-urlencoded"


async def post(served: Served, path: str, **headers: str) -> int:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as client, client.post(served.url + path, data=BODY, headers=sent) as reply:
        return reply.status


@pytest.mark.parametrize("kind", [FORM, "Application/X-WWW-Form-Urlencoded; charset=utf-8"])
async def test_what_curl_sends_without_a_header_is_read_as_json(kind: str) -> None:
    async with serving(ScriptedProvider()) as served:
        assert await post(served, "/api/chat", Content_Type=kind) == 200
        assert await post(served, "/x/../api/chat", Content_Type=kind) == 200


async def test_a_body_without_a_type_is_read_as_json() -> None:
    """As LiteLLM sends it."""
    async with serving(ScriptedProvider()) as served, wire(served) as client:
        for path, status in (("/api/chat", 200), ("/v1/chat/completions", 415)):
            await client.send(client.head(f"POST {path} HTTP/1.1", f"Content-Length: {len(BODY)}") + BODY)
            assert (await client.reply())[0] == status
    for header in ("Origin: http://evil.example", "Referer: x", "Sec-Fetch-Site: cross-site"):
        async with serving(ScriptedProvider()) as served, wire(served) as client:
            await client.send(client.head("POST /api/chat HTTP/1.1", f"Content-Length: {len(BODY)}", header) + BODY)
            assert (await client.reply())[0] in (403, 415)


@pytest.mark.parametrize(
    "header",
    [
        ("Origin", "http://localhost:{port}"),
        ("Referer", "https://evil.example/"),
        ("referer", ""),
        ("Sec-Fetch-Site", "cross-site"),
        ("sec-fetch-mode", "no-cors"),
        ("Sec-Fetch-Newer", "x"),
    ],
)
async def test_a_form_that_a_page_may_have_sent_is_refused(header: tuple[str, str]) -> None:
    async with serving(ScriptedProvider()) as served:
        name, value = header
        sent = {"Content-Type": FORM, name: value.format(port=served.port)}
        async with (
            aiohttp.ClientSession() as client,
            client.post(served.url + "/api/chat", data=BODY, headers=sent) as reply,
        ):
            assert reply.status == 415
            assert list(await reply.json()) == ["error"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/apiary", "/v1/../v1/completions", "/api"])
async def test_forms_are_read_on_no_other_path(path: str) -> None:
    async with serving(ScriptedProvider()) as served:
        assert await post(served, path, Content_Type=FORM) == 415


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/json; charset=utf-16"])
async def test_other_types_stay_refused(kind: str) -> None:
    async with serving(ScriptedProvider()) as served:
        assert await post(served, "/api/chat", Content_Type=kind) == 415


async def test_a_foreign_host_is_refused_in_ollamas_shape() -> None:
    async with (
        serving(ScriptedProvider()) as served,
        aiohttp.ClientSession() as client,
        client.get(served.url + "/api/tags", headers={"Host": "evil.example"}) as reply,
    ):
        assert reply.status == 421
        assert list(await reply.json()) == ["error"]


# --- the second port ---------------------------------------------------------------------


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def status_of(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as client, client.get(url, headers=headers) as reply:
        return reply.status


async def test_the_second_port_serves_the_same_routes_under_its_own_name() -> None:
    port = free_port()
    async with serving(ScriptedProvider(), config=HttpConfig(ollama_port=port)) as served:
        assert served.port != port
        for host in ("127.0.0.1", "localhost"):
            for path in ("/", "/api/tags", "/v1/models", "/health"):
                assert await status_of(f"http://{host}:{port}{path}") == 200
        for name in (f"127.0.0.1:{served.port}", "127.0.0.1", "evil.example", f"evil.example:{port}"):
            assert await status_of(f"http://127.0.0.1:{port}/api/tags", Host=name) == 421
        assert await status_of(f"http://127.0.0.1:{port}/api/tags", Origin="http://evil.example") == 403
        assert await status_of(f"{served.url}/api/tags", Host=f"127.0.0.1:{port}") == 421
    with pytest.raises(aiohttp.ClientConnectorError):
        await status_of(f"http://127.0.0.1:{port}/")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
async def test_the_second_port_listens_on_both_families() -> None:
    port = free_port()
    async with serving(ScriptedProvider(), config=HttpConfig(ollama_port=port)):
        try:
            status = await status_of(f"http://[::1]:{port}/api/version")
        except aiohttp.ClientConnectorError:
            pytest.skip("this machine has no loopback address of IPv6")
        assert status == 200


async def test_a_port_that_another_program_has_is_left_to_it(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with caplog.at_level(logging.WARNING):
            async with serving(ScriptedProvider(), config=HttpConfig(ollama_port=port)) as served:
                assert await status_of(served.url + "/health") == 200
        assert f"Port {port} on 127.0.0.1 is in use" in caplog.text
        assert "http.ollama_port is not served" in caplog.text


async def test_a_port_that_is_taken_for_one_family_is_taken() -> None:
    try:
        other = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no loopback address of IPv6")
    with other:
        port = other.getsockname()[1]
        listeners, why = await bind_spare(port, "http.ollama_port")
        assert listeners == []
        assert "in use" in why
        async with asyncio.timeout(5):
            await asyncio.to_thread(lambda: socket.create_server(("127.0.0.1", port)).close())
