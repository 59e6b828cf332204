"""A gateway on a free port over any providers, and a judge of its streams."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ghostd.config.http import HttpConfig
from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.gateway.app import serve_http
from ghostd.gateway.attachments import Attachments
from ghostd.gateway.dialects.responses.doors import responses_doors
from ghostd.gateway.routes import Later, Route
from ghostd.ports import Provider
from ghostd.responses.service import open_responses

MAX_EVENT_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Served:
    """Where the gateway is."""

    port: int
    socket: Path

    @property
    def url(self) -> str:
        """Of the TCP address."""
        return f"http://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(
    *providers: Provider,
    engine: Engine | None = None,
    config: HttpConfig | None = None,
    status: Callable[[], Mapping[str, object]] = dict,
    control: Sequence[Route] = (),
    doors: Sequence[Route | Later] = (),
    attachments: Attachments | None = None,
    drain_s: float = 1.0,
) -> AsyncIterator[Served]:
    """Serve these providers, or an engine, over HTTP while the block runs; the port of `config` is not used.

    What is kept of the Responses API is gone with the block.
    """
    wanted = msgspec.structs.replace(config or HttpConfig(), port=0)
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="ghostd")
    try:
        socket = Path(folder.name) / "http.sock"
        asked = engine or Engine(providers)
        kept = ResponsesConfig()
        async with (
            open_responses(Path(folder.name), kept) as store,
            responses_doors(asked, store, kept) as responses,
            serve_http(
                asked,
                wanted,
                socket,
                status,
                control,
                doors=[*responses, *doors],
                attachments=attachments,
                drain_s=drain_s,
            ) as server,
        ):
            yield Served(server.port, socket)
    finally:
        await asyncio.to_thread(folder.cleanup)


@dataclass(slots=True)
class Choice:
    """What a stream said of one choice."""

    text: str = ""
    finish_reason: str | None = None
    logprobs: int = 0
    """How many tokens came with a log probability."""


@dataclass(slots=True)
class Streamed:
    """A stream that keeps the rules."""

    choices: dict[int, Choice]
    usage: dict[str, Any] | None
    id: str
    model: str


def check_stream(body: bytes, *, chat: bool, with_usage: bool = False) -> Streamed:
    """Read a whole OpenAI stream; AssertionError names the rule that it breaks."""
    events = _events(body)
    assert events[-1] == b"[DONE]", "the stream does not end with [DONE]"
    chunks = [msgspec.json.decode(event) for event in events[:-1]]
    result = Streamed({}, None, chunks[0]["id"], chunks[0]["model"])
    for number, chunk in enumerate(chunks):
        assert (chunk["id"], chunk["model"]) == (result.id, result.model), "id or model changes"
        assert chunk["created"] == chunks[0]["created"], "created changes"
        assert type(chunk["created"]) is int, "created is not an integer"
        assert chunk["object"] == ("chat.completion.chunk" if chat else "text_completion")
        assert ("usage" in chunk) is with_usage, "usage without having been asked for, or the reverse"
        if with_usage and number == len(chunks) - 1:
            assert chunk["choices"] == [], "the usage chunk has choices"
            result.usage = chunk["usage"]
            continue
        assert chunk.get("usage") is None, "usage before the last chunk"
        assert len(chunk["choices"]) == 1, "a chunk with other than one choice"
        _add(result.choices, chunk["choices"][0], chat=chat)
    assert all(choice.finish_reason for choice in result.choices.values()), "a choice without a finish reason"
    return result


def check_failed_stream(body: bytes) -> dict[str, Any]:
    """Read a stream that fails on its way; its error."""
    events = _events(body)
    chunks = [msgspec.json.decode(event) for event in events]
    error: dict[str, Any] = chunks[-1]["error"]
    assert set(error) == {"message", "type", "param", "code"}
    for chunk in chunks[:-1]:
        assert "error" not in chunk
        assert all(choice["finish_reason"] is None for choice in chunk["choices"]), "a finish before the error"
    return error


def _events(body: bytes) -> list[bytes]:
    assert body.endswith(b"\n\n"), "the last event is cut off"
    found = []
    for event in body.removesuffix(b"\n\n").split(b"\n\n"):
        assert len(event) + 2 <= MAX_EVENT_BYTES, f"an event of {len(event) + 2} bytes"
        event.decode("utf-8")
        if event.startswith(b":"):
            continue
        assert event.startswith(b"data: "), f"not a data line: {event[:40]!r}"
        assert b"\n" not in event
        found.append(event.removeprefix(b"data: "))
    return found


def _add(choices: dict[int, Choice], sent: dict[str, Any], *, chat: bool) -> None:
    first = sent["index"] not in choices
    choice = choices.setdefault(sent["index"], Choice())
    assert choice.finish_reason is None, "something after the finish reason"
    choice.finish_reason = sent["finish_reason"]
    logprobs = sent.get("logprobs") or {}
    if not chat:
        choice.text += sent["text"]
        choice.logprobs += len(logprobs.get("tokens", ()))
        return
    delta = sent["delta"]
    assert ("role" in delta) is first, "the role is not in the choice's first chunk, or not only there"
    assert delta.get("role", "assistant") == "assistant"
    assert "content" in delta or choice.finish_reason, "a delta without content"
    assert delta.get("content", "") is not None, "a content of null"
    choice.text += delta.get("content", "")
    choice.logprobs += len(logprobs.get("content", ()))
