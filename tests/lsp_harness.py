"""A strict LSP client for tests: it fails on messages that nobody read and on answers that nobody asked for."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ghostd_lsp.framing import HEADER_LIMIT_BYTES, frame, read_message
from ghostd_lsp.serving import serve_session

from ghostd.code_ports import Index
from ghostd.config.settings import Config
from ghostd.engine import Engine, FrontendHost
from ghostd.ports import Provider
from ghostd.testing.host import frontend_host
from ghostd.testing.memory_index import MemoryIndex
from ghostd.testing.scripted import ScriptedProvider

TIMEOUT_S = 50
INLINE: dict[str, Any] = {"textDocument": {"inlineCompletion": {}}}


class LspError(Exception):
    """The server answered with an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(f"{error['code']}: {error['message']}")
        self.code: int = error["code"]
        self.message: str = error["message"]


class Client:
    """One editor."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer
        self._asked: dict[int | str, asyncio.Future[Any]] = {}
        self._orphans: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._notices: dict[str, asyncio.Queue[Any]] = {}
        self._surprises: list[dict[str, Any]] = []
        self._last_id = 0
        self._pump = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        while (body := await read_message(self._reader, 2**30)) is not None:
            message = json.loads(body)
            if "method" in message and "id" in message:
                self._notices.setdefault(message["method"], asyncio.Queue()).put_nowait(message["params"])
                self.send({"jsonrpc": "2.0", "id": message["id"], "result": None})
            elif "method" in message:
                self._notices.setdefault(message["method"], asyncio.Queue()).put_nowait(message["params"])
            elif message.get("id") is None and "error" in message:
                self._orphans.put_nowait(message)
            elif (future := self._asked.get(message.get("id", ""))) is None or future.done():
                self._surprises.append(message)
            elif "error" in message:
                future.set_exception(LspError(message["error"]))
            else:
                future.set_result(message["result"])

    def send(self, message: dict[str, Any]) -> None:
        self.write(frame(message))

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    def expect(self, msg_id: int | str) -> asyncio.Future[Any]:
        """The answer to a request with this id, which the caller sends."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[msg_id] = future
        return future

    def ask(self, method: str, params: object = None) -> tuple[int, asyncio.Future[Any]]:
        """Send a request; its id, and its answer to come."""
        self._last_id += 1
        future = self.expect(self._last_id)
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method}
        self.send(message if params is None else message | {"params": params})
        return self._last_id, future

    async def request(self, method: str, params: object = None) -> Any:
        """Send a request and wait for the result; raises LspError."""
        return await self.answer(self.ask(method, params)[1])

    @staticmethod
    async def answer(future: asyncio.Future[Any]) -> Any:
        async with asyncio.timeout(TIMEOUT_S):
            return await future

    async def refused(self, method: str, params: object = None) -> LspError:
        """Send a request that must fail."""
        try:
            result = await self.request(method, params)
        except LspError as error:
            return error
        raise AssertionError(f"{method} was answered: {result}")

    def notify(self, method: str, params: object) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params})

    async def notice(self, method: str) -> Any:
        """The next notification of this method from the server."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self._notices.setdefault(method, asyncio.Queue()).get()

    async def orphan(self) -> tuple[int, str]:
        """Code and message of the next error without an id."""
        async with asyncio.timeout(TIMEOUT_S):
            error = (await self._orphans.get())["error"]
        return error["code"], error["message"]

    async def wait_closed(self) -> None:
        """Wait until the server has closed the connection."""
        async with asyncio.timeout(TIMEOUT_S):
            await asyncio.wait({self._pump})

    async def initialize(self, capabilities: object = INLINE, **params: object) -> dict[str, Any]:
        """The server's capabilities, after the handshake."""
        result = await self.request("initialize", {"processId": None, "capabilities": capabilities, **params})
        self.notify("initialized", {})
        found: dict[str, Any] = result["capabilities"]
        return found

    def open(self, uri: str, text: str, language: str = "python", version: int = 1) -> None:
        item = {"uri": uri, "languageId": language, "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def change(self, uri: str, version: int | None, *changes: object) -> None:
        document = {"uri": uri, "version": version}
        self.notify("textDocument/didChange", {"textDocument": document, "contentChanges": changes})

    async def inline(self, uri: str, line: int, character: int, **context: object) -> list[dict[str, Any]]:
        """The items of textDocument/inlineCompletion."""
        found = await self.request("textDocument/inlineCompletion", at(uri, line, character, **context))
        items: list[dict[str, Any]] = found["items"]
        return items

    async def vanish(self) -> None:
        """End as a killed editor does; what it had not read does not count."""
        self.writer.transport.abort()
        await asyncio.wait({self._pump})
        self._drop()

    async def close(self) -> None:
        """End politely, and check that everything was read and nothing came twice."""
        if not self._pump.done():
            if not self.writer.is_closing():
                self.notify("exit", None)
            await self.wait_closed()
        self.writer.close()
        notices = {method: queue.qsize() for method, queue in self._notices.items() if not queue.empty()}
        unanswered = [msg_id for msg_id, future in self._asked.items() if not future.done()]
        self._drop()
        assert not self._surprises, f"answers that nobody asked for: {self._surprises}"
        assert not notices, f"unread notifications: {notices}"
        assert self._orphans.empty(), f"unread errors: {self._orphans.get_nowait()}"
        assert not unanswered, f"requests without an answer: {unanswered}"

    def _drop(self) -> None:
        for future in self._asked.values():
            if future.done() and not future.cancelled():
                future.exception()


def at(uri: str, line: int, character: int, **context: object) -> dict[str, Any]:
    """The parameters of an inline completion request."""
    position = {"line": line, "character": character}
    return {"textDocument": {"uri": uri}, "position": position, "context": {"triggerKind": 2, **context}}


def edit(line: int, start: int, end: int, text: str, end_line: int | None = None) -> dict[str, Any]:
    """One incremental change."""
    last = line if end_line is None else end_line
    return {
        "range": {"start": {"line": line, "character": start}, "end": {"line": last, "character": end}},
        "text": text,
    }


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something that happens in this event loop has happened."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():
            await asyncio.sleep(0.001)


def make_host(
    socket_path: Path = Path("unused"),
    providers: Sequence[Provider] = (),
    index: Index | None = None,
    config: Config | None = None,
) -> FrontendHost:
    """A host without a daemon."""
    index = index or MemoryIndex()
    engine = Engine(providers or [ScriptedProvider()])
    return frontend_host(engine, index, socket_path, config)


@asynccontextmanager
async def connected(host: FrontendHost) -> AsyncIterator[Client]:
    """A client whose session runs in this event loop, over a socket pair; closed strictly at the end."""
    ours, theirs = socket.socketpair()
    server_reader, server_writer = await asyncio.open_connection(sock=theirs, limit=HEADER_LIMIT_BYTES)
    client = Client(*await asyncio.open_connection(sock=ours))

    async def serve() -> None:
        try:
            await serve_session(host, server_reader, server_writer)
        finally:
            server_writer.close()

    session = asyncio.ensure_future(serve())
    try:
        yield client
        await client.close()
    finally:
        client.writer.close()
        async with asyncio.timeout(TIMEOUT_S):
            await session


@asynccontextmanager
async def dialled(path: Path) -> AsyncIterator[Client]:
    """A client of a listening front-end."""
    client = Client(*await asyncio.open_unix_connection(path))
    try:
        yield client
        await client.close()
    finally:
        client.writer.close()
