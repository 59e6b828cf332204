"""A client of the gateway that writes raw bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ghostd.testing.gateway import Served

CHAT = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}]}).encode()
STREAM = json.dumps({"model": "auto", "stream": True, "messages": [{"role": "user", "content": "hi"}]}).encode()


class Wire:
    """A client that writes bytes."""

    def __init__(self, served: Served, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served = served
        self.reader = reader
        self.writer = writer

    def head(self, request_line: str, *headers: str) -> bytes:
        lines = [request_line, f"Host: localhost:{self.served.port}", *headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def post(self, body: bytes, *headers: str, path: str = "/v1/chat/completions") -> bytes:
        fixed = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        return self.head(f"POST {path} HTTP/1.1", *fixed, *headers) + body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self) -> tuple[int, dict[str, str], bytes]:
        """The next reply that has a length or is chunked."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status_line, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        if headers.get("transfer-encoding") == "chunked":
            body = await self.chunks()
        else:
            body = await self.reader.readexactly(int(headers["content-length"]))
        return int(status_line.split()[1]), headers, body

    async def chunk(self) -> bytes:
        """The next chunk, b"" for the last."""
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def chunks(self) -> bytes:
        """The chunks up to the last."""
        body = b""
        while data := await self.chunk():
            body += data
        return body

    async def error(self) -> tuple[int, str]:
        """The next reply's status and error code."""
        status, _, body = await self.reply()
        return status, json.loads(body)["error"]["code"]

    async def closed(self) -> bool:
        """Whether the server has closed the connection, once what it sent is read."""
        try:
            return await self.reader.read() == b""
        except ConnectionError:
            return True


@asynccontextmanager
async def wire(served: Served) -> AsyncIterator[Wire]:
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    try:
        async with asyncio.timeout(20):
            yield Wire(served, reader, writer)
    finally:
        writer.close()


def skip(seconds: float) -> None:
    """Let the loop's clock jump: limits that run out within this time are over, however fast the machine is."""
    loop = asyncio.get_running_loop()
    time = loop.time
    loop.time = lambda: time() + seconds  # type: ignore[method-assign]


async def eventually(condition: Callable[[], bool]) -> None:
    """Wait until it holds; the state belongs to another task of this loop and has no event of its own."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)
