"""Calls of OpenAI's API that come as multipart/form-data and are passed on: transcriptions, translations, images.

The form is read, so that ghostd knows the model and refuses what a request may not say, and written anew with the
deployment's name of the model; its other fields and its files are the upstream's to judge.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, RequestError
from ghostd.gateway.calls import head_only, model_name, refuse_upstreams
from ghostd.gateway.dialects.openai.passed import DEFAULT_MODELS, no_jobs, pass_on
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import LARGE_BODY_BYTES, Exchange
from ghostd.gateway.multipart import Part, read_form, write_form
from ghostd.gateway.passing import pass_back
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.routing.call import Call
from ghostd.types import Operation

PATHS: Mapping[str, Operation] = {
    "/v1/audio/transcriptions": "openai.audio.transcriptions",
    "/v1/audio/translations": "openai.audio.translations",
    "/v1/images/edits": "openai.images.edits",
    "/v1/images/variations": "openai.images.variations",
}
_STREAMING = frozenset(("openai.audio.transcriptions", "openai.images.edits"))
"""Calls that know `stream`."""
_SOUND = {"model": "Who is asked.", "file": "The sound file.", "response_format": "json, text, srt, vtt or another."}
_IMAGE = {"model": "Who is asked; by default any that offers it.", "image": "The image file.", "prompt": "What to do."}
_DOCS: Mapping[Operation, Doc] = {
    "openai.audio.transcriptions": Doc(
        "Passed on: write down what is said",
        form={**_SOUND, "stream": "true or false."},
        required=("model", "file"),
        streams="text/event-stream",
    ),
    "openai.audio.translations": Doc("Passed on: the same in English", form=_SOUND, required=("model", "file")),
    "openai.images.edits": Doc("Passed on: change images", form=_IMAGE, required=("image",)),
    "openai.images.variations": Doc("Passed on: vary an image", form=_IMAGE, required=("image",)),
}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False, "": False}


def routes(engine: Engine) -> Sequence[Route]:
    """The doors of these calls."""
    return [
        Route("POST", path, partial(pass_form_on, operation, engine), multipart=True, doc=_DOCS[operation])
        for path, operation in PATHS.items()
    ]


async def pass_form_on(operation: Operation, engine: Engine, exchange: Exchange) -> Response | None:
    """Pass the request on; a 400 says which of the model's deployments do not offer the call."""
    if not is_form(exchange):
        return await pass_on(operation, engine, exchange)  # newer image models take JSON, too
    call = Call(operation, "", "chat", tuple)
    try:
        await _read(call, exchange)
    except RequestError as error:
        engine.refused(call, error)
        raise
    call.decode = partial(no_jobs, call.body)
    exchange.call = call
    return await pass_back(engine, exchange, call)


def is_form(exchange: Exchange) -> bool:
    """Whether the body is multipart/form-data, and not JSON."""
    return exchange.request.headers.get("Content-Type", "").lower().startswith("multipart/")


async def _read(call: Call, exchange: Exchange) -> None:
    """Fill in the call from the request."""
    head_only(call, exchange)
    body = await exchange.body()
    content_type = exchange.request.headers["Content-Type"]
    if len(body) > LARGE_BODY_BYTES:  # would hold up everybody else
        await asyncio.to_thread(_take_form, call, body, content_type)
    else:
        _take_form(call, body, content_type)
    call.passed_only = call.relayable = True


def _take_form(call: Call, body: bytes, content_type: str) -> None:
    parts = read_form(body, content_type)
    refuse_upstreams(part.head.name for part in parts)
    call.model = model_name(_only(parts, "model") or DEFAULT_MODELS.get(call.operation, ""))
    if not call.model:
        raise InvalidRequest("Missing required parameter: 'model'.", "model")
    if call.operation in _STREAMING:
        stream = _only(parts, "stream").strip().lower()
        if stream not in _BOOLEANS:
            raise InvalidRequest("Invalid value for 'stream': it must be true or false.", "stream")
        call.stream = _BOOLEANS[stream]
    call.user = _only(parts, "user")[:200]
    others = [part for part in parts if part.head.name != "model"]
    call.body, call.content_type = write_form([("model", "")], others)  # a deployment's provider fills in its own name


def _only(parts: Sequence[Part], name: str) -> str:
    """The value of a field that may come once; "" where it does not."""
    found = [part for part in parts if part.head.name == name]
    if len(found) > 1:
        raise InvalidRequest(f"Invalid value for '{name}': it is given {len(found)} times.", name)
    if found and found[0].head.is_file:
        raise InvalidRequest(f"Invalid value for '{name}': it must be a field, not a file.", name)
    return found[0].text() if found else ""
