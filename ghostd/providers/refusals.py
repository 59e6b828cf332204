"""What a status of 400 or more means, and when to ask again.

The error object is read leniently, since services that call themselves OpenAI-compatible differ in it. Status, `code`
and `type` decide; the words of a message never do.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import msgspec

from ghostd.errors import (
    KeyRefused,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamFailed,
    UpstreamMalformed,
    UpstreamModelMissing,
    UpstreamRejected,
)

MAX_RETRY_AFTER_S = 24 * 3600.0
"""A longer pause is taken for this one: quotas of a day are the longest in use."""

MAX_MESSAGE_CHARS = 1000
"""Of an upstream's own words in a message to the caller whose request it refuses."""
_SHORT_CHARS = 300
"""Of its words in messages that also go to the log."""

_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "billing_error"})
_MODEL_CODES = frozenset({"model_not_found", "model_not_available", "invalid_model"})
_CONTEXT_CODES = frozenset({"context_length_exceeded", "string_above_max_length", "context_window_exceeded"})
_FILTER_CODES = frozenset({"content_filter", "content_policy_violation", "moderation_blocked"})


@dataclass(frozen=True, slots=True)
class ErrorObject:
    """An error as the upstream tells it; empty where it does not."""

    message: str = ""
    code: str | None = None
    kind: str | None = None
    """OpenAI's `type`."""
    param: str | None = None
    flagged: bool = False
    """The upstream's moderation objects to the text (OpenRouter says so by a 403 with metadata)."""
    found: bool = False
    """Whether the body holds an error object at all."""


def openai_refusal(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    operation: str | None = None,
    model_operation: bool = True,
) -> UpstreamError:
    """The error that an OpenAI-style refusal stands for.

    `operation` is the dialect's own, for UpstreamRejected. With `model_operation` the path that was asked exists for
    every model that does, so that a 404 speaks of the model.
    """
    told = read_error(body)
    return refused(status, headers, body, told, operation=operation, model_operation=model_operation)


def refused(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    told: ErrorObject,
    *,
    operation: str | None = None,
    model_operation: bool = True,
) -> UpstreamError:
    """The error for a status and what was told with it; for dialects that read their error object themselves."""
    said = (
        f"{_cut(told.message, _SHORT_CHARS)} (status {status})" if told.message else f"it answered with status {status}"
    )
    names = {told.code, told.kind}
    error: UpstreamError
    if status < 400 or status > 599:
        error = UpstreamMalformed(f"it answered with status {status}")
    elif status == 402 or names & _QUOTA_CODES:
        error = QuotaExhausted(f"its quota or credit is used up: {said}")
    elif told.flagged and status < 500:
        error = _rejected(status, body, told, operation, "content_filter")
    elif status in {401, 403}:
        error = KeyRefused(f"it refuses the API key: {said}")
    elif status == 429:
        error = RateLimited(f"it asks for a pause: {said}", retry_after_s=retry_after_s(headers))
    elif status in {408, 425} or status >= 500:
        error = UpstreamFailed(said, status, retry_after_s=retry_after_s(headers))
    elif names & _MODEL_CODES or (status == 404 and model_operation):
        hint = "" if told.found else "; if it has the model, its base_url may lack a part of the path"
        error = UpstreamModelMissing(f"it does not have the model: {said}{hint}")
    else:
        error = _rejected(status, body, told, operation, _reason(names))
    return error


def _rejected(
    status: int,
    body: bytes,
    told: ErrorObject,
    operation: str | None,
    reason: Literal["context", "content_filter"] | None,
) -> UpstreamRejected:
    return UpstreamRejected(
        told.message or f"the upstream refuses the request with status {status}",
        status,
        code=told.code,
        kind=told.kind,
        param=told.param,
        reason=reason,
        body=body if told.found else None,
        operation=operation,
    )


def _reason(names: set[str | None]) -> Literal["context", "content_filter"] | None:
    if names & _CONTEXT_CODES:
        return "context"
    return "content_filter" if names & _FILTER_CODES else None


def read_error(body: bytes) -> ErrorObject:
    """The error object in a JSON body: {"error": …} with an object or a text, the object by itself, FastAPI's
    {"detail": …}, or a list that holds one (Gemini's OpenAI-compatible door)."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ErrorObject()
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return ErrorObject()
    inner = value.get("error", value.get("detail", value))
    if isinstance(inner, str):
        return ErrorObject(_words(inner), _name(value.get("code")), _name(value.get("type")), found=True)
    if not isinstance(inner, dict):
        inner = value
    return _error_object(inner)


def error_object(value: object) -> ErrorObject:
    """The error object that has been decoded already: what stands under "error" in a reply or in a stream's event."""
    if isinstance(value, str):
        return ErrorObject(_words(value), found=True)
    return _error_object(value) if isinstance(value, dict) else ErrorObject()


def _error_object(inner: dict[str, Any]) -> ErrorObject:
    message = inner.get("message")
    if isinstance(message, dict):
        message = message.get("message") or message.get("detail")
    if not isinstance(message, str):
        message = msgspec.json.encode(message).decode() if message else ""
    metadata = inner.get("metadata")
    code, kind = _name(inner.get("code")), _name(inner.get("type"))
    return ErrorObject(
        _words(message),
        code,
        kind,
        _name(inner.get("param")),
        flagged=isinstance(metadata, dict) and "flagged_input" in metadata,
        found=bool(message or code or kind),
    )


def _name(value: object) -> str | None:
    """A code: some services give a number."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value)[:100] or None


def _words(message: str) -> str:
    return _cut(" ".join(message.split()), MAX_MESSAGE_CHARS)


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[:chars]}…"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """How long the upstream asks to be left alone: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110
    10.2.3). None where it says nothing that makes sense; at most MAX_RETRY_AFTER_S; 0 for a date in the past."""
    if (milliseconds := _number(headers.get("retry-after-ms", ""))) is not None:
        return min(milliseconds / 1000, MAX_RETRY_AFTER_S)
    value = headers.get("retry-after", "")
    if (seconds := _number(value)) is not None:
        return min(seconds, MAX_RETRY_AFTER_S)
    try:
        when = parsedate_to_datetime(value)
        if when.tzinfo is None:  # "-0000": UTC without saying so
            when = when.replace(tzinfo=UTC)
        left = when.timestamp() - time.time()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(left, 0.0), MAX_RETRY_AFTER_S)


def _number(text: str) -> float | None:
    """A number from 0 on; infinity counts as absurdly long."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number >= 0 and not math.isnan(number) else None
