"""Open WebUI, the real server, before ghostd: as Ollama's API and as OpenAI's (docs/clients/open-webui.md)."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from gateway_wire import eventually
from judges.tools import python_without

from ghostd.conversation import Message
from ghostd.testing.gateway import serving
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import ChatRequest

OPEN_WEBUI = "open-webui==0.12.4"
HEAVY = ("sentence-transformers", "transformers", "accelerate", "faster-whisper", "rapidocr", "pyarrow")
"""What it would run models with itself."""
_START_S = 120

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def connection(kind: str, url: str) -> Mapping[str, str]:
    """Its settings for one of both ways."""
    if kind == "ollama":
        return {
            "OLLAMA_BASE_URL": url,
            "ENABLE_OPENAI_API": "false",
            "RAG_EMBEDDING_ENGINE": "ollama",
            "RAG_OLLAMA_BASE_URL": url,
        }
    return {
        "ENABLE_OLLAMA_API": "false",
        "OPENAI_API_BASE_URL": f"{url}/v1",
        "OPENAI_API_KEY": "unused",
        "RAG_EMBEDDING_ENGINE": "openai",
        "RAG_OPENAI_API_BASE_URL": f"{url}/v1",
        "RAG_OPENAI_API_KEY": "unused",
    }


@dataclass(frozen=True, slots=True)
class WebUi:
    """The running server, and a user who is signed in."""

    http: aiohttp.ClientSession

    async def get(self, path: str) -> Any:
        async with self.http.get(path) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()

    async def post(self, path: str, body: Any) -> Any:
        async with self.http.post(path, json=body) as reply:
            assert reply.status == 200, await reply.text()
            return await reply.json()


@asynccontextmanager
async def open_webui(kind: str, url: str, folder: Path) -> AsyncIterator[WebUi]:
    """The server before ghostd at `url`, until the block ends."""
    program = (await asyncio.to_thread(python_without, "open-webui", OPEN_WEBUI, *HEAVY)).with_name("open-webui")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for name in ("data", "home"):
        (folder / name).mkdir()
    env = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder / "home"),
        "DATA_DIR": str(folder / "data"),
        "WEBUI_AUTH": "False",
        "WEBUI_SECRET_KEY": "for tests",
        "OFFLINE_MODE": "true",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "true",
        "ANONYMIZED_TELEMETRY": "false",
        "AUDIO_STT_ENGINE": "openai",
        "RAG_EMBEDDING_MODEL": "scripted-model",
        "ENABLE_TITLE_GENERATION": "false",
        "ENABLE_TAGS_GENERATION": "false",
        "ENABLE_FOLLOW_UP_GENERATION": "false",
        **connection(kind, url),
    }
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, "serve", "--host", "127.0.0.1", "--port", str(port),
            env=env, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
                await _up(http, process, folder / "log")
                async with http.post("/api/v1/auths/signin", json={"email": "", "password": ""}) as reply:
                    http.headers["Authorization"] = f"Bearer {(await reply.json())['token']}"
                yield WebUi(http)
        finally:
            process.terminate()
            await process.wait()


async def _up(http: aiohttp.ClientSession, process: asyncio.subprocess.Process, log: Path) -> None:
    async with asyncio.timeout(_START_S):
        while True:
            assert process.returncode is None, log.read_text()[-4000:]
            try:
                async with http.get("/health") as reply:
                    if reply.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.2)


@pytest.mark.parametrize("kind", ["ollama", "openai"])
async def test_open_webui_lists_chats_reads_files_and_stops(kind: str, tmp_path: Path) -> None:
    provider = ScriptedProvider(pieces=("hello", " world"))
    async with serving(provider) as served, open_webui(kind, served.url, tmp_path) as webui:
        models = (await webui.get("/api/models"))["data"]
        assert ("scripted-model", kind) in [(model["id"], model["owned_by"]) for model in models]

        asked = {"model": "scripted-model", "messages": [{"role": "user", "content": "hi"}]}
        whole = await webui.post("/api/chat/completions", {**asked, "stream": False})
        assert whole["choices"][0]["message"]["content"] == "hello world"
        async with webui.http.post("/api/chat/completions", json={**asked, "stream": True}) as reply:
            assert await said(reply) == "hello world"
        last = provider.requests[-1]
        assert isinstance(last, ChatRequest)
        assert last.messages == (Message("user", "hi"),)

        # A document: its pieces and the question become vectors.
        form = aiohttp.FormData()
        form.add_field("file", b"The ghost lives in the daemon.", filename="ghost.txt", content_type="text/plain")
        async with webui.http.post("/api/v1/files/?process=true&process_in_background=false", data=form) as reply:
            assert reply.status == 200, await reply.text()
            file = await reply.json()
        query = {"collection_name": f"file-{file['id']}", "query": "Where does the ghost live?", "k": 1}
        found = await webui.post("/api/v1/retrieval/query/doc", query)
        assert found["documents"] == [["The ghost lives in the daemon."]]

        if kind == "ollama":
            return  # it goes on to wait for the first word of an Ollama server, whatever the reader does
        provider.hold, before = asyncio.Event(), provider.started
        asking = asyncio.ensure_future(webui.post("/api/chat/completions", {**asked, "stream": True}))
        await eventually(lambda: provider.started > before)
        asking.cancel()
        await eventually(lambda: provider.closed == 1)


async def said(reply: aiohttp.ClientResponse) -> str:
    """The text of a stream."""
    assert reply.status == 200, await reply.text()
    texts, done = [], False
    async for line in reply.content:
        data = line.strip().removeprefix(b"data: ")
        done = done or data == b"[DONE]"
        if data.startswith(b"{"):
            texts += [choice["delta"].get("content") or "" for choice in json.loads(data)["choices"]]
    assert done
    return "".join(texts)
