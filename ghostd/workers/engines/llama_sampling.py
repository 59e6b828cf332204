"""llama.cpp's sampler chain for one request, and log probabilities."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ghostd.workers.engines.contract import PENALTY_WINDOW_TOKENS, GenerationOptions, RequestInvalid


def new_sampler(lib: Any, vocab: int, vocabulary_size: int, options: GenerationOptions, prompt: Sequence[int]) -> Any:
    """A chain that picks tokens as `options` say; free it with llama_sampler_free.

    Raises RequestInvalid for a grammar or schema that cannot be used.
    """
    grammar = _grammar_sampler(lib, vocab, options)
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    if options.logit_bias:
        lib.llama_sampler_chain_add(chain, _bias(lib, vocabulary_size, options))
    if penalties := _penalties(lib, vocabulary_size, options, prompt):
        lib.llama_sampler_chain_add(chain, penalties)
    if grammar:
        lib.llama_sampler_chain_add(chain, grammar)
    if options.temperature <= 0:
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_greedy())
        return chain
    if options.top_k > 0:
        lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_k(options.top_k))
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_top_p(options.top_p, 1))
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_min_p(options.min_p, 1))
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_temp(options.temperature))
    seed = secrets.randbits(31) if options.seed is None else options.seed & 0x7FFFFFFF
    lib.llama_sampler_chain_add(chain, lib.llama_sampler_init_dist(seed))
    return chain


def _bias(lib: Any, vocabulary_size: int, options: GenerationOptions) -> Any:
    entries = (lib.llama_logit_bias * len(options.logit_bias))()
    for entry, (token, bias) in zip(entries, options.logit_bias.items(), strict=True):
        entry.token, entry.bias = token, bias
    return lib.llama_sampler_init_logit_bias(vocabulary_size, len(entries), entries)


def _penalties(lib: Any, vocabulary_size: int, options: GenerationOptions, prompt: Sequence[int]) -> Any:
    if options.repeat_penalty == 1.0 and not options.presence_penalty and not options.frequency_penalty:
        return None
    sampler = lib.llama_sampler_init_penalties(
        vocabulary_size,
        PENALTY_WINDOW_TOKENS,
        options.repeat_penalty,
        options.frequency_penalty,
        options.presence_penalty,
    )
    for token in prompt[-PENALTY_WINDOW_TOKENS:]:
        lib.llama_sampler_accept(sampler, token)
    return sampler


def _grammar_sampler(lib: Any, vocab: int, options: GenerationOptions) -> Any:
    if options.json_schema is not None:
        grammar, param = _schema_grammar(options.json_schema), "response_format"
    elif options.grammar:
        grammar, param = options.grammar, "grammar"
    else:
        return None
    sampler = lib.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
    if not sampler:
        raise RequestInvalid(
            "The grammar cannot be parsed; it must be GBNF with a rule named root (llama.cpp, grammars/README.md).",
            param,
        )
    return sampler


def _schema_grammar(schema: str) -> str:
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        return str(json_schema_to_gbnf(schema))
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        AssertionError,
        NotImplementedError,
        RecursionError,
    ) as error:
        raise RequestInvalid(
            f"The JSON schema cannot be turned into a grammar: {type(error).__name__}: {str(error)[:200]}",
            "response_format",
        ) from None


@dataclass(frozen=True, slots=True)
class LogProbabilities:
    """Of one position: the token taken, and the best ones, best first."""

    own: float
    top: list[tuple[int, float]]


def log_probabilities(lib: Any, context: int, vocabulary_size: int, token: int, count: int) -> LogProbabilities:
    """Natural logs of the last position's full distribution."""
    import numpy as np

    logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), shape=(vocabulary_size,)).astype(np.float64)
    logits -= logits.max()
    logits -= np.log(np.exp(logits).sum())
    count = min(count, vocabulary_size)
    best = np.argpartition(-logits, count - 1)[:count].tolist() if count else []
    ranked = sorted(((index, float(logits[index])) for index in best), key=lambda pair: -pair[1])
    return LogProbabilities(float(logits[token]), ranked)
