"""A model server that costs next to nothing: asyncio.Protocol on uvloop, replies made beforehand.

A marker in the prompt says what it does. Run: python upstream.py; it prints its port and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from typing import cast

import uvloop

EVENTS = 30
GAP_S = 0.002
"""Between two events of a paced stream: long enough that each is a read of its own for whoever is in between."""
_CREATED = 1_700_000_000
_TEXT = "def add(a: int, b: int) -> int:\n    return a + b\n" * 6
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


def _json_reply(value: object) -> bytes:
    body = json.dumps(value, separators=(",", ":")).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def _chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
    return _event({"choices": choices})


def _event(more: dict[str, object]) -> bytes:
    event = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": _CREATED, "model": "bench"} | more
    return _framed(b"data: " + json.dumps(event, separators=(",", ":")).encode() + b"\n\n")


def _framed(block: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(block), block)


_USAGE = {"prompt_tokens": 20, "completion_tokens": EVENTS, "total_tokens": 20 + EVENTS}
_PLAIN = _json_reply(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": _CREATED,
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": _TEXT}, "finish_reason": "stop"}],
        "usage": _USAGE,
    }
)
_MODELS = _json_reply({"object": "list", "data": [{"id": "bench", "object": "model", "owned_by": "bench"}]})
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_ROLE = _chunk({"role": "assistant", "content": ""})
_FINISH = _chunk({}, "stop")
_USAGE_EVENT = _event({"choices": [], "usage": _USAGE})
_DONE = _framed(b"data: [DONE]\n\n") + b"0\r\n\r\n"
_WORDS = [_chunk({"content": f"word{number} "}) for number in range(EVENTS - 3)]
_BURST = _HEAD + _ROLE + b"".join(_WORDS) + _FINISH

left_at: list[float] = []
"""When callers left requests unanswered, on the monotonic clock."""


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.received = b""
        self.waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is none, but has its methods

    def connection_lost(self, error: Exception | None) -> None:
        """Note who left without an answer."""
        if self.waits:
            left_at.append(time.monotonic())

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self.received += data
        while (end := self.received.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self.received, 0, end + 2)
            total = end + 4 + (int(found[1]) if found else 0)
            if len(self.received) < total:
                return
            request, self.received = self.received[:total], self.received[total:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        if b"bench:plain" in request:
            self.transport.write(_PLAIN)
        elif b"bench:burst" in request:
            self.transport.write(_BURST + (_USAGE_EVENT if b"include_usage" in request else b"") + _DONE)
        elif b"bench:paced" in request:
            self.transport.write(_HEAD + _ROLE)
            self._pace(0, (_USAGE_EVENT if b"include_usage" in request else b"") + _DONE)
        elif b"bench:silent" in request:
            self.waits = True
        elif b"bench:open" in request:
            self.transport.write(_HEAD + _ROLE + _WORDS[0])
            self.waits = True
        elif request.startswith(b"GET /left"):
            self.transport.write(_json_reply(left_at))
        else:
            self.transport.write(_MODELS)

    def _pace(self, number: int, ending: bytes) -> None:
        if number == EVENTS - 3:
            self.transport.write(_FINISH + ending)
            return
        self.transport.write(_chunk({"content": f"@{time.monotonic_ns()}@"}))
        asyncio.get_running_loop().call_later(GAP_S, self._pace, number + 1, ending)


async def main() -> None:
    """Serve."""
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
