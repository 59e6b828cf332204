"""The fields that chat and completions share, their ranges, and what they mean to a model.

Types and ranges are those of the OpenAI API reference; the extensions are what local servers agree on. `null`
means that a field is absent, and fields that are not listed are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.token_input import MAX_TOKEN_ID
from ghostd.gateway.errors import figure
from ghostd.types import Sampling

MAX_CHOICES = 128
_ABSENT = (b"", b"null")
RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "top_k": (-1, 1_000_000),
    "min_p": (0, 1),
    "repeat_penalty": (0.01, 10),
    "repetition_penalty": (0.01, 10),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "seed": (-(2**63), 2**63 - 1),
    "n": (1, MAX_CHOICES),
    "max_tokens": (1, 2**31 - 1),
}
_SCHEMA_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_THINKING = ("enable_thinking", "thinking")
"""Names under which chat templates know whether to think."""


class StreamOptions(msgspec.Struct):
    """`stream_options`."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None
    """Accepted: a reply by way of ghostd is not padded, for it does not leave the machine."""


class JsonSchema(msgspec.Struct):
    """`response_format.json_schema`."""

    schema: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    name: str | None = None
    description: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    """`response_format`."""

    type: str
    json_schema: JsonSchema | None = None
    schema: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    """Extension of llama.cpp: a schema beside "json_object"."""


class GenerationFields(msgspec.Struct, kw_only=True):
    """What chat and completions have in common."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: int | None = None
    max_tokens: int | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    response_format: ResponseFormat | None = None
    top_k: int | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    repetition_penalty: float | None = None
    grammar: str | None = None
    json_schema: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    user: str | None = None


def check_ranges(fields: msgspec.Struct, ranges: Mapping[str, tuple[float, float]] = RANGES) -> None:
    """Raise InvalidRequest for a number out of its range."""
    for name, (low, high) in ranges.items():
        value = getattr(fields, name)
        if value is not None and not low <= value <= high:
            raise InvalidRequest(f"Invalid value for '{name}': {figure(value)} is not between {low} and {high}.", name)


def check_one_of(fields: msgspec.Struct, known: Mapping[str, Sequence[str]]) -> None:
    """Raise InvalidRequest for a word that is none of the field's."""
    for name, words in known.items():
        value = getattr(fields, name)
        if value is not None and value not in words:
            raise InvalidRequest(f"Invalid value for '{name}': {value[:50]!r}; supported: {', '.join(words)}.", name)


def check_length(fields: msgspec.Struct, limits: Mapping[str, int]) -> None:
    """Raise InvalidRequest for a text of more characters than the field may have."""
    for name, limit in limits.items():
        value = getattr(fields, name)
        if value is not None and len(value) > limit:
            raise InvalidRequest(
                f"Invalid value for '{name}': {len(value)} characters; at most {limit} are allowed.", name
            )


def check_stream_options(fields: GenerationFields) -> None:
    """Raise InvalidRequest where there is no stream to which they could apply."""
    if fields.stream_options is not None and not fields.stream:
        raise InvalidRequest("'stream_options' needs 'stream' to be true.", "stream_options")


def thinks(template_kwargs: Mapping[str, Any]) -> bool | None:
    """What `chat_template_kwargs` say of thinking; raises UnsupportedParameter for what no other dialect can say."""
    found: bool | None = None
    for name, value in template_kwargs.items():
        path = f"chat_template_kwargs.{name}"
        if name not in _THINKING:
            raise UnsupportedParameter(
                f"'{path}' cannot be told to this model; only {' and '.join(_THINKING)} can.", path
            )
        if not isinstance(value, bool):
            raise InvalidRequest(f"Invalid value for '{path}': it must be true or false.", path)
        found = value
    return found


def stops(fields: GenerationFields) -> tuple[str, ...]:
    """The stop strings; empty ones say nothing and are left out."""
    given = [fields.stop] if isinstance(fields.stop, str) else fields.stop or []
    if len(given) > 4:
        raise InvalidRequest(f"Invalid value for 'stop': {len(given)} strings; at most 4 are allowed.", "stop")
    return tuple(filter(None, given))


def sampling(fields: GenerationFields, logprobs: int | None) -> Sampling:
    """How to sample; raises InvalidRequest or UnsupportedParameter."""
    grammar = fields.grammar or None
    schema = _schema(fields)
    if grammar and schema:
        raise InvalidRequest("'grammar' and a JSON schema or format cannot be combined.", "grammar")
    penalty = fields.repeat_penalty if fields.repeat_penalty is not None else fields.repetition_penalty
    return Sampling(
        temperature=fields.temperature,
        top_p=fields.top_p,
        top_k=None if fields.top_k is None else max(fields.top_k, 0),
        min_p=fields.min_p,
        repeat_penalty=penalty,
        presence_penalty=fields.presence_penalty,
        frequency_penalty=fields.frequency_penalty,
        seed=fields.seed,
        logit_bias=_bias(fields.logit_bias) if fields.logit_bias else {},
        logprobs=logprobs,
        grammar=grammar,
        json_schema=schema,
    )


def _bias(given: Mapping[str, float]) -> dict[int, float]:
    biases: dict[int, float] = {}
    for token, bias in given.items():
        if not (token.isascii() and token.isdecimal() and len(token) <= 10):
            raise InvalidRequest(f"Invalid key in 'logit_bias': {token[:50]!r} is not a token id.", "logit_bias")
        if not -100 <= bias <= 100:
            raise InvalidRequest(
                f"Invalid value for 'logit_bias': {bias:g} (token {token}) is not between -100 and 100.", "logit_bias"
            )
        if int(token) > MAX_TOKEN_ID:
            raise InvalidRequest(f"Invalid key in 'logit_bias': token ids end at {MAX_TOKEN_ID}.", "logit_bias")
        biases[int(token)] = bias
    return biases


def _schema(fields: GenerationFields) -> str | None:
    """The JSON schema that the reply must follow, as JSON text, from any of the three places that can hold one."""
    wanted = fields.response_format
    own = bytes(fields.json_schema)
    if wanted is None or wanted.type == "text":
        return None if own in _ABSENT else json_object(own, "json_schema")
    if own not in _ABSENT:
        raise InvalidRequest("'json_schema' and 'response_format' cannot be combined.", "json_schema")
    if wanted.type == "json_object":
        schema = bytes(wanted.schema)
        return '{"type":"object"}' if schema in _ABSENT else json_object(schema, "response_format.schema")
    if wanted.type == "json_schema":
        schema = bytes(wanted.json_schema.schema) if wanted.json_schema else b""
        if schema in _ABSENT:
            raise InvalidRequest(
                "Missing required parameter: 'response_format.json_schema.schema'.",
                "response_format.json_schema.schema",
            )
        text = json_object(schema, "response_format.json_schema.schema")
        assert wanted.json_schema is not None
        _check_schema_name(wanted.json_schema.name)
        return text
    raise UnsupportedParameter(
        f"Invalid value for 'response_format.type': {wanted.type[:50]!r}; supported: text, json_object, json_schema.",
        "response_format.type",
    )


def _check_schema_name(name: str | None) -> None:
    path = "response_format.json_schema.name"
    if name is None:
        raise InvalidRequest(f"Missing required parameter: '{path}'.", path)
    if not _SCHEMA_NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid value for '{path}': {name[:64]!r}; 1 to 64 of the characters a-z, A-Z, 0-9, _ and - are allowed.",
            path,
        )


def json_object(schema: bytes, param: str) -> str:
    """A schema's JSON text; raises InvalidRequest where it is no object, or holds what JSON text alone can hide."""
    if not schema.startswith(b"{"):
        raise InvalidRequest(f"Invalid value for '{param}': a JSON schema is an object.", param)
    try:
        msgspec.json.decode(schema)  # numbers out of range, lone surrogates
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest(f"Invalid value for '{param}': {error}.", param) from None
    return schema.decode("utf-8")
