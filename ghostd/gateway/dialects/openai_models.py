"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec
from aiohttp import web

from ghostd.engine import Engine
from ghostd.errors import ModelNotFound
from ghostd.gateway.exchange import Exchange
from ghostd.routing.route import AUTO
from ghostd.types import ModelInfo

_PREFIX = "/v1/models/"


async def list_models(engine: Engine, exchange: Exchange) -> web.StreamResponse:
    """Every model on offer, and the virtual ones."""
    models = engine.models()
    return exchange.json(msgspec.json.encode({"object": "list", "data": [*map(_model, models), _auto(models)]}))


async def retrieve_model(engine: Engine, exchange: Exchange) -> web.StreamResponse:
    """One model; its id may hold slashes, as they are or percent-encoded."""
    name = unquote(exchange.path.removeprefix(_PREFIX))
    models = engine.models()
    if name == AUTO:
        return exchange.json(msgspec.json.encode(_auto(models)))
    for model in models:
        if model.id == name:
            return exchange.json(msgspec.json.encode(_model(model)))
    raise ModelNotFound(name, tuple(model.id for model in models))


def _model(info: ModelInfo) -> dict[str, object]:
    """OpenAI's four fields, and what a client of local models wants to know."""
    model: dict[str, object] = {
        "id": info.id,
        "object": "model",
        "created": info.created,
        "owned_by": info.owned_by,
        "capabilities": sorted(info.capabilities),
        "state": info.state,
    }
    if info.context_tokens is not None:
        model["context_tokens"] = info.context_tokens
    if info.detail:
        model["detail"] = info.detail
    return model


def _auto(models: list[ModelInfo]) -> dict[str, object]:
    able = [model for model in models if model.state != "failed"]
    return {
        "id": AUTO,
        "object": "model",
        "created": 0,
        "owned_by": "ghostd",
        "capabilities": sorted(set().union(*(model.capabilities for model in able))),
        "state": "ready" if able else "failed",
    }
