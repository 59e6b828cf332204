"""`POST /api/embed` and the older `POST /api/embeddings`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

import msgspec

from ghostd.engine import Engine
from ghostd.errors import ContextTooLong, GhostdError, InvalidRequest
from ghostd.gateway.answering import vectors
from ghostd.gateway.calls import decoded, estimated_tokens, read_call
from ghostd.gateway.dialects.ollama.fields import Options, check_options, checked
from ghostd.gateway.dialects.ollama.names import one_deployment, resolved
from ghostd.gateway.dialects.ollama.residence import Residence
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ModelStore, Tokenizer
from ghostd.routing.call import Call, Job
from ghostd.types import Embeddings, EmbedRequest, Operation, Prompt, Relayed

MAX_INPUTS = 2048
_MARKS = 2
"""Tokens that a model may want before and behind a text."""


class EmbedBody(msgspec.Struct):
    """The body of `/api/embed`."""

    model: str
    input: str | list[str] | None = None
    truncate: bool | None = None
    dimensions: int | None = None
    options: Options | None = None


class OlderEmbedBody(msgspec.Struct):
    """The body of `/api/embeddings`."""

    model: str
    prompt: str | None = None
    options: Options | None = None


_DECODER = msgspec.json.Decoder(EmbedBody)
_OLDER = msgspec.json.Decoder(OlderEmbedBody)
_ENCODER = msgspec.json.Encoder()


async def embed(engine: Engine, store: ModelStore, exchange: Exchange) -> Response | None:
    """Embed one or more texts; without any, have the model loaded."""
    cut: dict[str, Prompt] = {}
    call = await _call(engine, store, exchange, "ollama.embed", partial(_jobs, cut))
    residence = Residence(engine, store, exchange, call)
    body = checked(engine, call, _DECODER)
    if not body.input:
        await residence.settle({})
        return exchange.json(_ENCODER.encode({"model": call.model, "embeddings": []}))
    if body.truncate is not False:
        with suppress(GhostdError):  # the request itself meets it again, and is recorded
            await _cut(engine, call, _texts(body), cut)
    found = await _vectors(engine, call, residence, "input")
    if isinstance(found, Relayed):
        return exchange.json(found.data)
    size = body.dimensions or 0
    return exchange.json(
        _ENCODER.encode(
            {
                "model": call.trace.deployment,
                "embeddings": [_shortened(vector, size) for vector in found.vectors],
                "total_duration": int(call.age_ms * 1_000_000),
                "load_duration": 0,
                "prompt_eval_count": found.usage.prompt_tokens,
            }
        )
    )


async def embeddings(engine: Engine, store: ModelStore, exchange: Exchange) -> Response | None:
    """Embed one text; without one, have the model loaded."""
    call = await _call(engine, store, exchange, "ollama.embeddings", _older_jobs)
    residence = Residence(engine, store, exchange, call)
    body = checked(engine, call, _OLDER)
    if not body.prompt:
        await residence.settle({})
        return exchange.json(b'{"embedding":[]}')
    found = await _vectors(engine, call, residence, "prompt")
    assert isinstance(found, Embeddings), "no service is asked for this call as it came"
    return exchange.json(_ENCODER.encode({"embedding": found.vectors[0]}))


async def _call(
    engine: Engine, store: ModelStore, exchange: Exchange, operation: Operation, jobs: Callable[[bytes], Sequence[Job]]
) -> Call:
    call = await read_call(engine, exchange, operation, "embed", jobs, _glance)
    call.stream = False
    call.model = resolved(engine, store, call.model)
    return call


def _glance(call: Call) -> None:
    texts = call.fields.get("input") or call.fields.get("prompt", b"")
    call.prompt_tokens = estimated_tokens(texts)
    call.several = texts.startswith(b"[")


async def _vectors(engine: Engine, call: Call, residence: Residence, param: str) -> Embeddings | Relayed:
    try:
        with residence.kept():
            return await vectors(engine, call)
    except ContextTooLong as error:
        if error.param == "messages":
            error.param = param  # there are no messages here
        raise


async def _cut(engine: Engine, call: Call, texts: Sequence[str], cut: dict[str, Prompt]) -> None:
    """Note the beginnings of texts that are too long for the one local model that is asked (`truncate`)."""
    deployment = one_deployment(engine, call.model)
    if deployment is None or not isinstance(deployment.provider, Tokenizer):
        return
    limit = (deployment.info.context_tokens or 0) - _MARKS
    for text in texts[:MAX_INPUTS]:
        if limit > 0 and len(text.encode("utf-8", "replace")) > limit:  # a token has a byte at least
            tokens = await deployment.provider.tokenize(deployment.model, text, special=False, bos=False)
            if len(tokens) > limit:
                cut[text] = tuple(tokens[:limit])


def _texts(body: EmbedBody) -> list[str]:
    return [body.input] if isinstance(body.input, str) else body.input or []


def _jobs(cut: Mapping[str, Prompt], body: bytes) -> list[Job]:
    fields = decoded(_DECODER, body)
    check_options(fields.options or Options())
    if fields.dimensions is not None and not 0 <= fields.dimensions <= 1_000_000:
        raise InvalidRequest("Invalid value for 'dimensions': it is not between 0 and 1000000.", "dimensions")
    texts = _texts(fields)
    if len(texts) > MAX_INPUTS:
        raise InvalidRequest(
            f"Invalid value for 'input': {len(texts)} texts; at most {MAX_INPUTS} are allowed.", "input"
        )
    if "" in texts:
        raise InvalidRequest("Invalid value for 'input': an empty text.", "input")
    return [Job(EmbedRequest(fields.model, tuple(cut.get(text, (text,)) for text in texts)))]


def _older_jobs(body: bytes) -> list[Job]:
    fields = decoded(_OLDER, body)
    check_options(fields.options or Options())
    return [Job(EmbedRequest(fields.model, ((fields.prompt or "",),)))]


def _shortened(vector: Sequence[float], size: int) -> Sequence[float]:
    """The vector's first numbers, of unit length again, as Ollama shortens it; a size of 0 changes nothing."""
    if not 0 < size < len(vector):
        return vector
    kept = vector[:size]
    length = math.sqrt(math.fsum(value * value for value in kept))
    return [value / length for value in kept] if length else kept
