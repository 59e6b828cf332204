"""Ports and sockets: taken, stale, replaced, and what is said about them."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import aiohttp
import pytest
import uvloop

from ghostd.config.http import HttpConfig
from ghostd.engine import Engine
from ghostd.errors import ConfigError, InstanceError, PortTaken
from ghostd.gateway.app import serve_http
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider


@pytest.fixture
def taken_port() -> socket.socket:
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    holder.listen()
    return holder


async def test_a_taken_port_says_who_has_it_and_how_to_choose_another(
    taken_port: socket.socket, tmp_path: Path
) -> None:
    port = taken_port.getsockname()[1]
    with taken_port, pytest.raises(PortTaken) as caught:
        async with serve_http(Engine([]), HttpConfig(port=port), tmp_path / "s", dict):
            pass
    message = str(caught.value)
    assert f"Port {port}" in message
    assert f"pid {os.getpid()}" in message
    assert "--port" in message
    assert "http.port" in message
    assert not (tmp_path / "s").exists()


async def test_the_holder_is_left_out_where_the_system_does_not_tell(
    taken_port: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psutil.net_connections", lambda kind: [])
    with taken_port, pytest.raises(PortTaken, match=r"is in use\. Choose"):
        async with serve_http(Engine([]), HttpConfig(port=taken_port.getsockname()[1]), tmp_path / "s", dict):
            pass


async def test_an_address_that_this_machine_lacks_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"http\.host"):
        async with serve_http(Engine([]), HttpConfig(host="192.0.2.1", port=0), tmp_path / "s", dict):
            pass


async def test_a_socket_left_by_a_killed_daemon_is_replaced() -> None:
    async with serving(ScriptedProvider()) as served:
        path = served.socket.parent / "left"
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(path))
        dead.close()  # its file stays, as after kill -9
        async with serve_http(Engine([]), HttpConfig(port=0), path, dict):
            _, writer = await asyncio.open_unix_connection(str(path))
            writer.close()
        assert not path.exists()


async def test_a_socket_that_a_living_process_listens_on_is_left_alone() -> None:
    async with serving(ScriptedProvider()) as served:
        with pytest.raises(InstanceError, match="listens on"):
            async with serve_http(Engine([]), HttpConfig(port=0), served.socket, dict):
                pass
        _, writer = await asyncio.open_unix_connection(str(served.socket))
        writer.close()


async def test_a_file_in_the_sockets_place_is_not_deleted(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(ConfigError):
        async with serve_http(Engine([]), HttpConfig(port=0), path, dict):
            pass
    assert path.read_text() == "mine"


async def test_localhost_serves_both_families_on_one_port() -> None:
    hosts = ["127.0.0.1", "[::1]"] if _has_loopback_6() else ["127.0.0.1"]
    config = HttpConfig(host="localhost")
    async with serving(ScriptedProvider(), config=config) as served, aiohttp.ClientSession() as client:
        for host in hosts:
            async with client.get(f"http://{host}:{served.port}/health") as reply:
                assert reply.status == 200


def _has_loopback_6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
        return True


def test_uvloop_serves_the_same() -> None:
    """The daemon runs on uvloop, whose transports and sockets are its own."""
    body = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "hi"}]}

    async def ask() -> None:
        provider = ScriptedProvider()
        async with serving(provider) as served:
            url = served.url + "/v1/chat/completions"
            for connector in (aiohttp.TCPConnector(), aiohttp.UnixConnector(str(served.socket))):
                async with (
                    aiohttp.ClientSession(connector=connector) as client,
                    client.post(url, json=body) as reply,
                ):
                    assert b"[DONE]" in await reply.read()
            provider.pieces = ["word "] * 1_000_000
            async with aiohttp.ClientSession() as client, client.post(url, json=body) as reply:
                await reply.content.readuntil(b"word ")
                reply.close()  # hangs up
                async with asyncio.timeout(20):
                    while not provider.closed:
                        await asyncio.sleep(0.01)

    uvloop.run(ask())
