"""ghostd's own questions about routing: where a request would go, and what became of a reply."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.gateway.calls import any_openai_call
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.routing.explain import explain

_ENCODER = msgspec.json.Encoder()


class Feedback(msgspec.Struct, forbid_unknown_fields=True):
    """What became of a reply."""

    id: Annotated[str, msgspec.Meta(pattern="^req_", max_length=64)]
    """`x-ghostd-id` of the reply."""
    kind: Literal["shown", "accepted", "thumb"]
    value: float = 1.0


_FEEDBACK = msgspec.json.Decoder(Feedback)
DOC = Doc("Note what became of a reply", "ghostd", body=Feedback)


async def explain_route(engine: Engine, exchange: Exchange) -> Response | None:
    """Where an OpenAI request would go now, and why; nothing is asked of any model."""
    call = await any_openai_call(exchange)
    exchange.call = None
    found = explain(engine.registry, call, asyncio.get_running_loop().time())
    return exchange.json(_ENCODER.encode(found))


async def feedback(engine: Engine, exchange: Exchange) -> Response | None:
    """Note what became of a reply: it was shown, accepted, or liked (1) or disliked (-1)."""
    body = await exchange.read(_FEEDBACK)
    if body.kind == "thumb" and body.value not in (-1, 1):
        raise InvalidRequest("Invalid value for 'value': a thumb is 1 or -1.", "value")
    if body.kind != "thumb" and body.value not in (0, 1):
        raise InvalidRequest(f"Invalid value for 'value': {body.kind} is 1 for yes or 0 for no.", "value")
    engine.record_outcome(body.id, body.kind, body.value)
    return exchange.json(b"{}")
