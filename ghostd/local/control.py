"""The control API: what `ghostctl` and the editors' shim ask of the daemon, on the Unix socket only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

import msgspec
from aiohttp import web

from ghostd.errors import InvalidRequest
from ghostd.local.control_types import RootReport, Status
from ghostd.routing_reports import DeploymentReport, KeyReport


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

    def shutdown(self) -> None:
        """Begin to drain and end."""
        ...


class _RootBody(msgspec.Struct):
    path: str


def control_routes(daemon: Controlled) -> list[web.RouteDef]:
    """The routes, for the gateway to serve behind its guard."""

    async def status(request: web.Request) -> web.Response:
        return _json(daemon.status())

    async def add_root(request: web.Request) -> web.Response:
        try:
            body = msgspec.json.decode(await request.read(), type=_RootBody)
        except msgspec.DecodeError as error:
            raise InvalidRequest(f'The body must be {{"path": "/an/absolute/folder"}}: {error}', "path") from None
        await daemon.add_root(_absolute(body.path))
        return _json({})

    async def remove_root(request: web.Request) -> web.Response:
        await daemon.remove_root(_absolute(request.query.get("path", "")))
        return _json({})

    async def wait_root(request: web.Request) -> web.Response:
        return _json(await daemon.wait_root(_absolute(request.query.get("path", ""))))

    async def reload(request: web.Request) -> web.Response:
        return _json({"done": await daemon.reload()})

    async def forget_secret(request: web.Request) -> web.Response:
        daemon.forget_secret(request.query.get("name", ""))
        return _json({})

    async def health(request: web.Request) -> web.Response:
        return _json({"deployments": daemon.health(), "keys": daemon.keys()})

    async def shutdown(request: web.Request) -> web.Response:
        daemon.shutdown()
        return _json({})

    handlers: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
        ("GET", "/ghostd/v1/status", status),
        ("POST", "/ghostd/v1/roots", add_root),
        ("DELETE", "/ghostd/v1/roots", remove_root),
        ("GET", "/ghostd/v1/roots/wait", wait_root),
        ("POST", "/ghostd/v1/reload", reload),
        ("POST", "/ghostd/v1/secrets/forget", forget_secret),
        ("GET", "/ghostd/v1/health", health),
        ("POST", "/ghostd/v1/shutdown", shutdown),
    ]
    return [web.route(method, path, handler) for method, path, handler in handlers]


def _absolute(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute() or "\0" in text:
        raise InvalidRequest(f"`path` must be an absolute folder, not {text!r}.", "path")
    return path


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
