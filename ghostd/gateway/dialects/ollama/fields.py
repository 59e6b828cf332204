"""What Ollama's chat and generate requests have in common, their ranges, and what they mean to a model.

Fields by Ollama's `api/types.go` and docs/api.md; `null` means that a field is absent, other fields are ignored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from ghostd.conversation import NO_REASONING, Reasoning, ReasoningEffort
from ghostd.engine import Engine
from ghostd.errors import InvalidRequest, RequestError
from ghostd.gateway.calls import ABSENT, decoded, estimated_tokens
from ghostd.gateway.errors import figure
from ghostd.routing.call import Call
from ghostd.types import Feature, Sampling

T = TypeVar("T")

_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 100),
    "top_p": (0, 1),
    "top_k": (-1, 1_000_000),
    "min_p": (0, 1),
    "repeat_penalty": (0.01, 10),
    "presence_penalty": (-2, 2),
    "frequency_penalty": (-2, 2),
    "seed": (-(2**63), 2**63 - 1),
    "num_predict": (-(2**31), 2**31 - 1),
    "num_ctx": (0, 2**31 - 1),
}
_MAX_TOP_LOGPROBS = 20
_MAX_STOPS = 64
_LEVELS: Mapping[str, ReasoningEffort] = {"low": "low", "medium": "medium", "high": "high", "max": "xhigh"}
_ANY_OBJECT = '{"type":"object"}'
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_IMAGES = re.compile(rb'"images"\s*:\s*\[\s*"')
_LONG_BASE64 = re.compile(rb'"[A-Za-z0-9+/=]{512,}"')
_IMAGE_BYTES = 3200
"""What an image counts as in the estimate of a prompt: four bytes a token."""

Number = int | float
"""Ollama takes 40.0 where it wants a whole number."""


class Options(msgspec.Struct):
    """`options`, as far as ghostd can honour them. Those that say how a model is loaded are its settings' to say."""

    num_predict: Number | None = None
    num_ctx: Number | None = None
    seed: Number | None = None
    temperature: float | None = None
    top_k: Number | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    stop: str | list[str] | None = None
    # Checked and not honoured: no engine here has them, as Ollama's own no longer has some of them.
    typical_p: float | None = None
    tfs_z: float | None = None
    repeat_last_n: Number | None = None
    mirostat: Number | None = None
    mirostat_tau: float | None = None
    mirostat_eta: float | None = None
    num_keep: Number | None = None
    penalize_newline: bool | None = None
    num_batch: Number | None = None
    num_gpu: Number | None = None
    main_gpu: Number | None = None
    num_thread: Number | None = None
    numa: bool | None = None
    use_mmap: bool | None = None
    use_mlock: bool | None = None
    low_vram: bool | None = None


class Common(msgspec.Struct, kw_only=True):
    """What both bodies have."""

    model: str
    options: Options | None = None
    format: msgspec.Raw = msgspec.Raw(b"")
    think: bool | str | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None


class _Glimpse(msgspec.Struct):
    num_predict: Number | None = None


def generation_glance(call: Call) -> None:
    """What the router wants to know of a chat or generate request."""
    fields = call.fields
    prompt = fields.get("messages") or fields.get("prompt", b"")
    found: set[Feature] = set()
    if fields.get("tools") not in ABSENT:
        found.add("tools")
    if fields.get("format") not in ABSENT:
        found.add("json")
    images = fields.get("images") not in ABSENT or _IMAGES.search(prompt) is not None
    if images:
        found.add("vision")
    think = fields.get("think", b"null")
    if think not in (b"null", b"false", b'""', b'"none"'):
        found.add("reasoning")
        call.effort = think.decode("utf-8", "replace").strip('"') if think.startswith(b'"') else ""
    call.features = frozenset(found)
    call.prompt_tokens = _estimated(prompt, images=images) + len(fields.get("tools", b"")) // 4
    call.max_tokens = _limit(fields.get("options", b"null"))


def _estimated(prompt: bytes, *, images: bool) -> int:
    if images and len(prompt) > _IMAGE_BYTES:
        prompt = _LONG_BASE64.sub(b" " * _IMAGE_BYTES, prompt)
    return estimated_tokens(prompt)


def _limit(options: bytes) -> int | None:
    if not options.startswith(b"{"):
        return None
    try:
        wanted = msgspec.json.decode(options, type=_Glimpse).num_predict
    except msgspec.DecodeError:
        return None  # whoever decodes it says what is wrong
    return int(wanted) if wanted is not None and 0 < wanted < 2**31 else None


def sampling(body: Common) -> Sampling:
    """How to sample; raises InvalidRequest."""
    options = body.options or Options()
    check_options(options)
    logprobs = None
    if body.top_logprobs is not None and not 0 <= body.top_logprobs <= _MAX_TOP_LOGPROBS:
        raise InvalidRequest(f"top_logprobs must be between 0 and {_MAX_TOP_LOGPROBS}", "top_logprobs")
    if body.logprobs:
        logprobs = body.top_logprobs or 0
    return Sampling(
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=None if options.top_k is None else max(int(options.top_k), 0),
        min_p=options.min_p,
        repeat_penalty=options.repeat_penalty,
        presence_penalty=options.presence_penalty,
        frequency_penalty=options.frequency_penalty,
        seed=None if options.seed is None else int(options.seed),
        logprobs=logprobs,
        json_schema=_schema(bytes(body.format)),
        optional=True,  # as Ollama ignores options that it does not know
    )


def checked(engine: Engine, call: Call, decoder: msgspec.json.Decoder[T]) -> T:
    """The call's body, where the dialect itself must look into it; a mistake is recorded, and raised."""
    try:
        return decoded(decoder, call.body)
    except RequestError as error:
        engine.refused(call, error)
        raise


def check_options(options: Options) -> None:
    """Raise InvalidRequest for a number out of its range."""
    for name, (low, high) in _RANGES.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            raise InvalidRequest(
                f"Invalid value for 'options.{name}': {figure(value)} is not between {low} and {high}.",
                f"options.{name}",
            )


def max_tokens(options: Options | None) -> int | None:
    """`num_predict`; -1 (no limit), -2 (until the context is full) and 0, which Ollama takes for -1, set none."""
    wanted = options.num_predict if options is not None else None
    return int(wanted) if wanted is not None and wanted >= 1 else None


def stops(options: Options | None) -> tuple[str, ...]:
    """The stop strings; empty ones say nothing and are left out."""
    given = options.stop if options is not None else None
    found = [given] if isinstance(given, str) else given or []
    if len(found) > _MAX_STOPS:
        raise InvalidRequest(
            f"Invalid value for 'options.stop': {len(found)} strings; at most {_MAX_STOPS} are allowed.", "options.stop"
        )
    return tuple(filter(None, found))


def _schema(wanted: bytes) -> str | None:
    """`format`: "json", or a JSON schema."""
    if wanted in (b"", b"null", b'""'):
        return None
    if wanted == b'"json"':
        return _ANY_OBJECT
    if wanted.startswith(b"{"):
        return wanted.decode("utf-8")
    raise InvalidRequest("Invalid value for 'format': it must be \"json\" or a JSON schema.", "format")


def reasoning(think: bool | str | None) -> Reasoning:
    """`think`: true, false, or how much; raises InvalidRequest."""
    if think is None or think == "":
        return NO_REASONING
    if think is False or think == "none":
        return Reasoning("none", optional=True)
    if think is True:
        return Reasoning(include=True)
    effort = _LEVELS.get(think)
    if effort is None:
        known = ", ".join(f'"{level}"' for level in _LEVELS)
        raise InvalidRequest(f"Invalid value for 'think': {think[:50]!r} (must be {known}, true, or false).", "think")
    return Reasoning(effort, include=True)


def keep_alive_s(raw: bytes | None) -> float | None:
    """`keep_alive` in seconds, from a number or a duration such as "1h30m"; None where it is absent, negative: for
    ever. Raises InvalidRequest."""
    if raw is None or raw == b"null":
        return None
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        value = None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _bounded(value)
    if isinstance(value, str) and (seconds := _seconds(value.strip())) is not None:
        return _bounded(seconds)
    raise InvalidRequest(
        "Invalid value for 'keep_alive': it must be a number of seconds or a duration such as \"5m\".", "keep_alive"
    )


def _bounded(seconds: float) -> float:
    """Ten years are for ever, as far as a timer is concerned."""
    return -1.0 if seconds < 0 or seconds > 10 * 365 * 86400 else float(seconds)


def _seconds(text: str) -> float | None:
    sign, rest = (-1.0, text[1:]) if text.startswith("-") else (1.0, text.removeprefix("+"))
    if not rest or len(rest) > 100:
        return None
    try:
        bare = float(rest) if re.fullmatch(r"[\d.]+", rest) else None  # Go wants a unit, people write "300"
    except ValueError:
        return None
    if bare is not None:
        return sign * bare
    if _DURATION.sub("", rest):
        return None
    seconds = math.fsum(float(number) * _UNITS_S[unit] for number, unit in _DURATION.findall(rest))
    return sign * seconds
