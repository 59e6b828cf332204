"""Which model llama.cpp's clients ask, which know of one only."""

from __future__ import annotations

from ghostd.engine import Engine
from ghostd.gateway.errors import printable
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.headers import MODEL
from ghostd.models import ModelInfo
from ghostd.routing.plan import AUTO

_NAME_CHARS = 500


def default_model(exchange: Exchange) -> str:
    """The model where a body names none: `model` of the query, the header, or the setting http.llamacpp_model."""
    named = exchange.parameter("model") or exchange.request.headers.get(MODEL, "")
    return (named and printable(named, _NAME_CHARS)) or exchange.config.llamacpp_model


def described(engine: Engine, name: str) -> ModelInfo:
    """What is known of the model that would fill or continue for this name, a loaded one before others.

    Raises ModelNotFound.
    """
    plan = engine.registry.plan(name)
    infos = [choice.deployment.info for tier in plan.tiers for choice in tier]
    if not infos:
        return engine.model(name)
    if plan.name == AUTO:
        infos = [info for info in infos if not info.remote] or infos
    return max(infos, key=_rank)


def _rank(info: ModelInfo) -> tuple[bool, bool, bool, bool]:
    is_file = info.path is not None
    return info.state != "failed", is_file and info.state == "ready", info.fim is not None, is_file
