"""llama.cpp's `POST /infill`: fill the hole in a file, as llama.vim and llama.vscode ask for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.answering import answer
from ghostd.gateway.calls import decoded, estimated_tokens, number, read_call
from ghostd.gateway.dialects.generation import seeded
from ghostd.gateway.dialects.llamacpp.fields import CommonFields, check, local_sampling, passes, sampling, stops
from ghostd.gateway.dialects.llamacpp.models import default_model
from ghostd.gateway.dialects.llamacpp.reply import LlamacppReply
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.routing.call import Call, Job
from ghostd.types import FillRequest, OpenDocument

MAX_EXTRA = 1000
_NAMELESS = "tmp"
"""llama.cpp's own name for a text without one."""


class Extra(msgspec.Struct):
    """A part of another file."""

    text: str
    filename: str | None = None


class InfillFields(CommonFields, kw_only=True):
    """The body, as far as it can be translated."""

    input_prefix: str | None = None
    input_suffix: str | None = None
    input_extra: list[Extra] | None = None
    prompt: str | None = None
    """What of the hole's line is already written; it goes behind the prefix."""


_DECODER = msgspec.json.Decoder(InfillFields)


async def infill(engine: Engine, exchange: Exchange) -> Response | None:
    """Answer a fill, whole or as a stream. One of no tokens, which warms caches, is passed on, or answered at once."""
    reply = LlamacppReply()

    def jobs(body: bytes) -> Sequence[Job]:
        fields = decoded(_DECODER, body)
        made = _jobs(fields)
        reply.take(fields, [(fields.input_prefix or "") + (fields.prompt or "")] * len(made))
        return made

    call = await read_call(
        engine, exchange, "llamacpp.infill", "fill", jobs, _glance, default_model=default_model(exchange)
    )
    call.relayable = call.relayable and passes(call)
    return await answer(engine, exchange, call, reply)


def _glance(call: Call) -> None:
    """The extra texts do not count: of them only what fits is quoted."""
    around = (call.fields.get(name, b"") for name in ("input_prefix", "prompt", "input_suffix"))
    call.prompt_tokens = estimated_tokens(b"".join(around))
    call.several = True  # a text longer than the context is cut to what stands around the hole
    call.max_tokens = number(call.fields, "n_predict")


def _jobs(fields: InfillFields) -> list[Job]:
    check(fields)
    if (param := local_sampling(fields).param) is not None:
        raise UnsupportedParameter(f"'{param}' of this kind is for completions, not for fills.", param)
    for name in ("input_prefix", "input_suffix"):
        if getattr(fields, name) is None:
            raise InvalidRequest(f"Missing required parameter: '{name}'.", name)
    extra = fields.input_extra or []
    if len(extra) > MAX_EXTRA:
        raise InvalidRequest(
            f"Invalid value for 'input_extra': {len(extra)} texts; at most {MAX_EXTRA} are allowed.", "input_extra"
        )
    # The newest one stands last.
    documents = tuple(OpenDocument(_path(one, place), one.text) for place, one in enumerate(extra))[::-1]
    how, stop = sampling(fields), stops(fields)
    return [
        Job(
            FillRequest(
                model=fields.model or "",
                prefix=(fields.input_prefix or "") + (fields.prompt or ""),
                suffix=fields.input_suffix or "",
                sampling=seeded(how, choice),
                max_tokens=fields.limit,
                stop=stop,
                open_documents=documents,
                quote_documents=True,
                ending=fields.ending,
            ),
            counts_prompt=choice == 0,
        )
        for choice in range(fields.choices)
    ]


def _path(extra: Extra, place: int) -> Path:
    name = extra.filename or _NAMELESS
    if "\0" in name:
        raise InvalidRequest(
            f"Invalid value for 'input_extra[{place}].filename': a path has no NUL character.",
            f"input_extra[{place}].filename",
        )
    return Path(name)
