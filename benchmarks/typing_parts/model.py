"""A scripted model behind Mistral's fill-in-the-middle API, streamed.

It writes what the file goes on with, up to LINES lines, each right with probability RIGHT (seeded by its
place); a wrong one is the last. The first token comes after 60 % of the latency, the last one at
its end. It stops when its client hangs up, and notes when that was.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
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
    tokens: int = 0
    whole: int = 0
    """Tokens it would have had."""
    ended_s: float = 0.0
    stopped: bool = False
    last_s: float = 0.0
    """When its last token was out."""


@dataclass(slots=True)
class Model:
    """The server's state; `text` is the file that is being typed."""

    text: str = ""
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
        for number, line in enumerate(self.text[at:].split("\n")[:LINES]):
            place = at + sum(len(one) + 1 for one in lines)
            if random.Random(f"{place}").random() >= self.right and (line.strip() or not number):
                lines.append(f"{line[: len(line) // 2]}wrong_{place}()")
                break
            lines.append(line)
        return "\n".join(lines)


def app(model: Model) -> web.Application:
    """The routes; a handler is cancelled when its client hangs up."""

    async def fim(request: web.Request) -> web.StreamResponse:
        body = await request.json()
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        text = model.reply(body["prompt"])
        pieces = [text[at : at + TOKEN_CHARS] for at in range(0, len(text), TOKEN_CHARS)] or [""]
        start = Start(time.monotonic(), whole=len(pieces))
        model.starts.append(start)
        try:
            await asyncio.sleep(model.latency_s * _FIRST)
            await response.prepare(request)
            for piece in pieces:
                await asyncio.sleep(model.latency_s * (1 - _FIRST) / len(pieces))
                start.tokens += 1
                start.last_s = time.monotonic()
                await response.write(_chunk(piece, None))
            await response.write(_chunk("", "stop") + b"data: [DONE]\n\n")
        except (asyncio.CancelledError, ConnectionError):
            start.stopped = True
            raise
        finally:
            start.ended_s = time.monotonic()
        return response

    found = web.Application()
    found.router.add_post("/v1/fim/completions", fim)
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
