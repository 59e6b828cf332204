"""The control API: what `ghostctl` and the editors' shim ask of the daemon, on the Unix socket only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec

from ghostd.errors import InvalidRequest
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.local.control_types import RootReport, Status
from ghostd.routing_reports import DeploymentReport, KeyReport
from ghostd.suggestion_reports import CompletionsReport


class Controlled(Protocol):
    """The daemon, as the control API sees it."""

    def status(self) -> Status:
        """What it is and does now."""
        ...

    async def add_root(self, root: Path) -> None:
        """Index and watch a folder; raises RootError."""
        ...

    async def remove_root(self, root: Path) -> None:
        """Stop to watch a folder."""
        ...

    async def wait_root(self, root: Path) -> RootReport:
        """Wait until a root is indexed and learned, and say what was found; raises RootError."""
        ...

    async def reload(self) -> str:
        """Put the changed configuration into force, and say what was done; raises ConfigError and changes nothing."""
        ...

    def forget_secret(self, name: str) -> None:
        """Read the keyring's entry anew when it is needed next."""
        ...

    def health(self) -> list[DeploymentReport]:
        """How every deployment fares that was asked so far."""
        ...

    def keys(self) -> list[KeyReport]:
        """The keys of every provider, without their values."""
        ...

    def completions(self) -> CompletionsReport:
        """How soon editors get completions."""
        ...

    def shutdown(self) -> None:
        """Begin to drain and end."""
        ...


class _RootBody(msgspec.Struct):
    path: str


def control_routes(daemon: Controlled) -> list[Route]:
    """The routes, for the gateway to serve behind its guard."""

    async def status(exchange: Exchange) -> Response:
        return _json(exchange, daemon.status())

    async def add_root(exchange: Exchange) -> Response:
        try:
            body = msgspec.json.decode(await exchange.body(), type=_RootBody)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f'The body must be {{"path": "/an/absolute/folder"}}: {error}', "path") from None
        await daemon.add_root(_absolute(body.path))
        return _json(exchange, {})

    async def remove_root(exchange: Exchange) -> Response:
        await daemon.remove_root(_absolute(exchange.parameter("path")))
        return _json(exchange, {})

    async def wait_root(exchange: Exchange) -> Response:
        return _json(exchange, await daemon.wait_root(_absolute(exchange.parameter("path"))))

    async def reload(exchange: Exchange) -> Response:
        return _json(exchange, {"done": await daemon.reload()})

    async def forget_secret(exchange: Exchange) -> Response:
        daemon.forget_secret(exchange.parameter("name"))
        return _json(exchange, {})

    async def health(exchange: Exchange) -> Response:
        return _json(exchange, {"deployments": daemon.health(), "keys": daemon.keys()})

    async def completions(exchange: Exchange) -> Response:
        return _json(exchange, daemon.completions())

    async def shutdown(exchange: Exchange) -> Response:
        daemon.shutdown()
        return _json(exchange, {})

    handlers: list[tuple[str, str, Callable[[Exchange], Awaitable[Response]]]] = [
        ("GET", "/ghostd/v1/status", status),
        ("POST", "/ghostd/v1/roots", add_root),
        ("DELETE", "/ghostd/v1/roots", remove_root),
        ("GET", "/ghostd/v1/roots/wait", wait_root),
        ("POST", "/ghostd/v1/reload", reload),
        ("POST", "/ghostd/v1/secrets/forget", forget_secret),
        ("GET", "/ghostd/v1/health", health),
        ("GET", "/ghostd/v1/completions", completions),
        ("POST", "/ghostd/v1/shutdown", shutdown),
    ]
    return [Route(method, path, handler, timed=False) for method, path, handler in handlers]


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        raise InvalidRequest(f"`path` must be an absolute folder, not {text!r}.", "path")
    return path


def _json(exchange: Exchange, value: object) -> Response:
    return exchange.json(msgspec.json.encode(value))
