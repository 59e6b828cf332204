"""`POST /api/generate`: answer a prompt, continue a text (`raw`), or fill the hole before a `suffix`."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from ghostd.conversation import Image, Message, Part, Text
from ghostd.engine import Engine
from ghostd.errors import ContextTooLong, InvalidRequest, RequestError, UnsupportedParameter
from ghostd.gateway.answering import answer
from ghostd.gateway.calls import decoded, optional_text, read_call
from ghostd.gateway.dialects.ollama.fields import (
    Common,
    checked,
    generation_glance,
    max_tokens,
    reasoning,
    sampling,
    stops,
)
from ghostd.gateway.dialects.ollama.lines import Lines, generate_content
from ghostd.gateway.dialects.ollama.messages import images_of
from ghostd.gateway.dialects.ollama.names import one_deployment, resolved
from ghostd.gateway.dialects.ollama.residence import Residence
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ModelStore
from ghostd.routing.call import Call, Job
from ghostd.types import Capability, ChatRequest, CompletionRequest, Markup, Prompt

_PROMPT_ONLY = re.compile(r"\s*\{\{-?\s*\.Prompt\s*-?\}\}\s*")
"""A template that is the prompt itself: what `raw` says."""


class GenerateBody(Common, kw_only=True):
    """The body of `/api/generate`."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[int] | None = None
    raw: bool | None = None
    images: list[str] | None = None


_DECODER = msgspec.json.Decoder(GenerateBody)


async def generate(engine: Engine, store: ModelStore, exchange: Exchange) -> Response | None:
    """Answer a prompt, or load or unload the model where there is none."""
    request = _Request(engine)
    call = await read_call(engine, exchange, "ollama.generate", "chat", request.jobs, generation_glance, streams=True)
    call.model = resolved(engine, store, call.model)
    residence = Residence(engine, store, exchange, call)
    if not optional_text(call.fields, "prompt") and not optional_text(call.fields, "suffix"):
        checked(engine, call, _DECODER)
        return await residence.settle(generate_content(""))
    request.prepare(call)
    try:
        with residence.kept():
            return await answer(engine, exchange, call, Lines(exchange, generate_content))
    except RequestError as error:
        if error.param == "messages":  # there are none here
            error.param = "prompt" if isinstance(error, ContextTooLong) else "images"
        raise


class _Request:
    """How one request is put to a deployment of another dialect."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._as: Capability = "chat"

    def prepare(self, call: Call) -> None:
        """Choose what the model is asked for."""
        fields = call.fields
        raw = fields.get("raw") == b"true" or _PROMPT_ONLY.fullmatch(optional_text(fields, "template")) is not None
        if raw:
            self._as = "complete"
        elif optional_text(fields, "suffix"):
            self._as = "fill"
        elif not self._converses(call):
            self._as = "complete"  # a model without a template: as with Ollama's, the prompt is continued
        call.capability = self._as

    def _converses(self, call: Call) -> bool:
        """Whether the model can chat, or can do nothing with a text anyway."""
        deployment = one_deployment(self._engine, call.model)
        able = deployment.info.capabilities if deployment is not None else frozenset(("chat",))
        return "chat" in able or not able & {"complete", "fill"}

    def jobs(self, body: bytes) -> Sequence[Job]:
        """The one generation; raises RequestError."""
        fields = decoded(_DECODER, body)
        if fields.context:
            raise UnsupportedParameter(
                "'context' is only known to Ollama's own models; send the conversation to /api/chat.", "context"
            )
        template = fields.template or ""
        plain = fields.raw or _PROMPT_ONLY.fullmatch(template) is not None
        if template and not plain:
            raise UnsupportedParameter("The model has a template of its own, which cannot be replaced.", "template")
        if fields.raw and fields.system:
            raise InvalidRequest("raw mode does not support template, system, or context", "system")
        how, limit, stop = sampling(fields), max_tokens(fields.options), stops(fields.options)
        thoughts = reasoning(fields.think)
        images = images_of(fields.images, "images")
        prompt, suffix = fields.prompt or "", fields.suffix or ""
        if self._as == "chat":
            messages = _messages(fields.system or "", prompt, images)
            return [Job(ChatRequest(fields.model, messages, how, limit, stop, reasoning=thoughts))]
        if images:
            raise UnsupportedParameter("Images are only shown to models that converse.", "images")
        text = f"{fields.system}\n\n{prompt}" if fields.system and not plain else prompt
        told: Prompt = (Markup(prompt),) if plain else (text,)  # raw prompts spell control tokens: that is their use
        hole = suffix if self._as == "fill" else None
        return [Job(CompletionRequest(fields.model, told, hole, how, limit, stop))]


def _messages(system: str, prompt: str, images: tuple[Image, ...]) -> tuple[Message, ...]:
    content: str | tuple[Part, ...] = (Text(prompt), *images) if images else prompt
    return (*((Message("system", system),) if system else ()), Message("user", content))
