"""llama.cpp's samplers for one request, and log probabilities."""

from __future__ import annotations

import ctypes
import json
import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ghostd.workers.engines.contract import PENALTY_WINDOW_TOKENS, GenerationOptions, RequestInvalid


class Sampler:
    """Picks tokens as `options` say. `close` frees what llama.cpp holds.

    A grammar is first asked about the token that was picked without it, which is nearly always right, and only then
    about the whole vocabulary, which costs milliseconds. The distribution is the same (llama.cpp's own sampling does
    so too); penalties remember what was picked, so with them the grammar comes first.

    Raises RequestInvalid for a grammar or schema that cannot be used.
    """

    def __init__(
        self, lib: Any, vocab: int, vocabulary_size: int, options: GenerationOptions, prompt: Sequence[int]
    ) -> None:
        self._lib, self._vocab, self._size = lib, vocab, vocabulary_size
        self._options = options
        self._grammar = _grammar_sampler(lib, vocab, options)
        self._bound = self._chain(prompt, self._grammar) if self._grammar else None
        penalised = penalises(options)
        self._free = None if self._bound and penalised else self._chain(prompt, None)
        self._one = (lib.llama_token_data * 1)()

    def close(self) -> None:
        """Free it; it picks no more."""
        for chain in (self._bound, self._free):
            if chain:
                self._lib.llama_sampler_free(chain)
        self._bound = self._free = None

    def sample(self, context: int, row: int) -> int:
        """The token after the batch's token of that index."""
        lib = self._lib
        if self._free is None:
            return int(lib.llama_sampler_sample(self._bound, context, row))
        token = int(lib.llama_sampler_sample(self._free, context, row))
        if self._bound is None:
            return token
        if self._allows(token):
            lib.llama_sampler_accept(self._bound, token)
            return token
        return int(lib.llama_sampler_sample(self._bound, context, row))

    def _allows(self, token: int) -> bool:
        self._one[0].id, self._one[0].logit = token, 1.0
        candidates = self._lib.llama_token_data_array(self._one, 1, -1, False)
        self._lib.llama_sampler_apply(self._grammar, ctypes.byref(candidates))
        return float(self._one[0].logit) > -math.inf

    def bind(self, grammar: str, opening: bytes, tokens: Sequence[int], recent: Sequence[int]) -> None:
        """From now on follow the grammar, of which `opening`, the end of what `tokens` wrote, is a beginning.

        `recent` are the latest tokens of all, for penalties. A former grammar is dropped.
        """
        lib = self._lib
        pattern = (ctypes.c_char_p * 1)(re.sub(rb"[\\^$.*+?()\[\]{}|/]", rb"\\\g<0>", opening))
        sampler = lib.llama_sampler_init_grammar_lazy_patterns(
            self._vocab, grammar.encode(), b"root", pattern, 1, (lib.llama_token * 1)(), 0
        )
        if not sampler:
            raise _unusable_tools()
        for token in tokens:
            lib.llama_sampler_accept(sampler, token)
        former, self._bound, self._grammar = self._bound, self._chain(recent, sampler), sampler
        if former:
            lib.llama_sampler_free(former)
        if self._free is not None and penalises(self._options):
            lib.llama_sampler_free(self._free)
            self._free = None

    def _chain(self, prompt: Sequence[int], grammar: Any) -> Any:
        lib, options = self._lib, self._options
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        if options.logit_bias:
            lib.llama_sampler_chain_add(chain, _bias(lib, self._size, options))
        if penalties := _penalties(lib, self._size, options, prompt):
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


def penalises(options: GenerationOptions) -> bool:
    """Whether what was written before changes what is picked."""
    return bool(options.repeat_penalty != 1.0 or options.presence_penalty or options.frequency_penalty)


def _penalties(lib: Any, vocabulary_size: int, options: GenerationOptions, prompt: Sequence[int]) -> Any:
    if not penalises(options):
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
        grammar, param = options.grammar, options.grammar_param
    else:
        return None
    sampler = lib.llama_sampler_init_grammar(vocab, grammar.encode(), b"root")
    if not sampler and param == "tools":
        raise _unusable_tools()
    if not sampler:
        raise RequestInvalid(
            "The grammar cannot be parsed; it must be GBNF with a rule named root (llama.cpp, grammars/README.md).",
            param,
        )
    return sampler


def _unusable_tools() -> RequestInvalid:
    return RequestInvalid("The tools' schemas make a grammar that the engine cannot use.", "tools")


def _with_root_inside(schema: str) -> str:
    """The schema, whose root is no reference: beside one the converter looks into no definitions."""
    root = json.loads(schema)
    if not (isinstance(root, dict) and "$ref" in root):
        return schema
    return json.dumps(
        {**{key: value for key, value in root.items() if key != "$ref"}, "anyOf": [{"$ref": root["$ref"]}]}
    )


def _schema_grammar(schema: str) -> str:
    from llama_cpp.llama_grammar import json_schema_to_gbnf

    try:
        return str(json_schema_to_gbnf(_with_root_inside(schema)))
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        AssertionError,
        NotImplementedError,
    ) as error:
        raise RequestInvalid(
            f"The JSON schema cannot be turned into a grammar: the engine stops at {str(error)[:200]!r}.",
            "response_format",
        ) from None
    except RecursionError:
        raise RequestInvalid(
            "The JSON schema cannot be turned into a grammar: with its references followed it is nested too deeply.",
            "response_format",
        ) from None


def best_tokens(lib: Any, context: int, row: int, vocabulary_size: int, count: int) -> list[int]:
    """The most probable tokens after the batch's token of index `row`, best first."""
    import numpy as np

    logits = np.ctypeslib.as_array(lib.llama_get_logits_ith(context, row), shape=(vocabulary_size,))
    count = min(count, vocabulary_size)
    best = np.argpartition(-logits, count - 1)[:count]
    return [int(token) for token in best[np.argsort(-logits[best], kind="stable")]]


@dataclass(frozen=True, slots=True)
class LogProbabilities:
    """Of one position: the token taken, and the best ones, best first."""

    own: float
    top: list[tuple[int, float]]


def log_probabilities(
    lib: Any, context: int, row: int, vocabulary_size: int, token: int, count: int
) -> LogProbabilities:
    """Natural logs of the full distribution after the batch's token of index `row`."""
    import numpy as np

    found = lib.llama_get_logits_ith(context, row)
    logits = np.ctypeslib.as_array(found, shape=(vocabulary_size,)).astype(np.float64)
    logits -= logits.max()
    logits -= np.log(np.exp(logits).sum())
    count = min(count, vocabulary_size)
    best = np.argpartition(-logits, count - 1)[:count].tolist() if count else []
    ranked = sorted(((index, float(logits[index])) for index in best), key=lambda pair: -pair[1])
    return LogProbabilities(float(logits[token]), ranked)
