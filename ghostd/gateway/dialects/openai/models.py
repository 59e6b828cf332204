"""`GET /v1/models` and `GET /v1/models/{id}`."""

from __future__ import annotations

from urllib.parse import unquote

import msgspec

from ghostd.engine import Engine
from ghostd.gateway.dialects.openai.replies import ModelReply, ModelsReply
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.models import ModelInfo

LIST_DOC = Doc("List the models", reply=ModelsReply)
MODEL_DOC = Doc("One model", path={"id": "The model's id, which may hold slashes."}, reply=ModelReply)
_PREFIX = "/v1/models/"


async def list_models(engine: Engine, exchange: Exchange) -> Response | None:
    """Every model on offer, and the virtual ones."""
    return exchange.json(msgspec.json.encode({"object": "list", "data": [*map(_model, engine.models())]}))


async def retrieve_model(engine: Engine, exchange: Exchange) -> Response | None:
    """One model; its id may hold slashes, as they are or percent-encoded. Also what is not listed but can be asked."""
    name = unquote(exchange.path.removeprefix(_PREFIX))
    return exchange.json(msgspec.json.encode(_model(engine.model(name))))


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
    if info.source:
        model["source"] = info.source
    if info.detail:
        model["detail"] = info.detail
    return model
