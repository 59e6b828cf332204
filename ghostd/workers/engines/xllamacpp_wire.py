"""What is said to llama.cpp's server about one generation, and what it answers."""

from __future__ import annotations

import http.client
import json
import math
import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ghostd.workers.engines.contract import (
    PENALTY_WINDOW_TOKENS,
    EndStep,
    EngineFailed,
    GenerationOptions,
    Logprob,
    PromptStep,
    Step,
    TokenStep,
)
from ghostd.workers.engines.xllamacpp_server import refusal

_SAMPLERS = ["penalties", "top_k", "top_p", "min_p", "temperature"]
_NO_PROBABILITY = -1e4
_JSON_STARTS = b'{["-0123456789tfn'


def body_of(prompt: Sequence[int], options: GenerationOptions) -> dict[str, Any]:
    """The request for a generation."""
    body: dict[str, Any] = {
        "prompt": list(prompt),
        "n_predict": options.max_tokens,
        "temperature": max(options.temperature, 0.0),
        "top_k": options.top_k,
        "top_p": options.top_p,
        "min_p": options.min_p,
        "repeat_last_n": PENALTY_WINDOW_TOKENS,
        "repeat_penalty": options.repeat_penalty,
        "presence_penalty": options.presence_penalty,
        "frequency_penalty": options.frequency_penalty,
        "samplers": _SAMPLERS,
        "seed": secrets.randbits(31) if options.seed is None else options.seed & 0x7FFFFFFF,
        "logit_bias": [[token, bias] for token, bias in options.logit_bias.items()],
        "ignore_eos": options.ignore_end,
        "cache_prompt": True,
        "stream": True,
        "return_tokens": True,
        "return_progress": True,
    }
    if options.markers:
        body["preserved_tokens"] = list(options.markers)
    if options.logprobs is not None:
        body["n_probs"] = max(options.logprobs, 1)
    if options.json_schema is not None:
        body["json_schema"] = _schema(options.json_schema)
    elif options.grammar:
        body["grammar"] = options.grammar
    return body


def _schema(text: str) -> dict[str, Any]:
    # llguidance allows white space between tokens unless told otherwise, and small models never stop to write it.
    return {**json.loads(text), "x-guidance": {"whitespace_flexible": False}}


def steps_of(response: http.client.HTTPResponse, options: GenerationOptions) -> Iterator[Step]:
    """What the server says of a generation, up to its end. Raises the server's errors, and those of connections."""
    cached = written = 0
    control: TokenStep | None = None  # the end token comes as a step of no text, and is not part of the reply
    while line := response.readline():
        if not line.startswith(b"data: "):
            continue
        event = json.loads(line[6:])
        if "error" in event:
            raise refusal(event)
        if event.get("stop"):
            if control is not None and event.get("stop_type") != "eos":
                yield control
            yield EndStep("length" if event.get("stop_type") == "limit" else "stop")
            return
        if control is not None:
            yield control
            control = None
        if progress := event.get("prompt_progress"):
            cached = int(progress["cache"])
            yield PromptStep(cached)
            continue
        ids = tuple(map(int, event.get("tokens", ())))
        # A token that is a part of a character is not told, only counted.
        count, written = max(int(event["tokens_predicted"]) - written, 1), int(event["tokens_predicted"])
        step = TokenStep(
            event["content"].encode("utf-8", "replace"), count, _logprobs(event, options), ids, came_s=time.monotonic()
        )
        if step.data:
            yield step
        else:
            control = step
    raise http.client.IncompleteRead(b"")


def checked_json(steps: Iterator[Step]) -> Iterator[Step]:
    """The steps, as long as they make JSON: the server drops a schema that it cannot use without a word."""
    data = bytearray()
    for step in steps:
        if isinstance(step, TokenStep):
            data += step.data
            start = data.lstrip()[:1]
            if start and start not in _JSON_STARTS:
                raise _schema_ignored()
        elif isinstance(step, EndStep) and step.reason == "stop":
            try:
                json.loads(data)
            except ValueError:
                raise _schema_ignored() from None
        yield step


def _schema_ignored() -> EngineFailed:
    return EngineFailed("xllamacpp cannot enforce this JSON schema; use simpler keywords or llama-cpp-python")


def _logprobs(event: dict[str, Any], options: GenerationOptions) -> tuple[Logprob, ...]:
    if options.logprobs is None:
        return ()
    return tuple(
        Logprob(
            int(entry["id"]),
            bytes(entry["bytes"]),
            _logprob(entry),
            tuple((bytes(other["bytes"]), _logprob(other)) for other in entry["top_logprobs"][: options.logprobs]),
            tuple(int(other["id"]) for other in entry["top_logprobs"][: options.logprobs]),
        )
        for entry in event.get("completion_probabilities", ())
    )


def _logprob(entry: dict[str, Any]) -> float:
    value = entry.get("logprob")
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else _NO_PROBABILITY
