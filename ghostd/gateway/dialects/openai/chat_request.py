"""An OpenAI chat body → ChatRequest, for deployments that speak another dialect.

Fields by the OpenAI API reference ("Create chat completion"), and de-facto extensions of local servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ghostd.conversation import Reasoning, ReasoningEffort
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.openai.chat_messages import MessageBody, messages_of
from ghostd.gateway.dialects.openai.chat_tools import ToolFields, tools_of
from ghostd.gateway.dialects.openai.fields import (
    RANGES,
    check_length,
    check_one_of,
    check_ranges,
    check_stream_options,
    sampling,
    stops,
    thinks,
)
from ghostd.types import VERBOSITIES, ChatRequest, DraftSources

_EFFORTS: tuple[ReasoningEffort, ...] = ("none", "minimal", "low", "medium", "high", "xhigh")
_OWN_RANGES: Mapping[str, tuple[float, float]] = {"max_completion_tokens": (1, 2**31 - 1), "top_logprobs": (0, 20)}
CHAT_RANGES = {**RANGES, **_OWN_RANGES}
CHAT_WORDS: Mapping[str, tuple[str, ...]] = {
    "reasoning_effort": _EFFORTS,
    "verbosity": VERBOSITIES,
    "service_tier": ("auto", "default", "flex", "scale", "priority"),
    "prompt_cache_retention": ("in-memory", "in_memory", "24h"),
}
_LENGTHS: Mapping[str, int] = {"safety_identifier": 64, "prompt_cache_key": 64}
_MAX_METADATA, _MAX_METADATA_KEY, _MAX_METADATA_VALUE = 16, 64, 512


class _PredictedPart(msgspec.Struct):
    type: str
    text: str


class _Prediction(msgspec.Struct):
    type: str
    content: str | list[_PredictedPart]


class ChatBody(ToolFields, kw_only=True):
    """The body, as far as it can be translated; other fields are ignored."""

    messages: list[MessageBody]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    reasoning_effort: str | None = None
    modalities: list[str] | None = None
    audio: Any = None
    web_search_options: Any = None
    chat_template_kwargs: dict[str, Any] | None = None
    """Extension of vLLM and llama.cpp; see `thinks`."""
    verbosity: str | None = None
    # Hints, and what is the service's own business; a model behind another dialect loses nothing without them.
    prediction: _Prediction | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None


def chat_request(body: ChatBody) -> ChatRequest:
    """The request; raises InvalidRequest or UnsupportedParameter with the path of the field."""
    check_ranges(body, CHAT_RANGES)
    check_one_of(body, CHAT_WORDS)
    check_length(body, _LENGTHS)
    check_stream_options(body)
    _check_output(body)
    if body.metadata:
        _check_metadata(body.metadata)
    if body.prediction is not None and body.prediction.type != "content":
        raise InvalidRequest("Invalid value for 'prediction.type': supported: content.", "prediction.type")
    logprobs = None
    if body.logprobs:
        logprobs = body.top_logprobs or 0
    elif body.top_logprobs is not None:
        raise InvalidRequest("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    wanted = body.response_format.json_schema if body.response_format else None
    return ChatRequest(
        model=body.model,
        messages=messages_of(body.messages),
        sampling=sampling(body, logprobs),
        max_tokens=body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens,
        stop=stops(body),
        tools=tools_of(body),
        reasoning=_reasoning(body),
        user=body.user,
        schema_name=(wanted.name if wanted else None) or "reply",
        schema_strict=wanted.strict if wanted else None,
        drafts=_drafts(body.prediction),
        verbosity=next((word for word in VERBOSITIES if word == body.verbosity), None),
    )


def _drafts(prediction: _Prediction | None) -> DraftSources | None:
    """What the client predicts is drafted from, for models that check drafts."""
    if prediction is None:
        return None
    content = prediction.content
    text = content if isinstance(content, str) else "".join(part.text for part in content)
    return DraftSources(text, (text,)) if text else None


def _check_output(body: ChatBody) -> None:
    """Only text can be replied."""
    for kind in body.modalities or ():
        if kind not in ("text", "audio"):
            raise InvalidRequest(
                f"Invalid value for 'modalities': {kind[:50]!r}; supported: text, audio.", "modalities"
            )
    if body.modalities == []:
        raise InvalidRequest("Invalid value for 'modalities': an empty list.", "modalities")
    if body.modalities and "audio" in body.modalities:
        raise UnsupportedParameter("This model replies with text only.", "modalities")
    if body.audio:
        raise UnsupportedParameter("This model replies with text only.", "audio")
    if body.web_search_options is not None:
        raise UnsupportedParameter("This model cannot search the web by itself.", "web_search_options")


def _check_metadata(metadata: Mapping[str, str]) -> None:
    """The limits of the reference, although nothing is kept."""
    if len(metadata) > _MAX_METADATA:
        raise InvalidRequest(
            f"Invalid value for 'metadata': {len(metadata)} keys; at most {_MAX_METADATA} are allowed.", "metadata"
        )
    for key, value in metadata.items():
        if len(key) > _MAX_METADATA_KEY:
            raise InvalidRequest(
                f"Invalid value for 'metadata': a key of {len(key)} characters; at most {_MAX_METADATA_KEY}.",
                "metadata",
            )
        if len(value) > _MAX_METADATA_VALUE:
            raise InvalidRequest(
                f"Invalid value for 'metadata.{key}': {len(value)} characters; at most {_MAX_METADATA_VALUE}.",
                f"metadata.{key}",
            )


def _reasoning(body: ChatBody) -> Reasoning:
    effort = next((effort for effort in _EFFORTS if effort == body.reasoning_effort), None)
    if thinks(body.chat_template_kwargs or {}) is False and effort is None:
        return Reasoning("none")
    return Reasoning(effort)
