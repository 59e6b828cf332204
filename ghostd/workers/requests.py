"""A request as the worker takes it, and what it says back in ghostd's own words."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from ghostd.conversation import Message, Refusal, Text, Thinking
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.types import ChatRequest, CompletionRequest, Markup, Sampling, TokenLogprob
from ghostd.workers.catalog import LocalModel
from ghostd.workers.messages import Generate


def generation(request: ChatRequest | CompletionRequest, model: LocalModel, number: int) -> Generate:
    """The request as the worker takes it; raises RequestError."""
    settings = model.settings
    prompt: list[str | int | list[str]] = []
    messages: list[list[str]] = []
    if isinstance(request, CompletionRequest):
        prompt = [[str(piece)] if isinstance(piece, Markup) else piece for piece in request.prompt]
    else:
        if request.tools.tools:
            raise UnsupportedParameter(f"Tools are not supported by the local model '{request.model}'.", "tools")
        messages = [[message.role, _text(message)] for message in request.messages]
        if not messages:
            raise InvalidRequest("There is no message to answer.", "messages")
    max_tokens = request.max_tokens
    if max_tokens is None and settings is not None:
        max_tokens = settings.max_tokens
    sampling = _sampling(request.sampling, settings.temperature if settings is not None else None)
    return Generate(number, prompt, messages, max_tokens, list(request.stop), sampling)


def _text(message: Message) -> str:
    for part in message.parts:
        if not isinstance(part, Text | Refusal | Thinking):
            kind = type(part).__name__
            raise UnsupportedParameter(f"Content of the kind {kind} is not supported by local models.", "messages")
    return message.text


def _sampling(sampling: Sampling, default_temperature: float | None) -> dict[str, Any]:
    """The fields that are set, for the worker."""
    values = {field.name: getattr(sampling, field.name) for field in fields(sampling)}
    values["logit_bias"] = [[token, bias] for token, bias in sampling.logit_bias.items()]
    if values["temperature"] is None:
        values["temperature"] = default_temperature
    return {name: value for name, value in values.items() if value is not None and value != []}


def logprobs(packed: list[list[Any]]) -> tuple[TokenLogprob, ...]:
    """Those that the worker packed into a Piece."""
    return tuple(
        TokenLogprob(
            token_id,
            token.encode("latin-1"),
            logprob,
            tuple((other.encode("latin-1"), value) for other, value in top),
        )
        for token_id, token, logprob, top in packed
    )
