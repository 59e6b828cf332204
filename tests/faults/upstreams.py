"""Scripted upstream servers: raw sockets that answer, or fail to, exactly as told."""

from __future__ import annotations

import asyncio
import functools
import socket
import struct
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

import msgspec
from faults.replies import MODEL, Asked, completion, events

_MODELS = msgspec.json.encode(
    {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 1_700_000_000, "owned_by": "tests"}]}
)
PAUSE = b""
"""Among the blocks of a stream: wait until what came before has surely gone on to the caller."""
PAUSE_S = 0.05
Headers = tuple[tuple[str, str], ...]


class Exchange:
    """One request to a scripted upstream, and the raw means to answer it."""

    def __init__(self, upstream: Upstream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.upstream = upstream
        self.method = ""
        self.asked = Asked("", stream=False, with_usage=False)
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bool:
        """Read a request; False at the end of the connection."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            return False
        request_line, *lines = head.decode("latin-1").split("\r\n")
        self.method = request_line.split(" ", 1)[0]
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        if self.method == "POST":
            self.asked = _read(body)
            self.upstream.asked.append(self.asked.nonce)
        else:
            self.upstream.checks += 1
        return True

    async def send(self, data: bytes) -> None:
        """Bytes as they are."""
        if self._writer.is_closing():
            raise ConnectionResetError("the other side has gone")
        self._writer.write(data)
        await self._writer.drain()

    async def head(self, status: str = "200 OK", *headers: tuple[str, str], kind: str = "application/json") -> None:
        """A head with a content type and no framing of its own."""
        told = "".join(f"{name}: {value}\r\n" for name, value in (("Content-Type", kind), *headers))
        await self.send(f"HTTP/1.1 {status}\r\n{told}\r\n".encode("latin-1"))

    async def whole(
        self, body: bytes, status: str = "200 OK", headers: Headers = (), kind: str = "application/json"
    ) -> None:
        """A complete, well-framed reply."""
        await self.head(status, ("Content-Length", str(len(body))), *headers, kind=kind)
        await self.send(body)

    async def stream_head(self, *headers: tuple[str, str]) -> None:
        """The head of an event stream in chunks."""
        await self.head("200 OK", ("Transfer-Encoding", "chunked"), *headers, kind="text/event-stream")

    async def chunks(self, blocks: Iterable[bytes], *, last: bool = True) -> None:
        """Blocks as chunks, each in a write of its own, and the last chunk."""
        for block in blocks:
            if block == PAUSE:
                await asyncio.sleep(PAUSE_S)
                continue
            await self.send(b"%x\r\n%b\r\n" % (len(block), block))
        if last:
            await self.send(b"0\r\n\r\n")

    async def right(self) -> bool:
        """The right answer, complete; leaves the connection usable."""
        if self.method == "GET":
            await self.whole(_MODELS)
        elif self.asked.stream:
            await self.stream_head()
            await self.chunks(events(self.asked))
        else:
            await self.whole(msgspec.json.encode(completion(self.asked)))
        return True

    async def until_gone(self) -> None:
        """Wait until the other side closes the connection, and note when it did."""
        with suppress(ConnectionError):
            await self._reader.read(1)
        told = self.upstream.hung_up(self.asked.nonce)
        if not told.done():  # a request may come again after a failure
            told.set_result(time.monotonic())

    def reset(self) -> None:
        """End the connection by RST."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def close(self) -> None:
        """End the connection by FIN, behind what has been written."""
        self._writer.close()


Behaviour = Callable[[Exchange], Awaitable[bool | None]]
"""Answers one request; True: the connection may carry another one."""


class Upstream:
    """One listening server."""

    def __init__(self, behave: Behaviour, *, reset_at_accept: bool = False) -> None:
        self.port = 0
        self.asked: list[str] = []
        """The nonce of each POST that was read, in order."""
        self.checks = 0
        """Other requests: health checks, lists of models."""
        self.connections = 0
        self.arrived = asyncio.Event()
        """Set whenever a request has been read; clear it to wait for another."""
        self._behave = behave
        self._reset_at_accept = reset_at_accept
        self._left: dict[str, asyncio.Future[float]] = {}
        self._running: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def hung_up(self, nonce: str) -> asyncio.Future[float]:
        """Done once the other side has hung up on this request: when, on the monotonic clock."""
        return self._left.setdefault(nonce, asyncio.get_running_loop().create_future())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        self.connections += 1
        exchange = Exchange(self, reader, writer)
        try:
            if self._reset_at_accept:
                exchange.reset()
                return
            while await exchange.receive():
                self.arrived.set()
                if not await self._behave(exchange):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side hangs up whenever it likes
        except asyncio.CancelledError:
            pass  # stop(); raising would have asyncio's streams log it
        finally:
            self._running.discard(task)
            exchange.close()

    async def stop(self) -> None:
        """End what still runs."""
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


@asynccontextmanager
async def listening(upstream: Upstream) -> AsyncIterator[Upstream]:
    """Serve on a free port while the block runs."""
    server = await asyncio.start_server(upstream.serve, "127.0.0.1", 0, limit=1 << 22)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        await upstream.stop()


@asynccontextmanager
async def refusing(upstream: Upstream) -> AsyncIterator[Upstream]:
    """A port that nobody listens on; it is bound, so that nobody else takes it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        upstream.port = bound.getsockname()[1]
        yield upstream


@asynccontextmanager
async def unanswered(upstream: Upstream) -> AsyncIterator[Upstream]:
    """A port whose queue of connections is full, so that the kernel drops each further SYN."""
    loop = asyncio.get_running_loop()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        upstream.port = listener.getsockname()[1]
        fillers: list[socket.socket] = []
        try:
            for _ in range(8):
                filler = socket.socket()
                fillers.append(filler)
                filler.setblocking(False)
                try:
                    async with asyncio.timeout(0.2):
                        await loop.sock_connect(filler, ("127.0.0.1", upstream.port))
                except TimeoutError:
                    break
            else:
                raise AssertionError("this kernel does not fill its queue of connections")
            yield upstream
        finally:
            for filler in fillers:
                filler.close()


@functools.cache
def bomb() -> bytes:
    """150 MB of blanks, packed by gzip."""
    packer = zlib.compressobj(9, wbits=31)
    block = b" " * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(150)) + packer.flush()


async def right(exchange: Exchange) -> bool:
    """What a healthy upstream does."""
    return await exchange.right()


def _read(body: bytes) -> Asked:
    request = msgspec.json.decode(body)
    said = request["messages"][-1]["content"]
    spoken = said if isinstance(said, str) else said[-1]["text"]
    return Asked(
        spoken.rsplit(" ", 1)[-1],
        stream=bool(request.get("stream")),
        with_usage=bool((request.get("stream_options") or {}).get("include_usage")),
    )
