"""Mistral's `POST /v1/fim/completions`: fill the hole between a prompt and a suffix.

By https://docs.mistral.ai/api (Fill-in-the-middle) and the official SDKs' own models.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.answering import Reply, answer
from ghostd.gateway.calls import decoded, estimated_tokens, number, read_call
from ghostd.gateway.dialect import sse_data
from ghostd.gateway.dialects.generation import new_id, pieces, usage_fields
from ghostd.gateway.dialects.llamacpp.models import default_model
from ghostd.gateway.dialects.mistral_errors import MISTRAL
from ghostd.gateway.dialects.openai.fields import check_ranges
from ghostd.gateway.dialects.openai.replies import ChatChunk, ChatReply
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.routing.call import Call, Job
from ghostd.types import Delta, FillRequest, Sampling, Usage

MAX_STOPS = 64
RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "max_tokens": (0, 2**31 - 1),
    "min_tokens": (0, 2**31 - 1),
    "random_seed": (0, 2**63 - 1),
}
_ENCODER = msgspec.json.Encoder()


class FimBody(msgspec.Struct, kw_only=True):
    """The body, as far as it can be translated; other fields are ignored."""

    model: str = ""
    prompt: str
    suffix: str | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: str | list[str] | None = None
    random_seed: int | None = None
    metadata: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(FimBody)


def routes(engine: Engine) -> Sequence[Route]:
    """The one route."""
    doc = Doc(
        "Fill the hole between a prompt and a suffix",
        "Mistral",
        body=FimBody,
        reply=ChatReply,
        streams="text/event-stream",
        event=ChatChunk,
        ranges=RANGES,
    )
    return (Route("POST", "/v1/fim/completions", partial(fim_completions, engine), dialect=MISTRAL, doc=doc),)


async def fim_completions(engine: Engine, exchange: Exchange) -> Response | None:
    """Answer a fill, whole or as a stream."""
    call = await read_call(
        engine, exchange, "mistral.fim", "fill", _jobs, _glance, default_model=default_model(exchange)
    )
    return await answer(engine, exchange, call, _Encoder())


def _glance(call: Call) -> None:
    call.prompt_tokens = estimated_tokens(call.fields.get("prompt", b"") + call.fields.get("suffix", b""))
    call.several = True  # a text longer than the context is cut to what stands around the hole
    call.max_tokens = number(call.fields, "max_tokens")


def _jobs(body: bytes) -> list[Job]:
    fields = decoded(_DECODER, body)
    check_ranges(fields, RANGES)
    if fields.min_tokens:
        raise UnsupportedParameter("'min_tokens' is only known to Mistral's own models.", "min_tokens")
    stop = [fields.stop] if isinstance(fields.stop, str) else fields.stop or []
    if len(stop) > MAX_STOPS:
        raise InvalidRequest(f"Invalid value for 'stop': {len(stop)} strings; at most {MAX_STOPS} are allowed.", "stop")
    return [
        Job(
            FillRequest(
                model=fields.model,
                prefix=fields.prompt,
                suffix=fields.suffix or "",
                sampling=Sampling(temperature=fields.temperature, top_p=fields.top_p, seed=fields.random_seed),
                max_tokens=fields.max_tokens,
                stop=tuple(filter(None, stop)),
            )
        )
    ]


class _Encoder:
    """Deltas as Mistral's replies; a stream's last chunk has the usage, without having been asked for it."""

    def __init__(self) -> None:
        self._common: dict[str, object] = {}
        self._begun = False

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body of a reply that is not streamed."""
        message = {"role": "assistant", "content": "".join(replies[0].text), "tool_calls": None}
        choice = {"index": 0, "message": message, "finish_reason": replies[0].finish_reason}
        return _ENCODER.encode(
            {**_common("chat.completion", model), "choices": [choice], "usage": _usage(call.trace.usage)}
        )

    def begin(self, call: Call, model: str) -> None:
        """A stream begins."""
        self._common = _common("chat.completion.chunk", model)

    def events(self, delta: Delta) -> bytes:
        """The chunks of a delta; the role comes with the first one."""
        data = b"".join(self._chunk(text, None, None) for text, _ in pieces(delta))
        if delta.finish_reason is not None:
            data += self._chunk("", delta.finish_reason, delta.usage)
        return data

    def end(self, call: Call) -> bytes:
        """The end marker."""
        return b"data: [DONE]\n\n"

    def _chunk(self, text: str, reason: str | None, usage: Usage | None) -> bytes:
        said: dict[str, object] = {"content": text} if self._begun else {"role": "assistant", "content": text}
        self._begun = True
        choice = {"index": 0, "delta": said, "finish_reason": reason}
        counted = {"usage": _usage(usage)} if reason is not None else {}
        return sse_data(_ENCODER.encode({**self._common, "choices": [choice], **counted}))


def _common(kind: str, model: str) -> dict[str, object]:
    return {"id": new_id("cmpl"), "object": kind, "created": int(time.time()), "model": model}


def _usage(usage: Usage | None) -> dict[str, object]:
    return usage_fields(usage or Usage(0, 0))
