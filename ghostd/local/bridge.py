"""`ghostd lsp`: an editor's stdin and stdout ↔ one connection to the daemon's LSP socket.

It copies bytes and knows no protocol, except that it recognises LSP's `shutdown` and `exit` to tell a session's proper
end from the daemon's. Only the standard library is imported, since an editor waits for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import select
import signal
import stat
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from ghostd.errors import GhostdError
from ghostd.local.paths import Paths

_CHUNK_BYTES = 256 * 1024
_TAIL_BYTES = 1024
"""Enough for the headers and bodies of `shutdown` and `exit`."""
_SHUTDOWN = re.compile(rb'"method"\s*:\s*"shutdown"')

_LINGER_S = 5.0
"""Time that the daemon gets to close the connection after the editor has closed stdin."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _BridgeError(Exception):
    """Ends the bridge; the message goes to stderr."""


async def run_bridge(paths: Paths, start_daemon: Callable[[], Awaitable[None]]) -> int:
    """Connect this process's stdin and stdout to the daemon until either side ends; the exit status.

    `start_daemon` is called if nobody listens, and returns once somebody does. The status is 0 after the editor
    has closed stdin, sent `shutdown` and `exit`, or stopped this process by a signal. It is 1 after `exit` alone
    (LSP 3.17, Exit Notification), and, with one line on stderr, if the daemon cannot be reached or ends before. Nothing
    else than the daemon's bytes goes to stdout.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stopped.set)
    work = asyncio.ensure_future(_connect_and_copy(paths, start_daemon))
    stop = asyncio.ensure_future(stopped.wait())
    try:
        done, _ = await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        if work in done:
            return work.result()
    except (_BridgeError, GhostdError) as error:
        sys.stderr.write(f"ghostd lsp: {error}\n")
        return 1
    finally:
        for task in (work, stop):
            task.cancel()
        await asyncio.gather(work, stop, return_exceptions=True)
    return 0


async def _connect_and_copy(paths: Paths, start_daemon: Callable[[], Awaitable[None]]) -> int:
    editor = await _standard_streams()
    daemon = await _connect(paths.lsp_socket, start_daemon)
    try:
        return await _copy_both(editor, daemon)
    finally:
        daemon[1].close()


async def _connect(path: Path, start_daemon: Callable[[], Awaitable[None]]) -> Stream:
    try:
        with suppress(FileNotFoundError, ConnectionRefusedError):
            return await asyncio.open_unix_connection(path, limit=_CHUNK_BYTES)
        await start_daemon()
        return await asyncio.open_unix_connection(path, limit=_CHUNK_BYTES)
    except OSError as error:
        raise _BridgeError(f"cannot connect to the daemon at {path}: {error.strerror or error}") from None


async def _standard_streams() -> Stream:
    """stdin and stdout; raises _BridgeError if one is a file, which has no readiness to wait for."""
    for name, file in (("stdin", sys.stdin), ("stdout", sys.stdout)):
        mode = 0 if file is None else os.fstat(file.fileno()).st_mode  # None: it was closed
        if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or file.isatty()):
            raise _BridgeError(f"{name} must be a pipe or a socket; it is for an editor to run this command")
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_CHUNK_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout.buffer)
    # `drain` then waits until all is written, so that nothing is lost when this process ends.
    transport.set_write_buffer_limits(high=0)
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


async def _copy_both(editor: Stream, daemon: Stream) -> int:
    """Copy until either side ends; after the editor has closed stdin, what the daemon still says in _LINGER_S.

    Returns the exit status. Raises _BridgeError if the daemon ended first, unless the editor told it to.
    """
    tail = bytearray()
    upwards = asyncio.ensure_future(_copy(editor[0], daemon[1], tail))
    downwards = asyncio.ensure_future(_copy(daemon[0], editor[1], bytearray()))
    try:
        done, _ = await asyncio.wait({upwards, downwards}, return_when=asyncio.FIRST_COMPLETED)
        if upwards in done and upwards.result():
            if not editor[1].is_closing() and _open_for_writing(sys.stdout.fileno()):
                daemon[1].write_eof()
                await asyncio.wait({downwards}, timeout=_LINGER_S)
        elif (upwards in done or downwards.result()) and not _says_exit(bytes(tail)):
            raise _BridgeError("the daemon ended the connection; `ghostd logs` may say why")
        return 1 if _says_exit(bytes(tail)) and not _SHUTDOWN.search(tail) else 0
    finally:
        for task in (upwards, downwards):
            task.cancel()
        await asyncio.gather(upwards, downwards, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tail: bytearray) -> bool:
    """True at the source's end, False once the other side takes no more; `tail` keeps the last bytes."""
    while data := await _read(reader):
        tail[:] = (tail + data)[-_TAIL_BYTES:]
        try:
            writer.write(data)
            await writer.drain()
        except ConnectionError:
            return False
    return True


async def _read(reader: asyncio.StreamReader) -> bytes:
    """The next bytes, b"" at the end; a Unix socket reports a peer that died with unread bytes as an error."""
    try:
        return await reader.read(_CHUNK_BYTES)
    except ConnectionError:
        return b""


def _open_for_writing(descriptor: int) -> bool:
    """Whether somebody still has the other end of stdout."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return not poll.poll(0)


def _says_exit(tail: bytes) -> bool:
    """Whether the last message to the daemon was LSP's `exit`."""
    body = tail.rpartition(b"\r\n\r\n")[2]
    with suppress(ValueError):
        message = json.loads(body)
        return isinstance(message, dict) and message.get("method") == "exit"
    return False
