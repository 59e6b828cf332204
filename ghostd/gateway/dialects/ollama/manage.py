"""`POST /api/pull`, `POST /api/copy` and `DELETE /api/delete`: for ghostd's own models folder."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, ModelNotFound
from ghostd.gateway.dialects.ollama.lines import Fields
from ghostd.gateway.dialects.ollama.models import NameBody, read_name
from ghostd.gateway.dialects.ollama.names import one_deployment, resolved
from ghostd.gateway.errors import HttpError
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.models import PullProgress
from ghostd.ports import ModelStore


class PullBody(NameBody):
    """What to fetch."""

    stream: bool | None = None
    insecure: bool | None = None


class CopyBody(msgspec.Struct):
    """What to copy, and under which name."""

    source: str
    destination: str


_PULL = msgspec.json.Decoder(PullBody)
_COPY = msgspec.json.Decoder(CopyBody)
_ENCODER = msgspec.json.Encoder()
_HUBS = ("hf.co/", "huggingface.co/")


async def pull(engine: Engine, store: ModelStore, exchange: Exchange) -> Response | None:
    """Fetch a model and tell how far it is; what is there already is a success at once."""
    body = await exchange.read(_PULL)
    name = body.model or body.name
    if not name:
        raise InvalidRequest("model is required", "model")
    if body.insecure:
        raise InvalidRequest("Models are only fetched over connections that are checked.", "insecure")
    if not name.startswith(_HUBS) and engine.registry.knows(resolved(engine, store, name)):
        steps = _there_already()
    else:
        steps = store.pull(name)
    if body.stream is False:
        async with aclosing(steps):
            async for _ in steps:
                pass
        return exchange.json(b'{"status":"success"}')
    async with exchange.open_stream() as events, aclosing(steps):
        async for progress in steps:
            await events.send(_ENCODER.encode(_step(progress)) + b"\n")
        await events.close(b'{"status":"success"}\n')
    return None


async def _there_already() -> AsyncGenerator[PullProgress, None]:
    for progress in list[PullProgress]():
        yield progress


def _step(progress: PullProgress) -> Fields:
    fields: Fields = {"status": progress.status}
    if progress.digest:
        fields |= {
            "digest": f"sha256:{progress.digest}",
            "total": progress.total_bytes,
            "completed": progress.completed_bytes,
        }
    return fields


async def copy(engine: Engine, store: ModelStore, exchange: Exchange) -> Response | None:
    """Offer a model of the folder under another name, too."""
    body = await exchange.read(_COPY)
    source = _own(engine, store, body.source, "source", "copied")
    if engine.registry.knows(resolved(engine, store, body.destination)):
        raise InvalidRequest(f"There is a model '{body.destination}' already; it is not replaced.", "destination")
    await store.copy(source, body.destination)
    return exchange.json(b"")


async def delete(engine: Engine, store: ModelStore, exchange: Exchange) -> Response | None:
    """Remove a model of the folder."""
    await store.delete(_own(engine, store, await read_name(exchange), "model", "removed"))
    return exchange.json(b"")


def _own(engine: Engine, store: ModelStore, name: str, param: str, done: str) -> str:
    """The local model that a name means; raises ModelNotFound or InvalidRequest."""
    found = resolved(engine, store, name)
    if store.holds(found):
        return found
    if not engine.registry.knows(found):
        raise ModelNotFound(name)
    meant = one_deployment(engine, found)
    what = f"'{meant.name}'" if meant is not None and meant.name != found else "no file of ghostd's models folder"
    raise InvalidRequest(f"'{name}' is {what}; only models in that folder can be {done} here.", param)


async def missing(what: str, exchange: Exchange) -> Response | None:
    """Raises HttpError 501 for what Ollama has and ghostd has not."""
    raise HttpError(501, "not_offered", what)
