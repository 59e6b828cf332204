"""From a request's body to a Call: what ghostd reads of it itself, without decoding the rest."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec
from multidict import istr

from ghostd.conversation import is_text
from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, RequestError
from ghostd.gateway.body import decode
from ghostd.gateway.errors import printable
from ghostd.gateway.exchange import LARGE_BODY_BYTES, Exchange
from ghostd.routing.call import NO_HINTS, Call, Hints, Job
from ghostd.types import Capability, Feature, Operation

T = TypeVar("T")

_REFUSED = ("api_base", "base_url", "api_key", "api_version", "azure_endpoint", "extra_headers")
"""Where requests go, and with whose key, is the configuration's to say, never a request's."""
ABSENT = (None, b"null", b"[]", b"{}", b"false", b'""')
"""Values of a member that say nothing."""
_NAMED_PART = re.compile(rb'"type"\s*:\s*"(image_url|input_image|image|file|input_file|document|input_audio)"')
_PART_FEATURES: Mapping[bytes, Feature] = {
    b"image_url": "vision",
    b"input_image": "vision",
    b"image": "vision",
    b"file": "files",
    b"input_file": "files",
    b"document": "files",
    b"input_audio": "audio",
}
_FILE_TYPE = re.compile(rb'"file_data"\s*:\s*"data:([^;,"]{1,100})[;,]')
_BASE64 = re.compile(rb"base64,[A-Za-z0-9+/=]{64,}")
BYTES_PER_TOKEN = 4
_IMAGE_TOKENS = 800
_HINT_CHARS = 200
_MODEL_CHARS = 500
_LATENCIES = {"low": "low-latency"}
_BUDGETS = {"low": "low-cost", "small": "low-cost"}
_COMPLEXITIES = {"small": "simple", "large": "complex"}
"""Values of `x-latency`, `x-budget` and `x-size-hint` in the words of Zeke's tags."""
_HINT_HEADERS = frozenset(
    istr(name)
    for name in (
        "x-client", "x-project", "x-intent", "x-language", "x-size-hint", "x-latency", "x-budget", "x-session-id"
    )
)  # fmt: skip
_decode_text = msgspec.json.Decoder(str).decode
_decode_int = msgspec.json.Decoder(int).decode


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Tags(msgspec.Struct):
    """Zeke's routing hints (CONTRACTS: `tags`)."""

    intent: str | None = None
    source: str | None = None
    language: str | None = None
    complexity: str | None = None
    project: str | None = None
    priority: str | None = None


_NO_TAGS = _Tags()
_NO_JOBS: Callable[[], Sequence[Job]] = tuple


class _Format(msgspec.Struct):
    type: str = "text"


Glance = Callable[[Call], None]
"""Fills in what the router wants to know (features, prompt_tokens, max_tokens, effort, user, several, with_usage)
from the call's fields. Raises RequestError."""


async def openai_call(
    engine: Engine,
    exchange: Exchange,
    operation: Operation,
    capability: Capability,
    decode_jobs: Callable[[bytes], Sequence[Job]],
    *,
    default_model: str = "",
) -> Call:
    """The call of an OpenAI request; see `read_call`."""
    return await read_call(
        engine, exchange, operation, capability, decode_jobs, openai_glance, default_model=default_model
    )


async def read_call(
    engine: Engine,
    exchange: Exchange,
    operation: Operation,
    capability: Capability,
    decode_jobs: Callable[[bytes], Sequence[Job]],
    glance: Glance,
    *,
    streams: bool = False,
    default_model: str = "",
) -> Call:
    """The call of a JSON request; raises RequestError for what ghostd reads itself, and has that recorded.

    `decode_jobs` turns the body into ghostd's vocabulary, for deployments that speak another dialect. `streams`
    is what `stream` means where it is absent, `default_model` who is asked where `model` is ("": it must not be).
    """
    call = Call(operation, "", capability, _NO_JOBS)
    try:
        await _read(call, exchange, glance, streams, default_model)
    except RequestError as error:
        engine.refused(call, error)
        raise
    call.decode = partial(decode_jobs, call.body)
    exchange.call = call
    return call


async def _read(call: Call, exchange: Exchange, glance: Glance, streams: bool, default_model: str = "") -> None:
    """Fill in the call from the request."""
    call.hints = _hints(exchange, None)
    call.interactive = exchange.interactive
    call.body, call.fields = body, fields = await exchange.read_fields()
    call.model = _model(fields, default_model)
    if not fields.keys().isdisjoint(_REFUSED):
        refuse_upstreams(name for name in _REFUSED if fields.get(name) not in ABSENT)
    call.stream = flag(fields, "stream", absent=streams)
    if (tags := fields.get("tags")) is not None and tags.startswith(b"{"):
        call.hints = _hints(exchange, _struct(tags, _Tags, "tags"))
    call.headers = passed_headers(exchange)
    if len(body) > LARGE_BODY_BYTES:  # would hold up everybody else
        await asyncio.to_thread(glance, call)
    else:
        glance(call)
    call.relayable = not exchange.closed_schema and "tags" not in fields


def openai_glance(call: Call) -> None:
    """What the router wants to know of an OpenAI request: chat, completions, embeddings and their likes."""
    fields = call.fields
    messages = fields.get("messages") or fields.get("prompt") or fields.get("input") or b""
    call.features = _features(fields, messages)
    call.prompt_tokens = estimated_tokens(messages) + len(fields.get("tools", b"")) // BYTES_PER_TOKEN
    call.with_usage = _with_usage(fields)
    call.several = "messages" not in fields and messages.startswith(b"[")
    call.max_tokens = number(fields, "max_completion_tokens") or number(fields, "max_tokens")
    call.effort = optional_text(fields, "reasoning_effort")
    call.user = optional_text(fields, "user")


async def any_openai_call(exchange: Exchange) -> Call:
    """The call that a body would make at the door that takes its kind; it cannot be answered."""
    call = Call("openai.chat", "", "chat", _NO_JOBS)
    await _read(call, exchange, openai_glance, False)
    if "messages" not in call.fields:
        if "input" in call.fields:
            call.operation, call.capability = "openai.embeddings", "embed"
        else:
            call.operation, call.capability = "openai.completions", "complete"
    return call


def head_only(call: Call, exchange: Exchange) -> None:
    """Fill in what the request's head says, for bodies that are no JSON. Raises InvalidRequest."""
    call.hints = _hints(exchange, None)
    call.interactive = exchange.interactive
    call.headers = passed_headers(exchange)


def refuse_upstreams(names: Iterable[str]) -> None:
    """Raise InvalidRequest if any of these members of a body would say where requests go, or with whose key."""
    for name in names:
        if name in _REFUSED:
            raise InvalidRequest(
                f"'{name}' is not taken from requests: upstreams and their keys are configured (docs/providers.md).",
                name,
            )


def _model(fields: Mapping[str, bytes], default: str) -> str:
    raw = fields.get("model")
    if raw is None or raw == b"null" or (raw == b'""' and default):
        if default:
            return default
        raise InvalidRequest("Missing required parameter: 'model'.", "model")
    try:
        name = _decode_text(raw)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"Invalid value for 'model': {error}.", "model") from None
    return model_name(name)


def model_name(name: str) -> str:
    """The name of a model if it is not absurdly long; raises InvalidRequest."""
    if len(name) > _MODEL_CHARS:
        raise InvalidRequest(f"Invalid value for 'model': a name of {len(name)} characters.", "model")
    return name


def optional_text(fields: Mapping[str, bytes], name: str) -> str:
    """A text, "" if there is none. For hints only: what is wrong with the field is the upstream's to say."""
    raw = fields.get(name)
    if raw is None or not raw.startswith(b'"'):
        return ""
    try:
        return _decode_text(raw)[:_HINT_CHARS]
    except msgspec.DecodeError:
        return ""


def number(fields: Mapping[str, bytes], name: str) -> int | None:
    """A whole number, None if there is none; likewise for hints only."""
    raw = fields.get(name)
    if raw is None:
        return None
    try:
        return max(0, _decode_int(raw))
    except msgspec.DecodeError:
        return None


def flag(fields: Mapping[str, bytes], name: str, *, absent: bool = False) -> bool:
    """A boolean; raises InvalidRequest."""
    raw = fields.get(name, b"null")
    if raw not in (b"true", b"false", b"null"):
        _struct(raw, bool, name)
    return absent if raw == b"null" else raw == b"true"


def _with_usage(fields: Mapping[str, bytes]) -> bool:
    raw = fields.get("stream_options")
    if raw is None or raw == b"null":
        return False
    return bool(_struct(raw, _StreamOptions, "stream_options").include_usage)


def _struct(raw: bytes, kind: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.DecodeError as error:
        reason, _, path = str(error).partition(" - at `$")
        field = name + path.rstrip("`")
        raise InvalidRequest(f"Invalid value for '{field}': {reason}.", field) from None


def _features(fields: Mapping[str, bytes], messages: bytes) -> frozenset[Feature]:
    found: set[Feature] = set()
    if fields.get("tools") not in ABSENT or fields.get("functions") not in ABSENT:
        found.add("tools")
    if (raw := fields.get("response_format")) not in ABSENT and raw is not None and _format(raw) != "text":
        found.add("json")
    found.update(part_features(messages))
    return frozenset(found)


def part_features(messages: bytes) -> set[Feature]:
    """What the parts of messages need, told by their `type` as JSON text has it."""
    if b'"type"' not in messages:
        return set()
    names = _NAMED_PART.findall(messages)
    found = {_PART_FEATURES[name] for name in names}
    if "files" in found and b"document" not in names:
        texts = sum(is_text(kind.decode("ascii", "replace")) for kind in _FILE_TYPE.findall(messages))
        if texts >= names.count(b"file") + names.count(b"input_file"):
            found.discard("files")  # every model reads text
    return found


def _format(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Format).type
    except msgspec.DecodeError:
        return "text"  # whoever decodes it says what is wrong


def estimated_tokens(messages: bytes) -> int:
    """About how many tokens a prompt has: four bytes a token, images and files apart."""
    if b"base64," not in messages:
        return len(messages) // BYTES_PER_TOKEN
    attached = [match.end() - match.start() for match in _BASE64.finditer(messages)]
    return (len(messages) - sum(attached)) // BYTES_PER_TOKEN + len(attached) * _IMAGE_TOKENS


def passed_headers(exchange: Exchange) -> Mapping[str, str]:
    """The dialect's headers that go upstream; raises InvalidRequest."""
    headers = exchange.request.headers
    found = {name.lower(): headers[name] for name in exchange.dialect.passed_headers if name in headers}
    for name, value in found.items():
        if not (value.isascii() and value.isprintable()):  # else no upstream could be sent it, and all would be blamed
            raise InvalidRequest(f"The header '{name}' may only hold printable ASCII characters.")
    return found


def _hints(exchange: Exchange, tags: _Tags | None) -> Hints:
    """From headers, and from Zeke's `tags` where they say more."""
    headers = exchange.request.headers
    if tags is None and headers.keys().isdisjoint(_HINT_HEADERS):
        client = exchange.user_agent
        return Hints(client=client) if client else NO_HINTS
    tags = tags or _NO_TAGS

    def said(header: str, tag: str | None = None) -> str:
        return printable(tag or headers.get(header) or "", _HINT_CHARS)

    budget = said("x-budget")
    latency, size = said("x-latency").lower(), said("x-size-hint").lower()
    priority = _LATENCIES.get(latency, latency) or _BUDGETS.get(budget.lower(), "")
    return Hints(
        client=said("x-client", tags.source) or exchange.user_agent,
        project=said("x-project", tags.project),
        intent=said("x-intent", tags.intent),
        language=said("x-language", tags.language),
        complexity=printable(tags.complexity or _COMPLEXITIES.get(size, size), _HINT_CHARS),
        priority=printable(tags.priority or priority, _HINT_CHARS),
        budget_usd=_usd(budget),
        session=said("x-session-id"),
    )


def _usd(text: str) -> float | None:
    try:
        amount = float(text) if text else math.nan
    except ValueError:
        return None
    return amount if math.isfinite(amount) and amount >= 0 else None


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """The body as the decoder's type; its nesting and encoding have been checked."""
    return decode(decoder, body, None)
