"""`GET /v1/models` and `GET /v1/models/{id}` as Anthropic's clients know them.

The paths are OpenAI's, too; who asks in which dialect is told by its headers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote

import msgspec
from multidict import istr

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.anthropic.errors import ANTHROPIC
from ghostd.gateway.dialects.anthropic.replies import ModelReply, ModelsReply
from ghostd.gateway.dialects.openai import models as openai_models
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.models import ModelInfo

_VERSION = istr("anthropic-version")
_KEY = istr("x-api-key")
_AUTHORIZATION = istr("Authorization")
_PREFIX = "/v1/models/"
_MAX_PAGE = 1000
_PAGE = 20


async def list_models(engine: Engine, exchange: Exchange) -> Response | None:
    """The models, in the client's dialect."""
    if not _asked_in_ours(exchange):
        return await openai_models.list_models(engine, exchange)
    exchange.dialect = ANTHROPIC
    models = [_model(info) for info in engine.models() if "chat" in info.capabilities]
    return exchange.json(msgspec.json.encode(_page(models, exchange)))


async def retrieve_model(engine: Engine, exchange: Exchange) -> Response | None:
    """One model, likewise."""
    if not _asked_in_ours(exchange):
        return await openai_models.retrieve_model(engine, exchange)
    exchange.dialect = ANTHROPIC
    return exchange.json(msgspec.json.encode(_model(engine.model(unquote(exchange.path.removeprefix(_PREFIX))))))


def _asked_in_ours(exchange: Exchange) -> bool:
    """Anthropic's SDKs send their version, and their key by a header of its own."""
    headers = exchange.request.headers
    return _VERSION in headers or (_KEY in headers and _AUTHORIZATION not in headers)


def _page(models: list[ModelReply], exchange: Exchange) -> ModelsReply:
    """The models behind `after_id`, or those before `before_id`; raises InvalidRequest."""
    limit = _limit(exchange.parameter("limit"))
    after, before = exchange.parameter("after_id"), exchange.parameter("before_id")
    if after and before:
        raise InvalidRequest("'after_id' and 'before_id' cannot be combined.", "before_id")
    if before:
        models = models[: _place(models, before, "before_id")]
        page, more = models[-limit:], len(models) > limit
    else:
        models = models[_place(models, after, "after_id") + 1 :] if after else models
        page, more = models[:limit], len(models) > limit
    return ModelsReply(page, more, page[0].id if page else None, page[-1].id if page else None)


def _place(models: list[ModelReply], name: str, param: str) -> int:
    for number, model in enumerate(models):
        if model.id == name:
            return number
    raise InvalidRequest(f"Invalid value for '{param}': no model {name[:100]!r} is listed.", param)


def _limit(given: str) -> int:
    if not given:
        return _PAGE
    limit = int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0
    if not 1 <= limit <= _MAX_PAGE:
        raise InvalidRequest(f"Invalid value for 'limit': it is from 1 to {_MAX_PAGE}.", "limit")
    return limit


def _model(info: ModelInfo) -> ModelReply:
    created = datetime.fromtimestamp(info.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return ModelReply("model", info.id, info.id, created, "active", info.context_tokens, info.max_output_tokens)
