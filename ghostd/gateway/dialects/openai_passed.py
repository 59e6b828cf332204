"""Calls of OpenAI's API that are passed on to a service that has them, as they came: nothing else can answer them."""

from __future__ import annotations

from collections.abc import Sequence

from ghostd.engine import Engine
from ghostd.errors import UnsupportedParameter
from ghostd.gateway.answering import Reply, answer
from ghostd.gateway.calls import openai_call
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.routing.call import Call, Job
from ghostd.types import Delta, Operation

PATHS: dict[str, Operation] = {
    "/v1/responses": "openai.responses",
    "/v1/moderations": "openai.moderations",
    "/v1/images/generations": "openai.images.generations",
    "/v1/audio/speech": "openai.audio.speech",
}


async def pass_on(operation: Operation, engine: Engine, exchange: Exchange) -> Response | None:
    """Pass the request on; a 400 says which of the model's deployments do not offer the call."""
    call = await openai_call(engine, exchange, operation, "chat", _no_jobs)
    call.passed_only = call.relayable = True
    return await answer(engine, exchange, call, _NoEncoder())


def _no_jobs(body: bytes) -> Sequence[Job]:
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
