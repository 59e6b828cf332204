"""Calls of OpenAI's API that are passed on to a service that has them, as they came: nothing else can answer them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from ghostd.engine import Engine
from ghostd.errors import UnsupportedParameter
from ghostd.gateway.answering import Reply, answer
from ghostd.gateway.calls import openai_call
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.passing import pass_back
from ghostd.gateway.response import Response
from ghostd.routing.call import Call, Job
from ghostd.routing.plan import AUTO
from ghostd.types import Delta, Operation

PATHS: dict[str, Operation] = {
    "/v1/moderations": "openai.moderations",
    "/v1/images/generations": "openai.images.generations",
    "/v1/audio/speech": "openai.audio.speech",
}


class PassedBody(msgspec.Struct):
    """What ghostd reads of the body; the rest is the service's to judge."""

    model: str | None = None
    stream: bool | None = None


DOCS: Mapping[str, Doc] = {
    "/v1/moderations": Doc("Passed on: judge texts and images", body=PassedBody),
    "/v1/images/generations": Doc("Passed on: make images", body=PassedBody, streams="text/event-stream"),
    "/v1/audio/speech": Doc("Passed on: speak a text", body=PassedBody, media="audio/*", streams="text/event-stream"),
}

DEFAULT_MODELS: dict[Operation, str] = dict.fromkeys(
    ("openai.moderations", "openai.images.generations", "openai.images.edits", "openai.images.variations"), AUTO
)
"""Calls whose `model` is optional in OpenAI's reference: any deployment that offers them will do."""


async def pass_on(operation: Operation, engine: Engine, exchange: Exchange) -> Response | None:
    """Pass the request on; a 400 says which of the model's deployments do not offer the call."""
    model = DEFAULT_MODELS.get(operation, "")
    call = await openai_call(engine, exchange, operation, "chat", no_jobs, default_model=model)
    call.passed_only = call.relayable = True
    if operation != "openai.audio.speech":
        return await answer(engine, exchange, call, _NoEncoder())
    call.stream = True  # sound is played as it comes
    return await pass_back(engine, exchange, call)


def no_jobs(body: bytes) -> Sequence[Job]:
    """What is only passed on is never decoded."""
    raise UnsupportedParameter("This call is only passed on to services that have it.", "model")


class _NoEncoder:
    """What is passed on is never put into other words."""

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        raise AssertionError(call.operation)

    def begin(self, call: Call, model: str) -> None:
        raise AssertionError(call.operation)

    def events(self, delta: Delta) -> bytes:
        raise AssertionError(delta.model)

    def end(self, call: Call) -> bytes:
        raise AssertionError(call.operation)
