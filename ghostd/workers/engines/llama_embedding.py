"""Vectors by llama.cpp, in a context of their own beside the one that generates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ghostd.workers.engines.contract import EngineFailed, Interrupted
from ghostd.workers.engines.llama_bindings import ABORTED, AbortFlag, Batch

_POOLING_LAST = 3


class LlamaEmbedder:
    """A context that embeds one input after the other."""

    def __init__(
        self, lib: Any, context: int, abort: AbortFlag, size: int, batch: int, *, causal: bool, pooling: int | None
    ) -> None:
        """`size` of a vector, tokens of a `batch`; `causal` and `pooling` as in LoadOptions."""
        self._lib, self._context, self._abort = lib, context, abort
        self._size, self._batch_tokens = size, batch
        self._causal, self._last_only = causal, pooling == _POOLING_LAST
        self._batch = Batch(lib, batch)

    def embed(self, prompt: Sequence[int]) -> list[float]:
        """The pooled vector of one input, of unit length; raises Interrupted and EngineFailed."""
        memory = self._lib.llama_get_memory(self._context)
        if memory:
            self._lib.llama_memory_clear(memory, True)
        return _unit(self._one_by_one(prompt) if self._causal else self._pooled(prompt))

    def _one_by_one(self, prompt: Sequence[int]) -> list[float]:
        """Mean over all tokens, or the last one's where the file says so."""
        total = [0.0] * self._size
        for start in range(0, len(prompt), self._batch_tokens):
            part = prompt[start : start + self._batch_tokens]
            self._run(part, start)
            for index in range(len(part)):
                if self._last_only and start + index < len(prompt) - 1:
                    continue
                vector = self._lib.llama_get_embeddings_ith(self._context, index)
                total = [a + b for a, b in zip(total, vector[: self._size], strict=True)]
        return total

    def _pooled(self, prompt: Sequence[int]) -> list[float]:
        self._run(prompt, 0)
        vector = self._lib.llama_get_embeddings_seq(self._context, 0)
        if not vector:
            raise EngineFailed("the model gives no pooled vector")
        return list(vector[: self._size])

    def _run(self, tokens: Sequence[int], start: int) -> None:
        if self._abort.is_set:
            raise Interrupted
        self._batch.clear()
        self._batch.add(tokens, start, 0, logits=len(tokens))
        status = self._batch.decode(self._context)
        if status == ABORTED or self._abort.is_set:
            raise Interrupted
        if status != 0:
            raise EngineFailed(f"llama.cpp could not embed the input (status {status})")

    def close(self) -> None:
        """Free the context."""
        self._lib.llama_free(self._context)


def _unit(vector: Sequence[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    if not math.isfinite(length):
        raise EngineFailed("the model computed a vector with values that are not finite")
    return [value / length for value in vector] if length else list(vector)
