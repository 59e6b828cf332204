"""What a keystroke costs beside the model: didChange + inlineCompletion, answered by a model that takes no time.

Servers, each in its own process behind a Unix socket: a raw JSON-RPC loop that parses each message and answers from a
constant (the floor), pygls with its own document class, ghostd's session, and ghostd's session behind `ghostd lsp`'s
pipes. The client is the same blocking loop for all; the servers take turns within each round.

Run: python benchmarks/lsp_overhead.py [--keys N] [--rounds N]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

URI = "file:///project/module.py"
TEXT = "value + 1"
WARM_UP = 50


class Pipe(Protocol):
    """A connection's byte stream."""

    def read(self, size: int, /) -> bytes | None:
        """At most so many bytes."""
        ...

    def write(self, data: bytes, /) -> int | None:
        """How many were taken."""
        ...


class Editor:
    """Sends messages and waits for answers, nothing else."""

    def __init__(self, source: Pipe, sink: Pipe) -> None:
        self._source = source
        self._sink = sink
        self._unread = b""
        self._last_id = 0
        self._version = 1

    def start(self, lines: int) -> None:
        """The handshake, and a document of so many lines; the cursor stands in its middle."""
        self._line, self._column = lines // 2, 0
        self.request("initialize", {"processId": None, "capabilities": {"textDocument": {"inlineCompletion": {}}}})
        text = "".join(f"result_{number} = compute(argument_{number})\n" for number in range(lines))
        document = {"uri": URI, "languageId": "python", "version": 1, "text": text}
        self._send({"method": "initialized", "params": {}})
        self._send({"method": "textDocument/didOpen", "params": {"textDocument": document}})

    def key(self) -> None:
        """Type one character, every fortieth a line break, and wait for the completion after it."""
        self._version += 1
        here = {"line": self._line, "character": self._column}
        typed = "\n" if self._version % 40 == 0 else "x"
        change = {"range": {"start": here, "end": here}, "text": typed}
        document = {"uri": URI, "version": self._version}
        self._send(
            {"method": "textDocument/didChange", "params": {"textDocument": document, "contentChanges": [change]}}
        )
        self._line, self._column = (self._line + 1, 0) if typed == "\n" else (self._line, self._column + 1)
        position = {"line": self._line, "character": self._column}
        found = self.request(
            "textDocument/inlineCompletion",
            {"textDocument": {"uri": URI}, "position": position, "context": {"triggerKind": 2}},
        )
        assert found["items"][0]["insertText"] == TEXT, found

    def notify(self, method: str, params: object) -> None:
        """Say something that is not answered."""
        self._send({"method": method, "params": params})

    def request(self, method: str, params: object) -> Any:
        """The result."""
        self._last_id += 1
        self._send({"id": self._last_id, "method": method, "params": params})
        while (answer := self._receive()).get("id") != self._last_id:
            pass
        return answer["result"]

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        data = b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        while data:
            data = data[self._sink.write(data) or 0 :]

    def _receive(self) -> dict[str, Any]:
        while (end := self._unread.find(b"\r\n\r\n")) < 0:
            self._unread += self._source.read(65536) or sys.exit("the server has ended")
        length = int(self._unread[:end].lower().partition(b"content-length:")[2].split(b"\r")[0])
        while len(self._unread) < end + 4 + length:
            self._unread += self._source.read(65536) or sys.exit("the server has ended")
        message: dict[str, Any] = json.loads(self._unread[end + 4 : end + 4 + length])
        self._unread = self._unread[end + 4 + length :]
        return message


# --- servers (each runs in a child process: `lsp_overhead.py --serve NAME SOCKET`) ----------------------


async def serve_floor(path: Path) -> None:
    """Parse each message, answer each request from a constant."""
    where = {"line": 0, "character": 0}
    result = {"items": [{"insertText": TEXT, "range": {"start": where, "end": where}}]}

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                header = await reader.readuntil(b"\r\n\r\n")
                message = json.loads(await reader.readexactly(int(header.split(b":")[1])))
                if "id" in message:
                    body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
                    writer.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        except asyncio.IncompleteReadError:
            writer.close()

    await (await asyncio.start_unix_server(session, path)).serve_forever()


async def serve_pygls(path: Path) -> None:
    """pygls as it comes."""
    from lsprotocol import types
    from pygls.io_ import run_async
    from pygls.lsp.server import LanguageServer

    async def session(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = LanguageServer("peer", "1")

        @server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())
        async def complete(params: types.InlineCompletionParams) -> types.InlineCompletionList:
            document = server.workspace.get_text_document(params.text_document.uri)
            offset = document.offset_at_position(params.position)
            assert document.source[:offset] is not document.source[offset:]
            where = types.Range(params.position, params.position)
            return types.InlineCompletionList([types.InlineCompletionItem(TEXT, range=where)])

        server.protocol.set_writer(writer)
        await run_async(threading.Event(), reader, server.protocol)

    await (await asyncio.start_unix_server(session, path)).serve_forever()


async def serve_ghostd(path: Path) -> None:
    """ghostd's front-end with a scripted model."""
    from ghostd_lsp.frontend import serve

    from ghostd.engine import Engine
    from ghostd.testing.host import frontend_host
    from ghostd.testing.memory_index import MemoryIndex
    from ghostd.testing.scripted import ScriptedProvider

    provider = ScriptedProvider(pieces=(TEXT,))
    index = MemoryIndex()
    async with serve(frontend_host(Engine([provider]), index, path)):
        while True:
            await asyncio.sleep(1)
            provider.requests.clear()


SERVERS: dict[str, Callable[[Path], Any]] = {
    "raw JSON-RPC loop": serve_floor,
    "pygls": serve_pygls,
    "ghostd session": serve_ghostd,
}
BRIDGED = "ghostd session behind `ghostd lsp`"


def start_server(name: str, path: Path) -> subprocess.Popen[bytes]:
    """A server in a process of its own, once it listens."""
    process = subprocess.Popen([sys.executable, __file__, "--serve", name, str(path)])
    while True:
        try:
            dial(path)[2].close()
        except OSError:
            time.sleep(0.02)
        else:
            return process


def dial(path: Path) -> tuple[Pipe, Pipe, socket.socket]:
    """A connection to a server."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    file = connection.makefile("rwb", buffering=0)
    return file, file, connection


def bridge(home: Path) -> subprocess.Popen[bytes]:
    """`ghostd lsp` as an editor starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "ghostd", "lsp"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, "GHOSTD_HOME": str(home)},
    )


def measure(lines: int, keys: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each key, by server."""
    from ghostd.local.paths import find_paths

    seconds: dict[str, list[float]] = {}
    processes: list[subprocess.Popen[bytes]] = []
    connections: list[socket.socket] = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            paths = find_paths({"GHOSTD_HOME": folder})
            paths.create()
            sockets = {name: paths.runtime / f"{number}.sock" for number, name in enumerate(SERVERS)}
            sockets["ghostd session"] = paths.lsp_socket
            editors: dict[str, Editor] = {}
            for name, path in sockets.items():
                processes.append(start_server(name, path))
                source, sink, connection = dial(path)
                connections.append(connection)
                editors[name] = Editor(source, sink)
            shim = bridge(Path(folder))
            processes.append(shim)
            assert shim.stdin is not None
            assert shim.stdout is not None
            editors[BRIDGED] = Editor(shim.stdout, shim.stdin)
            for editor in editors.values():
                editor.start(lines)
                for _ in range(WARM_UP):
                    editor.key()
            for _ in range(rounds):
                for name, editor in editors.items():
                    for _ in range(keys):
                        began = time.perf_counter()
                        editor.key()
                        seconds.setdefault(name, []).append(time.perf_counter() - began)
        finally:
            for process in reversed(processes):  # the shim first: it would report the daemon's death
                process.kill()
                process.wait()
            for connection in connections:
                connection.close()
    return seconds


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=200, help="keys in a row at one server")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        import uvloop

        uvloop.run(SERVERS[arguments.serve[0]](Path(arguments.serve[1])))
    print("| document | server | median µs | p95 µs | over the raw loop | ratio |")
    print("|---|---|---|---|---|---|")
    for lines in (100, 5_000):
        found = measure(lines, arguments.keys, arguments.rounds)
        floor = statistics.median(found["raw JSON-RPC loop"])
        for name, seconds in found.items():
            median, p95 = statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]
            print(
                f"| {lines:,} lines | {name} | {median * 1e6:.0f} | {p95 * 1e6:.0f} "
                f"| +{(median - floor) * 1e6:.0f} µs | {median / floor:.1f} |"
            )


if __name__ == "__main__":
    main()
