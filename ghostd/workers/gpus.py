"""The GPUs of this machine as the engines see them, and how much of a model goes on them. Standard library only."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ghostd.workers.environment import scrubbed_environment
from ghostd.workers.memory import MemoryEstimate, Need

log = logging.getLogger(__name__)

_ASKING_S = 30.0
"""A driver that has to wake its GPUs may take seconds."""
_SPARE = 0.05
"""Of the free memory of GPUs, left for what is not in the estimate: a driver's own blocks, and what it cannot use."""
_CONTEXT_BYTES = 512 * 1024 * 1024
"""A process's own part of a GPU's memory, whatever the model: the driver's context, kernels, their scratch space."""
_DRIVER_BYTES = 256 * 1024 * 1024
"""What a GPU's driver takes of the machine's memory in each process."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One that an engine's build can use."""

    name: str
    """As its driver calls it."""
    free_bytes: int
    total_bytes: int
    own_memory: bool
    """False where it shares the machine's: integrated ones, and Apple's."""


@dataclass(frozen=True, slots=True)
class Offload:
    """How much of a model goes on GPUs."""

    layers: int
    """As llama.cpp counts them: the output is one more than the model's blocks."""
    need: Need


def find_gpus(engine: str) -> tuple[Gpu, ...]:
    """Those that the engine's build can use. Blocks, for about as long as the engine takes to be loaded."""
    if not _has_driver():
        return ()
    command = [sys.executable, "-P", "-m", "ghostd.workers.engines.devices", engine]
    try:
        done = subprocess.run(
            command, env=scrubbed_environment(), cwd="/", capture_output=True, check=True, timeout=_ASKING_S
        )
        return tuple(Gpu(*fields) for fields in json.loads(done.stdout.splitlines()[-1]))
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, IndexError) as error:
        log.warning("cannot ask %s for its GPUs (%s); models are loaded as if they took the machine's memory only",
                    engine, type(error).__name__)  # fmt: skip
        return ()


def _has_driver() -> bool:
    """Whether asking can find any: on Linux drivers show themselves as device files (WSL's as dxg)."""
    if sys.platform != "linux":
        return True
    return any(Path("/dev", name).exists() for name in ("nvidiactl", "kfd", "dri", "dxg"))


def offload(memory: MemoryEstimate, blocks: int, wanted: int, room: int | None) -> Offload:
    """How many of a model's layers to put on the GPUs, of `blocks` and the output; `wanted`: -1 for all that fit.

    `room`: bytes that GPUs with memory of their own can give; None: they share the machine's.
    """
    layers = blocks + 1
    if room is None:
        return Offload(layers if wanted < 0 else min(wanted, layers), Need(memory.total))
    of_layer = (memory.weights + memory.cache) / layers
    around = memory.compute + _CONTEXT_BYTES
    if wanted < 0:
        wanted = max(int((room * (1 - _SPARE) - around) / of_layer), 0)
    there = min(wanted, layers)
    if there == 0:
        return Offload(0, Need(memory.total))
    return Offload(there, Need(memory.total + _DRIVER_BYTES - int(there * of_layer), int(there * of_layer) + around))
