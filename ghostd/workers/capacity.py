"""What a model needs and what the machine has: engine, threads, memory."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

from ghostd.config.local import LocalConfig
from ghostd.errors import EngineMissing
from ghostd.workers.catalog import LocalModel
from ghostd.workers.gpus import find_gpus, offload
from ghostd.workers.memory import Need, estimate

EngineName = Literal["llama-cpp-python", "xllamacpp"]

_IMPORT_NAMES: dict[EngineName, str] = {"llama-cpp-python": "llama_cpp", "xllamacpp": "xllamacpp"}
_INSTALL: dict[EngineName, str] = {
    "llama-cpp-python": 'CMAKE_ARGS="-DGGML_NATIVE=OFF" pip install "ghostd[local]"',
    "xllamacpp": 'pip install "ghostd[local-prebuilt]"',
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model will be loaded."""

    engine: EngineName
    context_tokens: int
    threads: int
    n_batch: int
    n_gpu_layers: int
    """-1: all, on GPUs that nothing is known of."""
    sequences: int
    """Prompts that are kept at once."""
    cache_tokens: int
    """Of all of them together."""
    need: Need
    gpu_free: int
    """Bytes that the GPUs' own memory has left, as their driver says."""


_CPU_BATCH, _GPU_BATCH = 128, 512
"""Prompt tokens in one step. A GPU stops for a cancellation only between steps, of a few milliseconds each."""
_CACHED_CONTEXTS = 2
"""Contexts that the prompts of one model may fill together: one that is being read, and those that are kept."""


def plan(
    model: LocalModel, config: LocalConfig, context_tokens: int, *, least: bool = False, gpu_spare: int = 0
) -> Plan:
    """How to load the model here and now, or with the `least` memory. Blocks on the disk and on GPUs' drivers.

    `gpu_spare`: bytes there that loaded models can give back. Raises EngineMissing.
    """
    header, settings = model.header, model.settings
    assert header is not None
    engine = choose_engine(config)
    layers = settings.n_gpu_layers if settings and settings.n_gpu_layers is not None else config.n_gpu_layers
    gpus = find_gpus(engine) if layers else ()
    gpu_free = sum(gpu.free_bytes for gpu in gpus if gpu.own_memory)
    sequences = 1 if least or header.embedding_only else config.kv_sequences
    cache_tokens = context_tokens * min(sequences, _CACHED_CONTEXTS)
    n_batch = config.n_batch or _CPU_BATCH
    need = Need(estimate(header, cache_tokens, n_batch, sequences).total)
    if gpus:
        gpu_batch = config.n_batch or _GPU_BATCH
        room = gpu_free + gpu_spare if any(gpu.own_memory for gpu in gpus) else None
        there = offload(estimate(header, cache_tokens, gpu_batch, sequences), header.blocks, layers, room)
        layers = there.layers
        if layers:
            n_batch, need = gpu_batch, there.need
    threads = (settings and settings.threads) or config.threads or default_threads()
    return Plan(engine, context_tokens, threads, n_batch, layers, sequences, cache_tokens, need, gpu_free)


def choose_engine(config: LocalConfig) -> EngineName:
    """The engine to use; looks for it without importing it. Raises EngineMissing."""
    wanted: list[EngineName] = ["llama-cpp-python", "xllamacpp"] if config.engine == "auto" else [config.engine]
    for name in wanted:
        if importlib.util.find_spec(_IMPORT_NAMES[name]) is not None:
            return name
    commands = " or ".join(f"`{_INSTALL[name]}`" for name in reversed(wanted))
    which = "No engine for local models is" if config.engine == "auto" else f"The engine {config.engine} is not"
    raise EngineMissing(f"{which} installed. Install it with {commands} and restart ghostd.")


def default_threads() -> int:
    """Physical cores - 1, at least 1: one stays free for the editor and the daemon."""
    import psutil

    return max((psutil.cpu_count(logical=False) or 1) - 1, 1)
