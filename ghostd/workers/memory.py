"""What a model will take, read from its header before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from ghostd.workers.gguf_header import GgufHeader

_PROCESS_BYTES = 48 * 1024 * 1024
"""Interpreter and engine without a model: 33 MB measured for llama-cpp-python, 43 MB for xllamacpp."""
_CACHE_STEP_TOKENS = 256
"""llama.cpp rounds the context up to a multiple of this."""
_ACTIVATION_BYTES = 4


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Bytes by what they are for."""

    weights: int
    """All parts of the file; mapped, so that the system may drop and read them again."""
    cache: int
    """Keys and values of all prompts that are kept, and recurrent states."""
    compute: int
    """Buffers for one batch of prompt tokens."""
    process: int = _PROCESS_BYTES

    @property
    def total(self) -> int:
        """All together."""
        return self.weights + self.cache + self.compute + self.process


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes of memory that a loaded model takes."""

    host: int
    """Of the machine's."""
    gpu: int = 0
    """Of GPUs that have their own."""


def estimate(header: GgufHeader, cache_tokens: int, n_batch: int, sequences: int = 1) -> MemoryEstimate:
    """For one worker that keeps so many tokens of so many prompts, and computes them in steps of `n_batch` tokens."""
    positions = -(-cache_tokens // _CACHE_STEP_TOKENS) * _CACHE_STEP_TOKENS
    return MemoryEstimate(
        weights=header.size_bytes,
        cache=positions * header.kv_bytes_per_token + sequences * header.state_bytes,
        compute=min(n_batch, cache_tokens) * header.activation_values * _ACTIVATION_BYTES,
    )
