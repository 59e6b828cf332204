"""Conversations that name a file which was uploaded here. Source: the OpenAI API reference, "File inputs"."""

from __future__ import annotations

import base64
import json
from typing import Any

import aiohttp
import pytest
from gateway_harness import MESSAGES, Answer, Gateway
from routing_harness import World, upstream

from ghostd.conversation import File
from ghostd.gateway.attachments import Attachments
from ghostd.testing.file_contract import keep
from ghostd.testing.gateway import serving
from ghostd.testing.memory_files import MemoryFiles
from ghostd.testing.scripted import ScriptedProvider
from ghostd.types import ChatRequest, Relayed, RelayRequest, Usage

PNG = b"\x89PNG\r\n\x1a\n" + bytes(50)
PDF = b"%PDF-1.7 hello"
REPLY = [Relayed(b'{"said":"ok"}', True, Usage(1, 1))]


def url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


async def sent(files: MemoryFiles, path: str, max_bytes: int = 10_000, **fields: Any) -> tuple[Answer, Any]:
    """The answer, and what the service got."""
    provider = upstream("a", REPLY, relays=("openai.chat", "openai.responses"))
    world = World('routes.r.deployments = ["a/m"]\n', provider)
    attachments = Attachments(files, max_bytes)
    async with serving(engine=world.engine, attachments=attachments) as served, aiohttp.ClientSession() as client:
        answer = await Gateway(world, served, client).post(path, **fields)
        await world.router.close()
    asked = provider.asked[0] if provider.asked else None
    assert asked is None or isinstance(asked, RelayRequest)
    return answer, asked and {name: json.loads(value) for name, value in asked.fields.items()}


@pytest.mark.parametrize(
    ("content", "filename", "kind"),
    [
        (PDF, "a.bin", "application/pdf"),
        (PNG, "a", "image/png"),
        (b"text", "a.txt", "text/plain"),
        (b"\0\1", "a", "application/octet-stream"),
        (b"RIFF....WEBP", "a", "image/webp"),
    ],
)
async def test_a_chat_gets_the_files_content(content: bytes, filename: str, kind: str) -> None:
    files = MemoryFiles()
    file = await keep(files, content, filename=filename)
    parts = [{"type": "text", "text": 'what is this? "file_id"'}, {"type": "file", "file": {"file_id": file.id}}]
    messages = [*MESSAGES, {"role": "user", "content": parts}]
    answer, got = await sent(files, "/v1/chat/completions", messages=messages, newer=1)
    assert answer.status == 200
    assert got["messages"][1]["content"] == [
        parts[0],
        {"type": "file", "file": {"filename": filename, "file_data": url(kind, content)}},
    ]
    assert got["newer"] == 1


async def test_a_file_that_is_not_here_is_the_services_to_find() -> None:
    parts = [{"type": "file", "file": {"file_id": "file-theirs"}}]
    _, got = await sent(MemoryFiles(), "/v1/chat/completions", messages=[{"role": "user", "content": parts}])
    assert got["messages"][0]["content"] == parts


async def test_what_only_looks_like_a_file_stays_as_it_is() -> None:
    files = MemoryFiles()
    file = await keep(files, b"x")
    messages = [
        {"role": "user", "content": '{"type": "file", "file": {"file_id": "x"}}'},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": file.id, "file_data": "data:,own"}}]},
        {"role": "user", "content": [{"type": "other", "file": {"file_id": file.id}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_id": 7}}]},
    ]
    _, got = await sent(files, "/v1/chat/completions", messages=messages)
    assert got["messages"] == messages


async def test_a_request_that_grows_too_large_is_refused() -> None:
    files = MemoryFiles()
    file = await keep(files, b"x" * 900)
    parts = [{"type": "file", "file": {"file_id": file.id}}]
    answer, got = await sent(files, "/v1/chat/completions", 1000, messages=[{"role": "user", "content": parts}])
    assert (answer.status, answer.json["error"]["code"]) == (413, "request_too_large")
    assert got is None


@pytest.mark.parametrize("kind", ["input_file", "input_image"])
async def test_parts_of_the_responses_api_name_files_too(kind: str) -> None:
    files = MemoryFiles()
    file = await keep(files, PNG, filename="a.png")
    given = [{"role": "user", "content": [{"type": kind, "file_id": file.id}]}]
    _, got = await sent(files, "/v1/responses", messages=None, input=given)
    wanted = {"image_url": url("image/png", PNG)}
    if kind == "input_file":
        wanted = {"filename": "a.png", "file_data": url("image/png", PNG)}
    assert got["input"][0]["content"] == [{"type": kind, **wanted}]


@pytest.mark.parametrize("filename", ["notes.txt", "notes.md", "notes.json", "notes.py"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
async def test_a_model_that_reads_text_only_gets_a_text_file_as_text(path: str, filename: str) -> None:
    """The choice is ours: the reference has PDF in mind."""
    files = MemoryFiles()
    file = await keep(files, "ghosts häunt".encode(), filename=filename)
    chat = path.endswith("completions")
    part = {"type": "file", "file": {"file_id": file.id}} if chat else {"type": "input_file", "file_id": file.id}
    said = [{"role": "user", "content": [part]}]
    provider = ScriptedProvider(features=frozenset(("tools",)))
    async with serving(provider, attachments=Attachments(files, 10_000)) as served, aiohttp.ClientSession() as client:
        body = {"model": "scripted-model", ("messages" if chat else "input"): said}
        async with client.post(served.url + path, json=body) as reply:
            assert reply.status == 200, await reply.text()
    (asked,) = provider.requests
    assert isinstance(asked, ChatRequest)
    (held,) = asked.messages[-1].parts
    assert isinstance(held, File)
    assert held.text == "ghosts häunt"


async def test_a_pdf_for_a_model_that_reads_text_only_is_refused() -> None:
    files = MemoryFiles()
    file = await keep(files, PDF, filename="a.txt")
    said = [{"role": "user", "content": [{"type": "file", "file": {"file_id": file.id}}]}]
    provider = ScriptedProvider(features=frozenset(("tools",)))
    async with serving(provider, attachments=Attachments(files, 10_000)) as served, aiohttp.ClientSession() as client:
        body = {"model": "scripted-model", "messages": said}
        async with client.post(served.url + "/v1/chat/completions", json=body) as reply:
            assert (reply.status, (await reply.json())["error"]["param"]) == (400, "messages")
    assert not provider.requests
