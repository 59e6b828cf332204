"""The HTTP front-end: both listening addresses, and each request from the guard to its reply."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ghostd.config.http import HttpConfig
from ghostd.engine import Engine
from ghostd.errors import GhostdError, RequestEnded
from ghostd.gateway.attachments import Attachments
from ghostd.gateway.bodies import Bodies
from ghostd.gateway.doors import control_doors, public_routes
from ghostd.gateway.errors import INTERNAL, problem
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.guard import Guard, own_hosts, own_origins
from ghostd.gateway.listen import bind_spare, bind_tcp, unix_listener
from ghostd.gateway.request import Request
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Later, Route, Routes
from ghostd.gateway.running import Running, Serving
from ghostd.gateway.server import Server
from ghostd.telemetry import request_id

log = logging.getLogger(__name__)

_GOODBYE_S = 1.0
"""What is cancelled after the drain gets this long to say so to its client."""
_ERROR_S = 5.0
"""Time to get an error reply out to a client that may have stopped reading."""


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A running server."""

    port: int
    """The TCP port, also where the configuration says 0."""
    http_socket: Path
    ollama_url: str = ""
    """Of the second address, where there is one."""
    warning: str = ""
    """Why there is none although the configuration wants it."""


@asynccontextmanager
async def serve_http(
    engine: Engine,
    config: HttpConfig,
    http_socket: Path,
    status: Callable[[], Mapping[str, object]],
    control: Sequence[Route | Later] = (),
    *,
    doors: Sequence[Route | Later] = (),
    attachments: Attachments | None = None,
    drain_s: float = 5.0,
) -> AsyncIterator[HttpServer]:
    """Serve the HTTP API on TCP and on the Unix socket while the block runs; entering returns once both accept.

    `status` adds to what `/health` says (values that JSON has). `doors` are further routes of both addresses,
    `control` is served on the Unix socket only. `attachments` has the files that requests name. At the end running
    requests get `drain_s` to finish. Raises PortTaken, ConfigError or InstanceError.
    """
    async with AsyncExitStack() as stack:
        tcp = await bind_tcp(config.host, config.port)
        for listener in tcp:
            stack.callback(listener.close)
        port: int = tcp[0].getsockname()[1]
        unix = await stack.enter_async_context(unix_listener(http_socket))
        second, warning = await bind_spare(config.ollama_port, "http.ollama_port") if config.ollama_port else ([], "")
        for listener in second:
            stack.callback(listener.close)
        if warning:
            log.warning("%s", warning)

        addresses = dict.fromkeys(("127.0.0.1", "localhost", "::1", config.host))
        hosts = own_hosts(addresses, port, config.allowed_hosts)
        origins = own_origins(hosts, config.allowed_hosts)
        public, private = public_routes(engine, status, doors), public_routes(engine, status, doors)
        private.add(control)
        private.add(control_doors(engine))

        running = Running(config.request_timeout_s, Bodies(config.max_bodies_bytes))
        stack.callback(running.close)
        addressed = [
            _Door(config, _guard(hosts, origins, config, public), public, running, attachments, local=False),
            _Door(config, _guard(None, origins, config, private), private, running, attachments, local=True),
        ]
        listening = [await _accept(addressed[0], listener) for listener in tcp]
        listening.append(await _accept(addressed[1], unix))
        if second:
            own = own_hosts(("127.0.0.1", "localhost", "::1"), config.ollama_port, config.allowed_hosts)
            guard = _guard(own, own_origins(own, config.allowed_hosts), config, public)
            addressed.append(_Door(config, guard, public, running, attachments, local=False))
            listening += [await _accept(addressed[2], listener) for listener in second]
        ollama_url = f"http://127.0.0.1:{config.ollama_port}" if second else ""
        try:
            yield HttpServer(port, http_socket, ollama_url, warning)
        finally:
            running.leaving = True
            await _stop_accepting(listening, [*tcp, unix, *second])
            await _leave([door.server for door in addressed], running, drain_s)


def _guard(hosts: Iterable[str] | None, origins: Iterable[str], config: HttpConfig, routes: Routes) -> Guard:
    return Guard(hosts, origins, config.max_body_bytes, routes.multipart, routes.max_body_bytes)


class _Door:
    """One listening address: its guard, its routes, its connections."""

    def __init__(
        self,
        config: HttpConfig,
        guard: Guard,
        routes: Routes,
        running: Running,
        attachments: Attachments | None,
        *,
        local: bool,
    ) -> None:
        self._config = config
        self._attachments = attachments
        self._guard = guard
        self._routes = routes
        self._running = running
        self.server = Server(self._serve, config, check_peer=local, roomy=routes.max_body_bytes)

    async def _serve(self, request: Request) -> None:
        """Answer one request, whatever happens; only cancellation (the client has gone) and a dead connection leave."""
        exchange = Exchange(request, self._config, self._attachments, self._running.bodies)
        request_id.set(exchange.request_id)
        serving = self._running.begin()
        try:
            await self._send(exchange, await self._answer(exchange, serving))
        except asyncio.CancelledError:
            if (reason := serving.ended()) is None:  # the client has gone
                raise
            await self._give_up(exchange, reason)
        finally:
            self._running.done(serving)
            exchange.end()
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s %s took %d ms", request.method, exchange.path, exchange.age_ms())

    async def _answer(self, exchange: Exchange, serving: Serving) -> Response | None:
        request, route = exchange.request, None
        try:
            exchange.path = self._guard.admit(request, request.raw_path)
            route = self._routes.find(request.method, exchange.path)
            exchange.dialect = route.dialect
            if not route.timed:
                serving.untimed()
            return await route.handler(exchange)
        except GhostdError as error:
            if route is None:
                exchange.dialect = self._routes.dialect_of(exchange.path or request.raw_path)
            return await _refuse(exchange, error)
        except Exception as error:
            if isinstance(error, ConnectionError) and exchange.request.connection.closed:
                raise
            log.exception("a request failed")
            return await _refuse(exchange, INTERNAL)

    async def _send(self, exchange: Exchange, response: Response | None) -> None:
        if response is not None:
            if self._running.leaving:
                response.close = True
            await response.send(exchange.request)

    async def _give_up(self, exchange: Exchange, error: RequestEnded) -> None:
        """The request's time is over, or the server's."""
        streaming = exchange.stream is not None and exchange.stream.begun
        try:
            if streaming or not exchange.request.replied:
                async with asyncio.timeout(_ERROR_S):
                    await self._send(exchange, await _refuse(exchange, error))
                return
        except TimeoutError:
            log.debug("a client did not take its error")
        exchange.request.connection.abort()  # part of a reply has been sent, or the client does not read


async def _refuse(exchange: Exchange, error: GhostdError) -> Response | None:
    """The error as a reply of its own or, when a stream has begun, as its last event."""
    if exchange.stream is not None and exchange.stream.begun:
        await exchange.stream.fail(exchange.dialect.error(problem(error), exchange.request_id))
        return None
    return exchange.error(error)


async def _accept(door: _Door, listener: socket.socket) -> asyncio.Server:
    return await asyncio.get_running_loop().create_server(door.server, sock=listener)


async def _stop_accepting(listening: Sequence[asyncio.Server], listeners: Sequence[socket.socket]) -> None:
    """Close the listening sockets.

    A connection that asyncio (at least 3.11) has accepted but not yet set up when its server is closed leaks; so
    the loop first stops to accept and sets up what it has.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        loop.remove_reader(listener)
    await _settle()
    for server in listening:
        server.close()


async def _leave(servers: Sequence[Server], running: Running, drain_s: float) -> None:
    for server in servers:
        server.close_idle()
    await running.wait(drain_s)
    running.end()
    await running.wait(_GOODBYE_S)
    for server in servers:
        server.close_idle()
    await asyncio.gather(*(server.close(_GOODBYE_S) for server in servers))
    await _settle()


async def _settle() -> None:
    """Let the loop make the connections that it has accepted, and lose those that have been closed."""
    for _ in range(3):
        await asyncio.sleep(0)
