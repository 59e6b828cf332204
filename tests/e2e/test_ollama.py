"""Ollama's Python client through a real daemon: services of three dialects, a local model, and the second port."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from e2e.conftest import StartDaemon
from e2e.daemons import QUIET, DaemonProcess
from e2e.gateway_world import ANTHROPIC, LOCAL, OLLAMA, OPENAI, World, world
from gguf_fixtures import CHAT_TEXT, ModelFile, model_file
from ollama import AsyncClient, Client, ResponseError

__all__ = ["model_file"]

pytestmark = [pytest.mark.e2e, pytest.mark.local_model]

HI = [{"role": "user", "content": "Who are you?"}]


def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@pytest.fixture
async def gateway(start_daemon: StartDaemon, tmp_path: Path, model_file: ModelFile) -> AsyncIterator[World]:
    async with world(start_daemon, tmp_path, model_file("qwen")) as made:
        yield made


async def test_one_client_for_every_kind_of_model(gateway: World) -> None:
    client = AsyncClient(host=gateway.daemon.url)
    for model, who in ((OPENAI, "gpt"), (ANTHROPIC, "claude"), (OLLAMA, "qwen")):
        parts = [part async for part in await client.chat(model=model, messages=HI, stream=True)]
        assert "".join(part.message.content or "" for part in parts) == f"I am {who}"
        assert (parts[-1].done_reason, parts[-1].eval_count) == ("stop", 6)
        called = [part async for part in await client.chat(model=model, messages=HI, tools=[weather], stream=True)]
        calls = [call.function for part in called for call in part.message.tool_calls or ()]
        assert [dict(call.arguments) for call in calls] == [{"city": "Paris"}, {"city": "Rome"}]
    local = await client.chat(model=f"{LOCAL}:latest", messages=HI, options={"temperature": 0, "num_predict": 32})
    assert local.message.content == CHAT_TEXT
    assert [found.model for found in (await client.ps()).models] == [LOCAL]
    with pytest.raises(ResponseError, match="configuration"):
        await client.delete(LOCAL)
    rows = [(row["operation"], row["deployment"], row["status"]) for row in await gateway.rows()]
    assert rows == [
        ("ollama.chat", LOCAL, "ok"),
        *(("ollama.chat", model, "ok") for model in (OLLAMA, OLLAMA, ANTHROPIC, ANTHROPIC, OPENAI, OPENAI)),
    ]
    await client._client.aclose()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def with_second_port(start: StartDaemon, folder: Path, port: int) -> DaemonProcess:
    config = folder / "ghostd.toml"
    config.write_text(f"{QUIET}[http]\nollama_port = {port}\n")
    return start(f"--config={config}")


async def test_the_second_port_is_served_where_it_is_free(start_daemon: StartDaemon, tmp_path: Path) -> None:
    port = free_port()
    daemon = await asyncio.to_thread(with_second_port, start_daemon, tmp_path, port)

    def use() -> None:
        client = Client(host=f"127.0.0.1:{port}")
        assert "auto" in [model.model for model in client.list().models]
        client._client.close()

    await asyncio.to_thread(use)
    status = await asyncio.to_thread(daemon.command, "ghostd", "status")
    assert f"ollama    http://127.0.0.1:{port}" in status.stdout
    assert "warnings" not in status.stdout


async def test_a_second_port_that_is_taken_is_told_and_hinders_nothing(
    start_daemon: StartDaemon, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        daemon = await asyncio.to_thread(with_second_port, start_daemon, tmp_path, port)
        assert (await asyncio.to_thread(daemon.request, "/health"))["status"] == "ok"
        status = await asyncio.to_thread(daemon.command, "ghostd", "status", "--json")
        (warning,) = json.loads(status.stdout)["warnings"]
        assert f"Port {port} on 127.0.0.1 is in use" in warning
        assert warning.endswith("http.ollama_port is not served.")
        told = await asyncio.to_thread(daemon.command, "ghostd", "status")
        assert "warnings  Port" in told.stdout
        assert "\nollama " not in told.stdout
        await asyncio.to_thread(daemon.stop)
        assert "http.ollama_port is not served" in daemon.output
