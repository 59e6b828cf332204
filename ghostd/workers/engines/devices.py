"""The GPUs that an engine's build can use: `python -m ghostd.workers.engines.devices ENGINE` prints them as JSON.

A process of its own: the daemon loads no native engine, and asking a driver takes memory on its GPU while one lives.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from ghostd.workers.engines.contract import LoadError
from ghostd.workers.gpus import Gpu

# enum ggml_backend_dev_type of ggml-backend.h
_OWN_MEMORY, _SHARED_MEMORY = 1, 2


def gpus_of_llama_cpp(lib: Any) -> list[Gpu]:
    """Those that llama-cpp-python's build offloads to; `lib` as of `bindings()`."""
    if not lib.llama_supports_gpu_offload():
        return []
    ggml = lib._lib  # the only handle of the library that is loaded; a second copy would look for devices again
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    ggml.ggml_backend_dev_description.restype = ctypes.c_char_p
    ggml.ggml_backend_dev_description.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_dev_memory.restype = None
    ggml.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p, *[ctypes.POINTER(ctypes.c_size_t)] * 2]
    found = []
    for number in range(ggml.ggml_backend_dev_count()):
        device = ggml.ggml_backend_dev_get(number)
        free, total = ctypes.c_size_t(), ctypes.c_size_t()
        ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
        name = (ggml.ggml_backend_dev_description(device) or b"").decode("utf-8", "replace")
        found.append((ggml.ggml_backend_dev_type(device), name, free.value, total.value))
    return _only_gpus(found)


def gpus_of_xllamacpp() -> list[Gpu]:
    """Those that xllamacpp's build offloads to."""
    import xllamacpp

    return _only_gpus(
        [
            (int(device["type"].value), str(device["description"]), device["memory_free"], device["memory_total"])
            for device in xllamacpp.get_device_info()
        ]
    )


def _only_gpus(devices: list[tuple[int, str, int, int]]) -> list[Gpu]:
    """As llama.cpp chooses: an integrated GPU only where there is no other. Apple's share the machine's memory."""
    apart = sys.platform != "darwin"
    gpus = [Gpu(name, free, total, apart) for kind, name, free, total in devices if kind == _OWN_MEMORY]
    return gpus or [Gpu(name, free, total, False) for kind, name, free, total in devices if kind == _SHARED_MEMORY][:1]


def names_of(gpus: Sequence[Gpu]) -> str:
    """For people: "NVIDIA L4", or "2 × NVIDIA L4 and …"."""
    counted = Counter(gpu.name for gpu in gpus)
    return " and ".join(f"{count} × {name}" if count > 1 else name for name, count in counted.items())


def main() -> None:
    """Write name, free and total bytes of each, and whether its memory is its own."""
    if sys.argv[1] == "xllamacpp":
        gpus = gpus_of_xllamacpp()
    else:
        from ghostd.workers.engines.llama_bindings import bindings

        try:
            gpus = gpus_of_llama_cpp(bindings())
        except LoadError:
            gpus = []
    sys.stdout.write(json.dumps([astuple(gpu) for gpu in gpus]))


if __name__ == "__main__":
    main()
