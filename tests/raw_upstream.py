"""An upstream server that sends exactly the bytes a test gives it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

PATIENCE_S = 20


def reply(body: bytes = b"{}", *headers: str, status: str = "200 OK", kind: str = "application/json") -> bytes:
    """A reply with a length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def chunked(*pieces: bytes, kind: str = "text/event-stream", end: bool = True) -> bytes:
    """A reply in chunks; without `end` the last one is missing."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(map(chunk, pieces)) + (b"0\r\n\r\n" if end else b"")


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


class Peer:
    """One connection, from the server's side."""

    def __init__(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.number = number
        """0 for the server's first connection."""
        self.reader = reader
        self.writer = writer

    async def request(self) -> tuple[str, dict[str, str], bytes]:
        """The next request: its first line, headers and body."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (field.split(": ", 1) for field in fields)}
        return line, headers, await self.reader.readexactly(int(headers.get("content-length", 0)))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def gone(self) -> None:
        """Wait until the client has closed the connection."""
        try:
            while await self.reader.read(65536):
                pass
        except ConnectionError:
            pass

    def reset(self) -> None:
        self.writer.transport.abort()


class RawUpstream:
    """The server, and what it has seen."""

    def __init__(self, port: int, scheme: str) -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self.where = f"127.0.0.1:{port}"
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        """Those that `answering` has read."""
        self.connections = 0


Script = Callable[[Peer], Awaitable[None]]


@asynccontextmanager
async def raw_upstream(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawUpstream]:
    """Serve each connection by `script`, on a free port; a script that fails, fails the test."""
    tasks: set[asyncio.Task[None]] = set()
    failures: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        peer = Peer(upstream.connections, reader, writer)
        upstream.connections += 1
        try:
            await script(peer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        except BaseException as error:
            failures.append(error)
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    upstream = RawUpstream(server.sockets[0].getsockname()[1], "https" if tls else "http")
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield upstream
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
    if failures:
        raise failures[0]


@asynccontextmanager
async def answering(*replies: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawUpstream]:
    """Answer the first request with the first of `replies` and so on, the last one for all further ones.

    A connection stays open until the client closes it, or the reply says `Connection: close`.
    """
    served: RawUpstream

    async def script(peer: Peer) -> None:
        while True:
            served.requests.append(await peer.request())
            data = replies[min(len(served.requests), len(replies)) - 1]
            await peer.send(data)
            if b"connection: close" in data.lower():
                return

    async with raw_upstream(script, tls) as served:
        yield served
