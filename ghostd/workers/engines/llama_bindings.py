"""llama-cpp-python's low-level calls, and what else an in-process llama.cpp needs: its log, and a way to stop it."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from ghostd.workers.engines.contract import LoadError

ABORTED = 2
"""llama_decode: stopped by the abort callback (llama.h)."""
NO_ROOM = 1
"""llama_decode: no cells of the cache are free."""
_LOG_WARN = 3


def bindings() -> Any:
    """The module llama_cpp.llama_cpp, without the package's `__init__`.

    That one imports the high-level API, NumPy and more: 0.4 s at every start of a worker.
    """
    if "llama_cpp" not in sys.modules:
        spec = importlib.util.find_spec("llama_cpp")
        if spec is None or spec.submodule_search_locations is None:
            raise LoadError("llama-cpp-python is not installed")
        package = ModuleType("llama_cpp")
        package.__path__ = list(spec.submodule_search_locations)
        sys.modules["llama_cpp"] = package
    import llama_cpp.llama_cpp as found

    return found


class AbortFlag:
    """A native abort callback that needs neither the GIL nor a compiler: libc's strlen over two bytes.

    `bool callback(void *data)` is called before each graph node. strlen(data) is 0 while the first byte is zero
    and 1 once it is set. A C bool is the low byte of the return register on x86-64 and arm64, so size_t's 0 and 1
    read right. A Python callback instead would take the GIL thousands of times a second.
    """

    def __init__(self, lib: Any) -> None:
        self._lib = lib
        self._data = ctypes.create_string_buffer(2)
        strlen = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
        self._callback = lib.ggml_abort_callback(strlen)

    def attach(self, context: int) -> None:
        """Let the flag stop this context's computations."""
        self._lib.llama_set_abort_callback(context, self._callback, ctypes.addressof(self._data))

    @property
    def is_set(self) -> bool:
        """Whether computations are to stop."""
        return self._data.raw[0] != 0

    def set(self) -> None:
        """Stop."""
        self._data[0] = b"\x01"

    def clear(self) -> None:
        """Go on."""
        self._data[0] = b"\x00"


class Batch:
    """llama.cpp's batch of tokens, made once and filled again and again.

    Its arrays are ctypes' own, which take a slice at once: a token by itself costs a microsecond for each of them.
    """

    def __init__(self, lib: Any, tokens: int) -> None:
        self._lib = lib
        self._tokens = (lib.llama_token * tokens)()
        self._positions = (lib.llama_pos * tokens)()
        self._logits = (ctypes.c_int8 * tokens)()
        self._counts = (ctypes.c_int32 * tokens)(*[1] * tokens)
        self._sequences = (lib.llama_seq_id * tokens)()
        kind = ctypes.POINTER(lib.llama_seq_id)
        step, first = ctypes.sizeof(lib.llama_seq_id), ctypes.addressof(self._sequences)
        self._pointers = (kind * tokens)(*(ctypes.cast(first + step * index, kind) for index in range(tokens)))
        native = self._native = lib.llama_batch()
        native.token, native.pos, native.logits = self._tokens, self._positions, self._logits
        native.n_seq_id, native.seq_id = self._counts, self._pointers
        self.size = 0

    def clear(self) -> None:
        """Empty it."""
        self.size = 0

    def add(self, tokens: Sequence[int], position: int, sequence: int, logits: int) -> None:
        """Append tokens that stand from `position` on; the last `logits` of them are to have logits."""
        start, count = self.size, len(tokens)
        end = self.size = start + count
        if count == 1:
            self._tokens[start], self._positions[start] = tokens[0], position
            self._sequences[start], self._logits[start] = sequence, logits
            return
        self._tokens[start:end] = tokens
        self._positions[start:end] = list(range(position, position + count))
        self._sequences[start:end] = [sequence] * count
        wanted: list[ctypes.c_int8 | int] = [*[0] * (count - logits), *[1] * logits]
        self._logits[start:end] = wanted

    def decode(self, context: int) -> int:
        """Compute it; llama.cpp's status."""
        self._native.n_tokens = self.size
        return int(self._lib.llama_decode(context, self._native))


def write_log(level: int, text: bytes, _data: object) -> None:
    """Warnings and errors of the engine go to stderr, which the pool reads into ghostd's log."""
    if level >= _LOG_WARN and level != 5:
        sys.stderr.write(text.decode("utf-8", "replace"))
