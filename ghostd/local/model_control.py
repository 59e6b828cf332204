"""The control API's part about local models: load, unload, pin, and what they take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec
from aiohttp import web

from ghostd.errors import GhostdError, InvalidRequest
from ghostd.local.control_types import ModelState
from ghostd.local.model_types import ModelBody, ModelsReport, StoreSkip
from ghostd.types import ModelInfo


class LocalModels(Protocol):
    """The local provider, as the control API sees it."""

    def models(self) -> Sequence[ModelInfo]:
        """The models as they are now."""
        ...

    async def load(self, model: str) -> None:
        """Have the model loaded; raises ModelNotFound or ProviderError."""
        ...

    async def unload(self, model: str) -> None:
        """Unload it when its requests have ended; raises ModelNotFound or Overloaded."""
        ...

    async def pin(self, model: str, pinned: bool) -> None:
        """Keep it loaded, or no longer; raises ModelNotFound, or OSError when it cannot be written down."""
        ...

    @property
    def pinned(self) -> frozenset[str]:
        """Names of the models that stay loaded."""
        ...

    async def memory(self) -> tuple[int, int]:
        """Bytes held by estimate, and allowed in all at the moment."""
        ...

    def skips(self) -> Sequence[tuple[str, str]]:
        """(path, reason) of what other programs' stores hold and is not offered."""
        ...


def model_routes(models: LocalModels) -> list[web.RouteDef]:
    """The routes, for the gateway to serve behind its guard on the Unix socket."""

    async def report(request: web.Request) -> web.Response:
        held, allowed = await models.memory()
        skips = [StoreSkip(path, reason) for path, reason in models.skips()]
        states = [_state(info) for info in models.models()]
        return _json(ModelsReport(states, held, allowed, sorted(models.pinned), skips))

    async def load(request: web.Request) -> web.Response:
        await models.load(await _model(request))
        return _json({})

    async def unload(request: web.Request) -> web.Response:
        await models.unload(await _model(request))
        return _json({})

    async def pin(request: web.Request) -> web.Response:
        return await _pin(await _model(request), pinned=True)

    async def unpin(request: web.Request) -> web.Response:
        return await _pin(await _model(request), pinned=False)

    async def _pin(model: str, *, pinned: bool) -> web.Response:
        try:
            await models.pin(model, pinned)
        except OSError as error:
            raise GhostdError(f"The pins cannot be written down: {error.strerror}: {error.filename}") from None
        return _json({})

    handlers: list[tuple[str, str, Callable[[web.Request], Awaitable[web.StreamResponse]]]] = [
        ("GET", "/ghostd/v1/models", report),
        ("POST", "/ghostd/v1/models/load", load),
        ("POST", "/ghostd/v1/models/unload", unload),
        ("POST", "/ghostd/v1/models/pin", pin),
        ("POST", "/ghostd/v1/models/unpin", unpin),
    ]
    return [web.route(method, path, handler) for method, path, handler in handlers]


async def _model(request: web.Request) -> str:
    try:
        return msgspec.json.decode(await request.read(), type=ModelBody).model
    except msgspec.DecodeError as error:
        raise InvalidRequest(f'The body must be {{"model": "name"}}: {error}', "model") from None


def _state(info: ModelInfo) -> ModelState:
    return ModelState(
        id=info.id,
        owned_by=info.owned_by,
        capabilities=sorted(info.capabilities),
        state=info.state,
        context_tokens=info.context_tokens,
        size_bytes=info.size_bytes,
        detail=info.detail,
        source=info.source,
    )


def _json(value: object) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), content_type="application/json")
