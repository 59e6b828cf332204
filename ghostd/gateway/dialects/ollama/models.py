"""`GET /api/tags`, `POST /api/show` and `GET /api/ps`: what there is, and what is loaded."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.ollama.lines import Fields, timestamp
from ghostd.gateway.dialects.ollama.names import one_deployment, resolved
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.models import ModelDescription, ModelInfo
from ghostd.ports import ModelStore

_FOR_EVER = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NO_DESCRIPTION = ModelDescription({})


class NameBody(msgspec.Struct):
    """Which model is meant; `name` is the older word."""

    model: str | None = None
    name: str | None = None


_NAME = msgspec.json.Decoder(NameBody)
_ENCODER = msgspec.json.Encoder()


async def read_name(exchange: Exchange) -> str:
    """The model that a request names; raises InvalidRequest."""
    body = await exchange.read(_NAME)
    if name := body.model or body.name:
        return name
    raise InvalidRequest("model is required", "model")


async def tags(engine: Engine, exchange: Exchange) -> Response | None:
    """Every name that can be asked for."""
    found = [_tag(info) for info in engine.models() if info.capabilities]
    return exchange.json(_ENCODER.encode({"models": found}))


async def show(engine: Engine, store: ModelStore, exchange: Exchange) -> Response | None:
    """What is known of one model."""
    name = resolved(engine, store, await read_name(exchange))
    info = engine.model(name)
    deployment = one_deployment(engine, name)
    described = _NO_DESCRIPTION
    if deployment is not None and store.holds(deployment.model):
        described = await store.describe(deployment.model)
    reply: Fields = {
        "modelfile": f"# {info.detail or info.owned_by}\nFROM {info.id}\n",
        "parameters": f"num_ctx {info.context_tokens}" if info.context_tokens is not None else "",
        "template": described.chat_template,
        "details": _details(info),
        "model_info": _model_info(info, described),
        "capabilities": _capabilities(info),
        "modified_at": timestamp(info.created),
    }
    if described.license:
        reply["license"] = described.license
    return exchange.json(_ENCODER.encode(reply))


async def ps(store: ModelStore, exchange: Exchange) -> Response | None:
    """The local models in memory."""
    found = [
        {
            "name": model.info.id,
            "model": model.info.id,
            "size": model.memory_bytes,
            "digest": _digest(model.info),
            "details": _details(model.info),
            "expires_at": timestamp(_FOR_EVER if model.expires_s is None else model.expires_s),
            "size_vram": 0,
            "context_length": model.info.context_tokens or 0,
        }
        for model in store.loaded()
    ]
    return exchange.json(_ENCODER.encode({"models": found}))


def _tag(info: ModelInfo) -> Fields:
    return {
        "name": info.id,
        "model": info.id,
        "modified_at": timestamp(info.created),
        "size": info.size_bytes or 0,
        "digest": _digest(info),
        "details": _details(info),
    }


def _digest(info: ModelInfo) -> str:
    """Tells one version of a model from the next, and clients keep under it what they know of the model: the server's
    own, or one that its name, file, date and abilities give."""
    if _SHA256.fullmatch(info.digest):
        return info.digest
    able = " ".join(_capabilities(info))
    told = f"{info.id}\0{info.path or ''}\0{info.size_bytes or 0}\0{info.created}\0{able}"
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()


def _details(info: ModelInfo) -> Fields:
    family = info.family or info.owned_by
    return {
        "parent_model": "",
        "format": "gguf" if info.path is not None or info.quantization else "",
        "family": family,
        "families": [family],
        "parameter_size": info.parameter_size,
        "quantization_level": info.quantization,
    }


def _model_info(info: ModelInfo, described: ModelDescription) -> Fields:
    """GGUF's keys, or as many of them as are known; clients look for the context under the architecture's name."""
    family = str(described.keys.get("general.architecture") or info.family or info.owned_by)
    found: Fields = {"general.architecture": family, "general.basename": info.id, **described.keys}
    if info.context_tokens is not None:
        found.setdefault(f"{family}.context_length", info.context_tokens)
    return found


def _capabilities(info: ModelInfo) -> list[str]:
    """In Ollama's words. Tools and images are taken for possible where nobody knows, thoughts are not."""
    able, features = info.capabilities, info.features
    words = (
        ("completion", bool(able & {"chat", "complete"})),
        ("tools", "chat" in able and (features is None or "tools" in features)),
        ("insert", "fill" in able),
        ("vision", "chat" in able and (features is None or "vision" in features)),
        ("embedding", "embed" in able and not able & {"chat", "complete"}),
        ("thinking", features is not None and "reasoning" in features),
    )
    return [word for word, can in words if can]
