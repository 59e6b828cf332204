"""llama.cpp's `GET /props` and `GET /slots`: what its clients want to know of the one model that they know of."""

from __future__ import annotations

import msgspec

from ghostd import __version__
from ghostd.engine import Engine
from ghostd.gateway.dialects.llamacpp.models import default_model, described
from ghostd.gateway.dialects.llamacpp.reply import generation_settings
from ghostd.gateway.errors import HttpError
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response

_encode = msgspec.json.Encoder().encode


async def props(engine: Engine, exchange: Exchange) -> Response:
    """The model's context, its file's name without the folder, and its chat template."""
    info = described(engine, default_model(exchange))
    busy = engine.busy(info.id)
    body = {
        "default_generation_settings": {
            "id": 0,
            "n_ctx": info.context_tokens or 0,
            "speculative": False,
            "is_processing": busy,
            "params": generation_settings(),
        },
        "total_slots": 1,
        "model_alias": info.id,
        "model_path": info.path.name if info.path is not None else info.id,
        "modalities": {"vision": "vision" in (info.features or ()), "audio": "audio" in (info.features or ())},
        "chat_template": engine.tokens.chat_template(info.id),
        "build_info": f"ghostd {__version__}",
        "is_sleeping": info.state == "unloaded",
    }
    return exchange.json(_encode(body))


async def slots(engine: Engine, exchange: Exchange) -> Response:
    """The model's one slot; with `fail_on_no_slot` a 503 where it is taken."""
    info = described(engine, default_model(exchange))
    busy = engine.busy(info.id)
    if busy and exchange.parameter("fail_on_no_slot"):
        raise HttpError(503, "no_slot", "no slot available")
    slot = {"id": 0, "n_ctx": info.context_tokens or 0, "speculative": False, "is_processing": busy, "model": info.id}
    return exchange.json(_encode([slot]))
