"""Accepts editors on the daemon's LSP socket. Each connection is a session of its own.

What serves a session (pygls, lsprotocol) takes half a second and about 20 MB to import, so that is done when the first
editor connects, in a thread: a daemon without editors stays small, and one that gets its first goes on serving.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path

from ghostd.engine import FrontendHost
from ghostd.local.peers import peer_uid
from ghostd_lsp.framing import HEADER_LIMIT_BYTES, FramingError, error_message, frame, read_message

log = logging.getLogger(__name__)

SESSION_REFUSED = -32000
"""JSON-RPC's first code for server-defined errors."""

_REFUSAL_S = 5.0
"""Time that a refused editor gets to send its first request, which the refusal answers."""

_BACKLOG = 64

ServeSession = Callable[[FrontendHost, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serve(host: FrontendHost) -> AsyncIterator[None]:
    """Listen on `host.socket_path` while the block runs; leaving it ends every session."""
    listener = await asyncio.to_thread(_listen, host.socket_path)
    try:
        async with asyncio.TaskGroup() as tasks:
            frontend = _Frontend(host, tasks)
            server = await asyncio.start_unix_server(frontend.accept, sock=listener, limit=HEADER_LIMIT_BYTES)
            try:
                yield
            finally:
                server.close()
                frontend.end()
    finally:
        await asyncio.to_thread(_remove, host.socket_path, listener)


class _Frontend:
    def __init__(self, host: FrontendHost, tasks: asyncio.TaskGroup) -> None:
        self._host = host
        self._tasks = tasks
        self._connections: set[asyncio.Task[None]] = set()
        self._sessions = 0

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._tasks.create_task(self._serve(reader, writer), name="lsp session")
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    def end(self) -> None:
        for task in self._connections:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection; its failure is its own."""
        try:
            if peer_uid(writer.get_extra_info("socket")) != os.getuid():
                log.warning("refused an LSP connection of another user")
            elif self._sessions >= self._host.config.lsp.max_sessions:
                await _refuse(self._host, reader, writer)
            else:
                self._sessions += 1
                try:
                    serve_session = await asyncio.to_thread(_session_module)
                    await serve_session(self._host, reader, writer)
                finally:
                    self._sessions -= 1
        except Exception:
            log.exception("an LSP session failed")
        finally:
            writer.close()


@cache
def _session_module() -> ServeSession:
    from ghostd_lsp.serving import serve_session

    return serve_session


async def _refuse(host: FrontendHost, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the first request with why there is no session."""
    limit = host.config.lsp.max_sessions
    reason = f"ghostd serves at most {limit} editors at once (setting lsp.max_sessions)."
    log.warning("refused an editor: %d are connected already", limit)
    with suppress(FramingError, ConnectionError, TimeoutError, ValueError, RecursionError):
        async with asyncio.timeout(_REFUSAL_S):
            message = json.loads(await read_message(reader, host.config.lsp.max_message_bytes) or b"null")
            msg_id = message.get("id") if isinstance(message, dict) else None
            if isinstance(msg_id, int | str):
                writer.write(frame(error_message(msg_id, SESSION_REFUSED, reason)))
                await writer.drain()


def _listen(path: Path) -> socket.socket:
    """A listening socket that only this user can reach; what a killed daemon left at `path` is replaced."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    try:
        listener.bind(str(path))
        path.chmod(0o600)  # before anybody can connect
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _remove(path: Path, listener: socket.socket) -> None:
    listener.close()
    path.unlink(missing_ok=True)
