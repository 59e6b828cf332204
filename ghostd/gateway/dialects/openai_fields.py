"""The fields that chat and completions share, their ranges, and what they mean to a model.

Types and ranges are those of the OpenAI API reference; the extensions are what local servers agree on. `null`
means that a field is absent, and fields that are not listed are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.types import Sampling

MAX_CHOICES = 128
_ABSENT = (b"", b"null")
_RANGES: Mapping[str, tuple[float, float]] = {
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


class StreamOptions(msgspec.Struct):
    """`stream_options`."""

    include_usage: bool | None = None


class JsonSchema(msgspec.Struct):
    """`response_format.json_schema`."""

    schema: msgspec.Raw = msgspec.Raw(b"")
    name: str | None = None
    strict: bool | None = None


class ResponseFormat(msgspec.Struct):
    """`response_format`."""

    type: str
    json_schema: JsonSchema | None = None
    schema: msgspec.Raw = msgspec.Raw(b"")
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
    json_schema: msgspec.Raw = msgspec.Raw(b"")


def check_ranges(fields: msgspec.Struct, ranges: Mapping[str, tuple[float, float]] = _RANGES) -> None:
    """Raise InvalidRequest for a number out of its range."""
    for name, (low, high) in ranges.items():
        value = getattr(fields, name)
        if value is not None and not low <= value <= high:
            raise InvalidRequest(f"Invalid value for '{name}': {value:g} is not between {low} and {high}.", name)


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
        biases[int(token)] = bias
    return biases


def _schema(fields: GenerationFields) -> str | None:
    """The JSON schema that the reply must follow, as JSON text, from any of the three places that can hold one."""
    wanted = fields.response_format
    own = bytes(fields.json_schema)
    if wanted is None or wanted.type == "text":
        return None if own in _ABSENT else _object(own, "json_schema")
    if own not in _ABSENT:
        raise InvalidRequest("'json_schema' and 'response_format' cannot be combined.", "json_schema")
    if wanted.type == "json_object":
        schema = bytes(wanted.schema)
        return '{"type":"object"}' if schema in _ABSENT else _object(schema, "response_format.schema")
    if wanted.type == "json_schema":
        schema = bytes(wanted.json_schema.schema) if wanted.json_schema else b""
        if schema in _ABSENT:
            raise InvalidRequest(
                "Missing required parameter: 'response_format.json_schema.schema'.",
                "response_format.json_schema.schema",
            )
        return _object(schema, "response_format.json_schema.schema")
    raise UnsupportedParameter(
        f"Invalid value for 'response_format.type': {wanted.type[:50]!r}; supported: text, json_object, json_schema.",
        "response_format.type",
    )


def _object(schema: bytes, param: str) -> str:
    if not schema.startswith(b"{"):
        raise InvalidRequest(f"Invalid value for '{param}': a JSON schema is an object.", param)
    return schema.decode("utf-8")
