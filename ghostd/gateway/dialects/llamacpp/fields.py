"""The fields of llama.cpp's completions and fills, and what they mean to a model.

Names, aliases and limits are those of llama.cpp's server (`tools/server/server-schema.cpp`). `null` means that a
field is absent, and fields that are not listed are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.calls import ABSENT, number
from ghostd.gateway.dialects.openai.fields import check_ranges, json_object
from ghostd.gateway.dialects.token_input import MAX_TOKEN_ID
from ghostd.routing.call import Call
from ghostd.types import Ending, LocalSampling, Sampling

MAX_STOPS = 64
MAX_BIASES = 10_000
_ID_DIGITS = 10
MAX_CHOICES = 128
_ABSENT = (b"", b"null")
_MOST = 2**31 - 1
_RANDOM_SEEDS = (-1, 2**32 - 1)
_BANNED = -1000.0
"""What a bias of `false` amounts to; JSON has no infinity."""
RANGES: Mapping[str, tuple[float, float]] = {
    "n_predict": (-1, _MOST),
    "n_indent": (0, _MOST),
    "n_keep": (-1, _MOST),
    "n_cmpl": (1, MAX_CHOICES),
    "t_max_prompt_ms": (-1, 2**53),
    "t_max_predict_ms": (-1, 2**53),
    "id_slot": (-1, _MOST),
    "top_k": (-1, _MOST),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "temperature": (-1, 1e6),
    "repeat_last_n": (-1, _MOST),
    "repeat_penalty": (0.01, 10),
    "frequency_penalty": (-1e6, 1e6),
    "presence_penalty": (-1e6, 1e6),
    "seed": (-(2**63), 2**63 - 1),
    "n_probs": (0, 100),
    "min_keep": (0, _MOST),
    "xtc_probability": (0, 1),
    "mirostat": (0, 2),
}
_CHARS = {
    "e": "penalties",
    "d": "dry",
    "k": "top_k",
    "y": "typ_p",
    "p": "top_p",
    "s": "top_n_sigma",
    "m": "min_p",
    "t": "temperature",
    "x": "xtc",
    "i": "infill",
    "a": "adaptive_p",
}
"""llama.cpp's short names of samplers."""
_OTHER_SAMPLERS: Mapping[str, tuple[str, Callable[[float], bool]]] = {
    "typical_p": ("typ_p", lambda value: value < 1),
    "top_n_sigma": ("top_n_sigma", lambda value: value > 0),
    "xtc_probability": ("xtc", lambda value: value > 0),
    "dynatemp_range": ("temperature", lambda value: value > 0),
    "dry_multiplier": ("dry", lambda value: value != 0),
    "mirostat": ("", lambda value: value != 0),
    "adaptive_target": ("adaptive_p", lambda value: value >= 0),
    "min_keep": ("", lambda value: value > 0),
}
"""Parameters of samplers that only llama.cpp's server itself has: the sampler, and which values switch it on."""


class CommonFields(msgspec.Struct, kw_only=True):
    """What completions and fills have in common."""

    model: str | None = None
    stream: bool | None = None
    n_predict: int | None = None
    max_tokens: int | None = None
    """Another name of n_predict, as the next one."""
    max_completion_tokens: int | None = None
    n_indent: int | None = None
    n_keep: int | None = None
    n_discard: int | None = None
    n_cmpl: int | None = None
    n: int | None = None
    """Another name of n_cmpl."""
    t_max_prompt_ms: int | None = None
    """Accepted; llama.cpp does not support it yet either."""
    t_max_predict_ms: int | None = None
    cache_prompt: bool | None = None
    id_slot: int | None = None
    return_tokens: bool | None = None
    timings_per_token: bool | None = None
    response_fields: list[str] | None = None
    stop: str | list[str] | None = None
    samplers: str | list[str] | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    top_n_sigma: float | None = None
    xtc_probability: float | None = None
    xtc_threshold: float | None = None
    dynatemp_range: float | None = None
    dynatemp_exponent: float | None = None
    repeat_last_n: int | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    dry_multiplier: float | None = None
    mirostat: int | None = None
    adaptive_target: float | None = None
    seed: int | None = None
    n_probs: int | None = None
    logprobs: int | None = None
    """Another name of n_probs."""
    min_keep: int | None = None
    post_sampling_probs: bool | None = None
    ignore_eos: bool | None = None
    logit_bias: list[tuple[int | str, float | bool]] | dict[str, float | bool] | None = None
    grammar: str | None = None
    json_schema: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)

    @property
    def limit(self) -> int | None:
        """Tokens at most; None: as many as the model likes."""
        given = [value for value in (self.n_predict, self.max_tokens, self.max_completion_tokens) if value is not None]
        return None if not given or given[0] < 0 else given[0]

    @property
    def choices(self) -> int:
        """How often each prompt is continued."""
        return self.n_cmpl or self.n or 1

    @property
    def probabilities(self) -> int:
        """Alternatives to report for each token; 0: no probabilities at all."""
        return self.n_probs if self.n_probs is not None else self.logprobs or 0

    @property
    def ending(self) -> Ending:
        """Where the text ends, besides."""
        time_ms = self.t_max_predict_ms or 0
        return Ending(time_ms if time_ms > 0 else None, self.n_indent or 0)

    @property
    def chain(self) -> frozenset[str] | None:
        """The samplers that take part; None: all."""
        if isinstance(self.samplers, str):
            return frozenset(_CHARS[char] for char in self.samplers if char in _CHARS)
        return None if self.samplers is None else frozenset(self.samplers)


def passes(call: Call) -> bool:
    """Whether llama.cpp's server may answer the call as it came: of a stream it must be clear where it ends."""
    if not call.stream:
        return True
    several = any((number(call.fields, name) or 1) > 1 for name in ("n", "n_cmpl"))
    prompts = call.fields.get("prompt", b"").startswith(b"[")
    return not several and not prompts and call.fields.get("response_fields") in ABSENT


def check(fields: CommonFields) -> None:
    """Raise InvalidRequest for what is out of range, UnsupportedParameter for what no translation can keep."""
    check_ranges(fields, RANGES)
    for alias, name in (("max_tokens", "n_predict"), ("max_completion_tokens", "n_predict"), ("n", "n_cmpl")):
        check_ranges(fields, {alias: RANGES[name]})
    check_ranges(fields, {"logprobs": RANGES["n_probs"]})
    if fields.post_sampling_probs:
        raise _unsupported("post_sampling_probs")
    chain = fields.chain
    for name, (sampler, active) in _OTHER_SAMPLERS.items():
        value = getattr(fields, name)
        takes_part = chain is None or not sampler or sampler in chain
        if value is not None and takes_part and active(value):
            raise _unsupported(name)


def _unsupported(name: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"'{name}' is only known to llama.cpp's own server; models behind it (docs/providers.md) take it.", name
    )


def stops(fields: CommonFields) -> tuple[str, ...]:
    """The stop strings; empty ones say nothing and are left out."""
    given = [fields.stop] if isinstance(fields.stop, str) else fields.stop or []
    if len(given) > MAX_STOPS:
        raise InvalidRequest(
            f"Invalid value for 'stop': {len(given)} strings; at most {MAX_STOPS} are allowed.", "stop"
        )
    return tuple(filter(None, given))


def sampling(fields: CommonFields) -> Sampling:
    """How to sample; samplers that `samplers` leaves out do nothing. Raises InvalidRequest or UnsupportedParameter."""
    schema = bytes(fields.json_schema)
    grammar = fields.grammar or None
    if grammar and schema not in _ABSENT:
        raise InvalidRequest("'grammar' and 'json_schema' cannot be combined.", "grammar")
    chain = fields.chain
    penalised = (chain is None or "penalties" in chain) and fields.repeat_last_n != 0

    def of(sampler: str, value: float | None, neutral: float) -> float | None:
        return value if chain is None or sampler in chain else neutral

    top_k = of("top_k", fields.top_k, 0)
    temperature = of("temperature", fields.temperature, 1.0)
    return Sampling(
        temperature=None if temperature is None else max(temperature, 0.0),
        top_p=of("top_p", fields.top_p, 1.0),
        top_k=None if top_k is None else max(int(top_k), 0),
        min_p=of("min_p", fields.min_p, 0.0),
        repeat_penalty=fields.repeat_penalty if penalised else 1.0,
        presence_penalty=fields.presence_penalty if penalised else 0.0,
        frequency_penalty=fields.frequency_penalty if penalised else 0.0,
        seed=None if fields.seed in _RANDOM_SEEDS else fields.seed,
        logit_bias=_biases(fields)[0],
        logprobs=fields.probabilities or None,
        grammar=grammar,
        json_schema=None if schema in _ABSENT else json_object(schema, "json_schema"),
    )


def local_sampling(fields: CommonFields) -> LocalSampling:
    """What only models of this machine can be asked for."""
    return LocalSampling(bool(fields.ignore_eos), _biases(fields)[1])


def _biases(fields: CommonFields) -> tuple[dict[int, float], dict[str, float]]:
    """Of token ids, and of texts."""
    given = fields.logit_bias or []
    pairs = list(given.items() if isinstance(given, dict) else given)
    if len(pairs) > MAX_BIASES:
        raise InvalidRequest(
            f"Invalid value for 'logit_bias': {len(pairs)} tokens; at most {MAX_BIASES} are allowed.", "logit_bias"
        )
    ids: dict[int, float] = {}
    texts: dict[str, float] = {}
    for token, bias in pairs:
        if bias is True or abs(bias) > _MOST:
            raise InvalidRequest("Invalid value in 'logit_bias': a bias is a number or false.", "logit_bias")
        value = _BANNED if bias is False else float(bias)
        if isinstance(token, str) and not (token.isascii() and token.isdecimal() and len(token) <= _ID_DIGITS):
            texts[token] = value
        elif 0 <= int(token) <= MAX_TOKEN_ID:
            ids[int(token)] = value
        else:
            raise InvalidRequest(f"Invalid token in 'logit_bias': ids are between 0 and {MAX_TOKEN_ID}.", "logit_bias")
    return ids, texts
