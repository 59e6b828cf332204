"""Which of the servers that run on this machine are found, and which are left alone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from aiohttp import web

from ghostd.config.local import DiscoveryConfig
from ghostd.config.providers import ProviderConfig, UpstreamConfig
from ghostd.providers import discovery as discovery_module
from ghostd.providers import listeners
from ghostd.providers.discovery import KINDS, Found, Kind, ServerDiscovery
from ghostd.providers.http.client import HttpClient, http_client

Replies = Mapping[str, object]
OLLAMA: Replies = {"/api/version": {"version": "0.13.0"}, "/api/tags": {"models": [{"name": "qwen:7b"}]}}
LM_STUDIO: Replies = {"/v1/models": {"object": "list", "data": [{"id": "qwen", "object": "model"}]}}
VLLM: Replies = {"/v1/models": {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "vllm"}]}}
LLAMA: Replies = {"/v1/models": {"object": "list", "data": [{"id": "m", "object": "model", "owned_by": "llamacpp"}]}}


class Server:
    """A server on a free port that gives scripted replies and notes what it is asked."""

    def __init__(self, replies: Replies, server: str) -> None:
        self.replies = replies
        self.asked: list[str] = []
        self.port = 0
        self._server = server

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        reply = self.replies.get(request.path)
        if isinstance(reply, asyncio.Event):
            await reply.wait()
        if isinstance(reply, bytes):
            return web.Response(body=reply, content_type="application/json", headers={"Server": self._server})
        status = 404 if reply is None else 200
        return web.json_response(reply, status=status, headers={"Server": self._server})


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers are found however slow the machine is."""
    monkeypatch.setattr(discovery_module, "_PROBE_S", 20.0)


@pytest.fixture
async def exits() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def serve(exits: AsyncExitStack) -> Serve:
    """A function that starts a scripted server."""

    async def start(replies: Replies, server: str = "uvicorn", port: int = 0) -> Server:
        scripted = Server(replies, server)
        runner = web.ServerRunner(web.Server(scripted.answer))
        await runner.setup()
        exits.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", port).start()
        scripted.port = runner.addresses[0][1]
        return scripted

    return start


@pytest.fixture
async def http(exits: AsyncExitStack) -> HttpClient:
    return await exits.enter_async_context(http_client(UpstreamConfig()))


def at(preset: str, server: Server) -> Kind:
    """The real kind, on the server's port."""
    return replace(next(kind for kind in KINDS if kind.preset == preset), port=server.port)


async def look(
    http: HttpClient, *kinds: Kind, providers: Mapping[str, ProviderConfig] | None = None, own: tuple[int, ...] = ()
) -> list[Found]:
    discovery = ServerDiscovery(http, DiscoveryConfig(), providers or {}, own, kinds)
    return list(await discovery.look())


def test_the_default_ports_are_the_programs_own() -> None:
    assert {kind.preset: kind.port for kind in KINDS} == {
        "ollama": 11434, "lm-studio": 1234, "vllm": 8000, "llama-server": 8080,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("preset", "replies", "path", "asked"),
    [
        ("ollama", OLLAMA, "", ["GET /api/version", "GET /api/tags"]),
        ("lm-studio", LM_STUDIO, "/v1", ["GET /v1/models"]),
        ("vllm", VLLM, "/v1", ["GET /v1/models"]),
        ("llama-server", LLAMA, "", ["GET /v1/models"]),
    ],
)
async def test_each_program_is_recognised_by_what_it_alone_says(
    http: HttpClient, serve: Serve, preset: str, replies: Replies, path: str, asked: list[str]
) -> None:
    server = await serve(replies)
    assert await look(http, at(preset, server)) == [Found(preset, f"http://127.0.0.1:{server.port}{path}", preset)]
    assert server.asked == asked


@pytest.mark.parametrize(
    ("preset", "replies"),
    [
        ("ollama", {}),
        ("ollama", {"/api/version": {"version": 3}}),
        ("ollama", {"/api/version": {"version": "1.0"}}),
        ("ollama", {"/api/version": b"<html>"}),
        ("lm-studio", {"/v1/models": []}),
        ("lm-studio", {"/v1/models": {"object": "list", "data": [{"id": 5}]}}),
        ("lm-studio", {"/v1/models": b"[" * 100_000}),
        ("lm-studio", {"/v1/models": b'{"object":"list","data":[]}' + b" " * 5_000_000}),
        ("vllm", LM_STUDIO),
        ("llama-server", VLLM),
    ],
)
async def test_another_program_on_the_port_is_no_model_server(
    http: HttpClient, serve: Serve, preset: str, replies: Replies
) -> None:
    assert await look(http, at(preset, await serve(replies))) == []


async def test_another_ghostd_is_not_taken_for_what_it_imitates(http: HttpClient, serve: Serve) -> None:
    assert await look(http, at("ollama", await serve(OLLAMA, server="ghostd/0.2.0"))) == []


async def test_ghostds_own_port_is_not_asked(http: HttpClient, serve: Serve) -> None:
    server = await serve(LLAMA)
    assert await look(http, at("llama-server", server), own=(server.port,)) == []
    assert server.asked == []


@pytest.mark.parametrize("settings", [{}, {"enabled": False}, {"base_urls": ("http://elsewhere:11434",)}])
async def test_a_program_that_the_configuration_speaks_of_is_left_to_it(
    http: HttpClient, serve: Serve, settings: dict[str, object]
) -> None:
    server = await serve(OLLAMA)
    for name, preset in (("ollama", None), ("mine", "ollama")):
        providers = {name: ProviderConfig(preset=preset, **settings)}  # type: ignore[arg-type]
        assert await look(http, at("ollama", server), providers=providers) == []
    assert server.asked == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_a_base_url_that_is_configured_is_not_found_again(http: HttpClient, serve: Serve, host: str) -> None:
    server = await serve(LM_STUDIO)
    providers = {"mine": ProviderConfig(preset="openai", base_urls=(f"http://{host}:{server.port}/v1",))}
    assert await look(http, at("lm-studio", server), providers=providers) == []


async def test_a_name_that_the_configuration_uses_otherwise_is_not_taken_away(http: HttpClient, serve: Serve) -> None:
    server = await serve(VLLM)
    providers = {"vllm": ProviderConfig(preset="openai", base_urls=("https://api.example.com/v1",))}
    (found,) = await look(http, at("vllm", server), providers=providers)
    assert found.name == "vllm-local"


async def test_another_users_server_is_not_used(
    http: HttpClient, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve(OLLAMA)
    owners = await asyncio.to_thread(listeners.listeners, server.port)
    if not owners:
        pytest.skip("the system does not say whose sockets they are")
    assert owners == {os.getuid()}
    monkeypatch.setattr(listeners, "_FIRST_REGULAR_UID", 0)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000)
    assert await look(http, at("ollama", server)) == []


async def test_one_that_ends_is_dropped_and_one_that_is_slow_stays(
    http: HttpClient, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, ending = await serve(OLLAMA), await serve(VLLM)
    discovery = ServerDiscovery(http, DiscoveryConfig(), {}, (), (at("ollama", slow), at("vllm", ending)))
    assert [found.name for found in await discovery.look()] == ["ollama", "vllm"]
    never = asyncio.Event()
    slow.replies, ending.replies = {"/api/version": never}, {}
    with monkeypatch.context() as patch:
        patch.setattr(discovery_module, "_PROBE_S", 1.0)
        assert [found.name for found in await discovery.look()] == ["ollama"]
    never.set()
    slow.replies = {}
    assert await discovery.look() == ()


async def test_nothing_is_asked_while_the_switch_is_off(http: HttpClient, serve: Serve) -> None:
    server = await serve(OLLAMA)
    discovery = ServerDiscovery(http, DiscoveryConfig(servers=False), {}, (), (at("ollama", server),))
    assert (discovery.due, await discovery.look(), server.asked) == (False, (), [])


async def test_another_look_is_due_after_the_interval(http: HttpClient, serve: Serve) -> None:
    kind = at("ollama", await serve(OLLAMA))
    for interval_s, due in ((1e-9, True), (60.0, False)):
        discovery = ServerDiscovery(http, DiscoveryConfig(interval_s=interval_s), {}, (), (kind,))
        assert discovery.due
        await discovery.look()
        assert discovery.due is due
