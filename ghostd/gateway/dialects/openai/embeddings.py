"""`POST /v1/embeddings`."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping, Sequence

import msgspec

from ghostd.engine import Engine
from ghostd.errors import ContextTooLong, InvalidRequest
from ghostd.gateway.answering import relayed, vectors
from ghostd.gateway.calls import decoded, openai_call
from ghostd.gateway.dialects.openai.fields import check_one_of, check_ranges
from ghostd.gateway.dialects.openai.replies import EmbeddingsReply
from ghostd.gateway.dialects.token_input import texts_or_tokens
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.routing.call import Job
from ghostd.types import EmbedRequest, Relayed

MAX_INPUTS = 2048


class EmbeddingBody(msgspec.Struct):
    """The body; other fields are ignored."""

    model: str
    input: str | list[str | int | list[int]]
    encoding_format: str | None = None
    dimensions: int | None = None
    user: str | None = None


_DECODER = msgspec.json.Decoder(EmbeddingBody)
_RANGES: Mapping[str, tuple[float, float]] = {"dimensions": (1, 2**31 - 1)}
_FORMATS = ("float", "base64")
DOC = Doc(
    "Embed texts",
    body=EmbeddingBody,
    reply=EmbeddingsReply,
    ranges=_RANGES,
    words={"encoding_format": _FORMATS},
)


async def embeddings(engine: Engine, exchange: Exchange) -> Response | None:
    """Embed one or more inputs, as numbers or as base64 of little-endian 32-bit floats."""
    call = await openai_call(engine, exchange, "openai.embeddings", "embed", _jobs)
    call.stream = False
    try:
        found = await vectors(engine, call)
    except ContextTooLong as error:
        if error.param == "messages":
            error.param = "input"  # there are no messages here
        raise
    if isinstance(found, Relayed):
        return relayed(exchange, call, [found.data], found)
    body = decoded(_DECODER, call.body)
    as_base64 = body.encoding_format == "base64"
    return exchange.json(
        msgspec.json.encode(
            {
                "object": "list",
                "data": [
                    {"object": "embedding", "index": index, "embedding": _base64(vector) if as_base64 else vector}
                    for index, vector in enumerate(found.vectors)
                ],
                "model": call.trace.deployment,
                "usage": {
                    "prompt_tokens": found.usage.prompt_tokens,
                    "total_tokens": found.usage.prompt_tokens,
                },
            }
        )
    )


def _jobs(body: bytes) -> list[Job]:
    fields = decoded(_DECODER, body)
    check_ranges(fields, _RANGES)
    check_one_of(fields, {"encoding_format": _FORMATS})
    inputs = texts_or_tokens(fields.input, "input", MAX_INPUTS)
    if ("",) in inputs:
        raise InvalidRequest("Invalid value for 'input': an empty text.", "input")
    return [Job(EmbedRequest(fields.model, tuple(inputs), fields.dimensions))]


def _base64(vector: Sequence[float]) -> str:
    packed = array("f", vector)
    if sys.byteorder == "big":
        packed.byteswap()
    return base64.b64encode(packed.tobytes()).decode("ascii")
