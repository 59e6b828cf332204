"""A scripted model behind Mistral's fill-in-the-middle API, streamed, and behind the one of Tabby's server, whole.

It writes what the file goes on with, up to LINES lines and not past the hole's end, each right with probability RIGHT
(seeded by its place); a wrong one is the last. The first token comes after 60 % of the latency, the last one at
its end. It stops when its client hangs up, and notes when that was.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

LINES = 3
RIGHT = 0.7
TOKEN_CHARS = 4
_TAIL_CHARS = 200
_FIRST = 0.6


@dataclass(slots=True)
class Start:
    """One generation."""

    at_s: float
    prompt: str = ""
    """What stood before the cursor, as far as it was sent."""
    pieces: list[tuple[float, str]] = field(default_factory=list)
    """Its tokens, and when each was out."""
    ended_s: float = 0.0
    stopped: bool = False
    """Whether its client hung up."""

    @property
    def last_s(self) -> float:
        """When its last token was out, 0 before."""
        return self.pieces[-1][0] if self.pieces else 0.0


@dataclass(slots=True)
class Model:
    """The server's state; `text` is the file that is being typed."""

    text: str = ""
    end: int | None = None
    """Where the hole in `text` ends that is being typed, None for a file without text behind the cursor."""
    latency_s: float = 0.2
    right: float = RIGHT
    starts: list[Start] = field(default_factory=list)

    def reply(self, prefix: str) -> str:
        """What it says behind a prefix."""
        tail = prefix[-_TAIL_CHARS:]
        found = self.text.find(tail)
        if found < 0:
            return "unexpected(value)"
        at = found + len(tail)
        lines: list[str] = []
        for number, line in enumerate(self.text[at : self.end].split("\n")[:LINES]):
            place = at + sum(len(one) + 1 for one in lines)
            if random.Random(f"{place}").random() >= self.right and (line.strip() or not number):
                lines.append(f"{line[: len(line) // 2]}wrong_{place}()")
                break
            lines.append(line)
        return "\n".join(lines)

    async def write(self, start: Start) -> AsyncIterator[str]:
        """Its tokens, as they come."""
        text = self.reply(start.prompt)
        pieces = [text[at : at + TOKEN_CHARS] for at in range(0, len(text), TOKEN_CHARS)] or [""]
        await asyncio.sleep(self.latency_s * _FIRST)
        for piece in pieces:
            await asyncio.sleep(self.latency_s * (1 - _FIRST) / len(pieces))
            start.pieces.append((time.monotonic(), piece))
            yield piece

    @asynccontextmanager
    async def started(self, prompt: str) -> AsyncIterator[Start]:
        """A generation while the block runs."""
        start = Start(time.monotonic(), prompt)
        self.starts.append(start)
        try:
            yield start
        except (asyncio.CancelledError, ConnectionError):
            start.stopped = True
            raise
        finally:
            start.ended_s = time.monotonic()


def app(model: Model) -> web.Application:
    """The routes; a handler is cancelled when its client hangs up."""

    async def mistral(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        async with model.started(body["prompt"]) as start:
            prepared = False
            async for piece in model.write(start):
                if not prepared:
                    await response.prepare(request)
                    prepared = True
                await response.write(_chunk(piece, None))
            await response.write(_chunk("", "stop") + b"data: [DONE]\n\n")
        return response

    async def tabby(request: web.Request) -> web.Response:
        body = await request.json()
        async with model.started(body["segments"]["prefix"]) as start:
            text = "".join([piece async for piece in model.write(start)])
        return web.json_response({"id": f"cmpl-{len(model.starts)}", "choices": [{"index": 0, "text": text}]})

    async def health(_: web.Request) -> web.Response:
        version = {"build_date": "", "build_timestamp": "", "git_sha": "", "git_describe": "v0.10.0"}
        return web.json_response(
            {"model": "code", "device": "cpu", "arch": "", "cpu_info": "", "cpu_count": 1, "version": version}
        )

    async def settings(_: web.Request) -> web.Response:
        return web.json_response({"disable_client_side_telemetry": True})

    found = web.Application()
    found.router.add_post("/v1/fim/completions", mistral)
    found.router.add_post("/v1/completions", tabby)
    found.router.add_get("/v1/health", health)
    found.router.add_get("/v1beta/server_setting", settings)
    return found


def _chunk(text: str, reason: str | None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
    usage = {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}} if reason else {}
    body = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "code", "choices": [choice], **usage}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


async def serve(model: Model) -> tuple[web.AppRunner, int]:
    """Listen on a free port of loopback."""
    runner = web.AppRunner(app(model), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, int(runner.addresses[0][1])
