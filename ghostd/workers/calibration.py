"""The self-test of a freshly loaded model, and how fast it is on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ghostd.workers.engines.contract import Engine, GenerationOptions, PromptStep, TokenStep, generate

_TEXT = "def add(a, b):\n    return a + b\n\n"
_TEST_TOKENS = 8
_PREFILL_SECONDS = 1.0
"""The longer measurement is cut to about this."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """Measured with the settings the model runs under; decode is 0 for a model that makes embeddings only."""

    prefill_tokens_per_s: float
    decode_tokens_per_s: float


def calibrate(engine: Engine, n_batch: int, *, embedding_only: bool) -> Speeds:
    """Compute a prompt of 8 tokens and 8 tokens more, then time a longer prompt.

    A miscompiled engine crashes here, on prompts of two tokens and more, and not under the first request.
    Raises EngineFailed when the model cannot compute.
    """
    tokens = _tokens(engine, max(n_batch, _TEST_TOKENS))
    if embedding_only:
        started = time.perf_counter()
        engine.embed(tokens[:_TEST_TOKENS])
        return Speeds(_rate(_TEST_TOKENS, time.perf_counter() - started), 0.0)
    short_s, decode_s = _timed(engine, tokens[:_TEST_TOKENS], _TEST_TOKENS)
    affordable = int(_TEST_TOKENS * _PREFILL_SECONDS / max(short_s, 1e-6))
    count = max(_TEST_TOKENS, min(len(tokens), affordable, engine.context_tokens // 2))
    # From the end, so that nothing of it is in the cache.
    long_s, _ = _timed(engine, tokens[::-1][:count], 1)
    return Speeds(_rate(count, long_s), _rate(_TEST_TOKENS - 1, decode_s))


def _tokens(engine: Engine, count: int) -> list[int]:
    tokens = engine.tokenize(_TEXT, special=False) or [0]
    return (tokens * (count // len(tokens) + 1))[:count]


def _timed(engine: Engine, prompt: list[int], max_tokens: int) -> tuple[float, float]:
    """Seconds for the prompt with the first token, and for the tokens after it."""
    started = time.perf_counter()
    first = last = started
    for step in generate(engine, prompt, GenerationOptions(max_tokens, temperature=0.0, ignore_end=True)):
        if isinstance(step, PromptStep):
            continue
        if isinstance(step, TokenStep) and first == started:
            first = time.perf_counter()
        last = time.perf_counter()
    return first - started, last - first


def _rate(count: int, seconds: float) -> float:
    return round(count / max(seconds, 1e-9), 1)
