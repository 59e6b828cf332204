"""What a model needs and what the machine has: engine, threads, memory."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Literal

from ghostd.config import LocalConfig
from ghostd.errors import EngineMissing, ModelTooLarge
from ghostd.workers.catalog import LocalModel

EngineName = Literal["llama-cpp-python", "xllamacpp"]

_IMPORT_NAMES: dict[EngineName, str] = {"llama-cpp-python": "llama_cpp", "xllamacpp": "xllamacpp"}
_INSTALL: dict[EngineName, str] = {
    "llama-cpp-python": 'CMAKE_ARGS="-DGGML_NATIVE=OFF" pip install "ghostd[local]"',
    "xllamacpp": 'pip install "ghostd[local-prebuilt]"',
}
_WORKER_BYTES = 192 * 1024 * 1024
"""Interpreter, engine and its compute buffers for batches of 128 tokens."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a model will be loaded."""

    engine: EngineName
    context_tokens: int
    threads: int
    n_gpu_layers: int


def plan(model: LocalModel, config: LocalConfig, context_tokens: int) -> Plan:
    """How to load the model here and now. Blocks on the disk. Raises EngineMissing, ModelTooLarge."""
    settings = model.settings
    engine = choose_engine(config)
    check_memory(model, context_tokens, config.memory_reserve_mb)
    threads = (settings and settings.threads) or config.threads or default_threads()
    layers = settings.n_gpu_layers if settings and settings.n_gpu_layers is not None else config.n_gpu_layers
    return Plan(engine, context_tokens, threads, layers)


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


def check_memory(model: LocalModel, context_tokens: int, reserve_mb: int) -> None:
    """Raise ModelTooLarge when loading would leave less than the reserve."""
    import psutil

    assert model.header is not None
    needed = model.header.size_bytes + model.header.kv_bytes_per_token * context_tokens + _WORKER_BYTES
    available = psutil.virtual_memory().available
    if needed + reserve_mb * 1024 * 1024 > available:
        raise ModelTooLarge(
            f"The model '{model.id}' needs about {_mb(needed)} MB with a context of {context_tokens} tokens; "
            f"{_mb(available)} MB are available, of which {reserve_mb} MB stay free (local.memory_reserve_mb). "
            "Close other programs, lower context_tokens or take a smaller model."
        )


def _mb(size: int) -> int:
    return round(size / (1024 * 1024))
