"""An HTTP server that plays scripts: what a provider's service says, and every way in which it may misbehave.

It speaks just enough HTTP/1.1, on plain asyncio streams, so that replies no server library would send can be played.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_MAX_HEAD_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came."""

    method: str
    target: str
    """Path and query."""
    headers: Mapping[str, str]
    """Lower-case names."""
    body: bytes

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """A scripted reply."""

    pieces: Sequence[bytes] = ()
    """The body: each piece is written by itself. In a stream, one whole event each."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    """Beside the framing."""
    framing: Literal["chunked", "length", "close"] = "chunked"
    ending: Literal["complete", "cut", "hang"] = "complete"
    """cut: the connection breaks before the body is complete; hang: nothing more comes until the client leaves."""
    silent: bool = False
    """Whether not even the head is sent; with "hang" a server that never answers."""

    @property
    def body(self) -> bytes:
        """All pieces."""
        return b"".join(self.pieces)


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """A JSON reply with its length."""
    body = json.dumps(value).encode()
    return Answer((body,), status, {"content-type": "application/json", **(headers or {})}, "length")


def sse_answer(events: Sequence[object], *, done: bool = False, named: bool = False) -> Answer:
    """An event stream: each event is JSON (str and bytes go out as they are), `[DONE]` last if wanted.

    With `named`, each event carries its member "type" as the SSE event's name.
    """
    pieces = []
    for event in events:
        if isinstance(event, bytes):
            pieces.append(event)
            continue
        data = event if isinstance(event, str) else json.dumps(event)
        name = f"event: {event['type']}\n" if named and isinstance(event, dict) else ""
        pieces.append(f"{name}data: {data}\n\n".encode())
    if done:
        pieces.append(b"data: [DONE]\n\n")
    return Answer(tuple(pieces), 200, {"content-type": "text/event-stream; charset=utf-8"})


def ndjson_answer(lines: Sequence[object]) -> Answer:
    """A stream of JSON lines."""
    pieces = tuple(json.dumps(line).encode() + b"\n" for line in lines)
    return Answer(pieces, 200, {"content-type": "application/x-ndjson"})


class ScriptedUpstream:
    """Made by `scripted_upstream`. Answers each request with the next answer played, else with `serve`'s."""

    def __init__(self, serve: Callable[[Seen], Answer] | None) -> None:
        self.requests: list[Seen] = []
        self.url = ""
        """Base URL, without a slash at its end."""
        self.serve = serve
        """What answers a request for which nothing was played."""
        self.left = 0
        """How many clients left before the reply was complete."""
        self.connections = 0
        """How many were accepted."""
        self._played: deque[Answer] = deque()
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def play(self, *answers: Answer) -> None:
        """Answer the next requests with these, in this order."""
        self._played.extend(answers)

    async def requested(self, count: int = 1) -> None:
        """Wait until so many requests have come."""
        await self._until(lambda: len(self.requests) >= count)

    async def abandoned(self, count: int = 1) -> None:
        """Wait until so many clients have left before their reply was complete."""
        await self._until(lambda: self.left >= count)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._changed.clear()
            await self._changed.wait()

    def _note(self) -> None:
        self._changed.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while (seen := await _read(reader)) is not None:
                self.requests.append(seen)
                self._note()
                if not await self._answer(seen, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can go on."""
        if self._played:
            answer = self._played.popleft()
        elif self.serve is not None:
            answer = self.serve(seen)
        else:
            answer = json_answer({"error": {"message": "nothing was scripted"}}, 500)
        try:
            if not answer.silent:
                await _write(answer, writer)
            if answer.ending == "hang":
                with suppress(ConnectionError):
                    await reader.read(1)  # returns once the client leaves
                self.left += 1
                self._note()
        except ConnectionError:
            self.left += 1
            self._note()
            raise
        if answer.ending == "cut":
            writer.transport.abort()
        return answer.ending == "complete" and answer.framing != "close" and not answer.silent


async def _read(reader: asyncio.StreamReader) -> Seen | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    start, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = start.split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method, target, headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


async def _write(answer: Answer, writer: asyncio.StreamWriter) -> None:
    head = [f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Status')}"]
    head += [f"{name}: {value}" for name, value in answer.headers.items()]
    chunked = answer.framing == "chunked"
    if chunked:
        head.append("Transfer-Encoding: chunked")
    elif answer.framing == "length":
        more = 0 if answer.ending == "complete" else 1
        head.append(f"Content-Length: {len(answer.body) + more}")
    else:
        head.append("Connection: close")
    writer.write("\r\n".join([*head, "", ""]).encode("latin-1"))
    for piece in answer.pieces:
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and piece else piece)
        await writer.drain()
        await asyncio.sleep(0)
    if chunked and answer.ending == "complete":
        writer.write(b"0\r\n\r\n")
    await writer.drain()


@asynccontextmanager
async def scripted_upstream(serve: Callable[[Seen], Answer] | None = None) -> AsyncIterator[ScriptedUpstream]:
    """A scripted server on a loopback port of its own while the block runs."""
    upstream = ScriptedUpstream(serve)
    server = await asyncio.start_server(upstream._connected, "127.0.0.1", 0, limit=_MAX_HEAD_BYTES)
    host, port = server.sockets[0].getsockname()[:2]
    upstream.url = f"http://{host}:{port}"
    try:
        yield upstream
    finally:
        server.close()
        for writer in list(upstream._writers):
            writer.transport.abort()
        await server.wait_closed()
        if upstream._tasks:
            await asyncio.wait(upstream._tasks)
