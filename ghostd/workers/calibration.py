"""The self-test of a freshly loaded model, and how fast it is on this machine."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ghostd.workers.engines.contract import (
    Engine,
    Generation,
    GenerationOptions,
    Owner,
    PromptStep,
    TokenStep,
    generate,
)

_TEXT = "def add(a, b):\n    return a + b\n\n"
_TEST_TOKENS = 8
_PAIRS = 3
_PAIR_PAYS = 1.3
"""Times a step of one token: two tokens are computed together where that takes less."""
_PREFILL_SECONDS = 1.0
"""The longer measurement is cut to about this."""


@dataclass(frozen=True, slots=True)
class Speeds:
    """Measured with the settings the model runs under; decode is 0 for a model that makes embeddings only."""

    prefill_tokens_per_s: float
    decode_tokens_per_s: float


def calibrate(engine: Engine, n_batch: int, *, embedding_only: bool) -> Speeds:
    """Compute a prompt of 8 tokens and 8 tokens more, then time a longer prompt.

    A miscompiled engine crashes here, on prompts of two tokens and more, and not under the first request. The engine
    is told whether generations are worth being computed together. Raises EngineFailed when the model cannot compute.
    """
    tokens = _tokens(engine, max(n_batch, _TEST_TOKENS))
    if embedding_only:
        started = time.perf_counter()
        engine.embed(tokens[:_TEST_TOKENS])
        return Speeds(_rate(_TEST_TOKENS, time.perf_counter() - started), 0.0)
    if engine.gpu_layers:
        _timed(engine, tokens[1 : _TEST_TOKENS + 1], _TEST_TOKENS)  # drivers load their kernels at first use
    short_s, decode_s = _timed(engine, tokens[:_TEST_TOKENS], _TEST_TOKENS)
    affordable = int(_TEST_TOKENS * _PREFILL_SECONDS / max(short_s, 1e-6))
    count = max(_TEST_TOKENS, min(len(tokens), affordable, engine.context_tokens // 2))
    # From the end, so that nothing of it is in the cache.
    long_s, _ = _timed(engine, tokens[::-1][:count], 1)
    # Twice, since other programs' work may come between.
    if engine.together < engine.slots and all(_pays_together(engine, tokens[:_TEST_TOKENS]) for _ in range(2)):
        engine.together = engine.slots
    return Speeds(_rate(count, long_s), _rate(_TEST_TOKENS - 1, decode_s))


def _pays_together(engine: Engine, prompt: list[int]) -> bool:
    """Whether two tokens in one step take clearly less time than one after the other: on GPUs, and with many cores."""
    options = GenerationOptions(_PAIRS * 4, temperature=0.0, ignore_end=True)
    pair = [engine.open(prompt, options, Owner()) for _ in range(2)]
    try:
        for generation in pair:
            engine.step((generation,))
        alone_s = min(_step_s(engine, pair[:1]) for _ in range(_PAIRS))
        return min(_step_s(engine, pair) for _ in range(_PAIRS)) < _PAIR_PAYS * alone_s
    finally:
        for generation in pair:
            generation.close()


def _step_s(engine: Engine, generations: list[Generation]) -> float:
    started = time.perf_counter()
    for _, step in engine.step(generations):
        if isinstance(step, Exception):
            raise step
    return time.perf_counter() - started


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
