"""The control API's part about local models: load, unload, pin, and what they take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from ghostd.errors import GhostdError, InvalidRequest
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.local.control_types import ModelState
from ghostd.local.model_types import ModelBody, ModelsReport, StoreSkip
from ghostd.models import ModelInfo


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


def model_routes(models: LocalModels) -> list[Route]:
    """The routes, for the gateway to serve behind its guard on the Unix socket."""

    async def report(exchange: Exchange) -> Response:
        held, allowed = await models.memory()
        skips = [StoreSkip(path, reason) for path, reason in models.skips()]
        states = [_state(info) for info in models.models()]
        return _json(exchange, ModelsReport(states, held, allowed, sorted(models.pinned), skips))

    async def load(exchange: Exchange) -> Response:
        await models.load(await _model(exchange))
        return _json(exchange, {})

    async def unload(exchange: Exchange) -> Response:
        await models.unload(await _model(exchange))
        return _json(exchange, {})

    async def pin(exchange: Exchange) -> Response:
        return await _pin(exchange, await _model(exchange), pinned=True)

    async def unpin(exchange: Exchange) -> Response:
        return await _pin(exchange, await _model(exchange), pinned=False)

    async def _pin(exchange: Exchange, model: str, *, pinned: bool) -> Response:
        try:
            await models.pin(model, pinned)
        except OSError as error:
            raise GhostdError(f"The pins cannot be written down: {error.strerror}: {error.filename}") from None
        return _json(exchange, {})

    handlers: list[tuple[str, str, Callable[[Exchange], Awaitable[Response]]]] = [
        ("GET", "/ghostd/v1/models", report),
        ("POST", "/ghostd/v1/models/load", load),
        ("POST", "/ghostd/v1/models/unload", unload),
        ("POST", "/ghostd/v1/models/pin", pin),
        ("POST", "/ghostd/v1/models/unpin", unpin),
    ]
    return [Route(method, path, handler, timed=False) for method, path, handler in handlers]


async def _model(exchange: Exchange) -> str:
    try:
        return msgspec.json.decode(await exchange.body(), type=ModelBody).model
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


def _json(exchange: Exchange, value: object) -> Response:
    return exchange.json(msgspec.json.encode(value))
