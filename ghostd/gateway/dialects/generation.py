"""Running the choices of one request: seeds, order, usage, splitting long deltas."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from ghostd.types import Delta, Sampling, TokenLogprob, Usage

MAX_PIECE_CHARS = 1000
"""A character takes at most six bytes of JSON, so that a piece and its frame stay under sse.MAX_EVENT_BYTES."""
_MAX_PIECE_CHARS_WITH_LOGPROBS = 200
"""One token with twenty alternatives takes some 3 KiB besides."""


def seeded(sampling: Sampling, choice: int) -> Sampling:
    """The sampling of one of several choices: with a given seed each choice has its own, repeatable one."""
    if sampling.seed is None or choice == 0:
        return sampling
    return replace(sampling, seed=sampling.seed + choice if sampling.seed < 2**62 else sampling.seed - choice)


def usage_fields(usage: Usage) -> dict[str, object]:
    """OpenAI's `usage`, the plain fields."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def usage_details(usage: Usage) -> dict[str, object]:
    """`usage` with what was cached and what was thought, where there was any."""
    fields = usage_fields(usage)
    if usage.cached_tokens:
        fields["prompt_tokens_details"] = {"cached_tokens": usage.cached_tokens}
    if usage.reasoning_tokens:
        fields["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_tokens}
    return fields


def pieces(delta: Delta) -> Iterator[tuple[str, tuple[TokenLogprob, ...]]]:
    """The delta's text and log probabilities in parts small enough for one event each; nothing for an empty delta."""
    text, logprobs = delta.text, delta.logprobs
    limit = _MAX_PIECE_CHARS_WITH_LOGPROBS if logprobs else MAX_PIECE_CHARS
    while text or logprobs:
        yield text[:limit], logprobs[:1]
        text, logprobs = text[limit:], logprobs[1:]


def new_id(prefix: str) -> str:
    """An id for one reply."""
    return f"{prefix}-{os.urandom(14).hex()}"
