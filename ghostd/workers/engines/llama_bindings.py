"""llama-cpp-python's low-level calls, and what else an in-process llama.cpp needs: its log, and a way to stop it."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
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
    """llama.cpp's batch of tokens, made once and filled again and again."""

    def __init__(self, lib: Any, tokens: int) -> None:
        self._lib = lib
        self.native = lib.llama_batch_init(tokens, 0, 1)
        for index in range(tokens):
            self.native.n_seq_id[index] = 1
        self._token, self._pos, self._logits = self.native.token, self.native.pos, self.native.logits
        self._seq = [self.native.seq_id[index] for index in range(tokens)]
        self.size = 0

    def clear(self) -> None:
        """Empty it."""
        self.size = 0

    def add(self, token: int, position: int, sequence: int, *, logits: bool) -> None:
        """Append a token."""
        index = self.size
        self._token[index] = token
        self._pos[index] = position
        self._seq[index][0] = sequence
        self._logits[index] = logits
        self.size = index + 1

    def decode(self, context: int) -> int:
        """Compute it; llama.cpp's status."""
        self.native.n_tokens = self.size
        return int(self._lib.llama_decode(context, self.native))

    def free(self) -> None:
        """Give the memory back."""
        self._lib.llama_batch_free(self.native)


def write_log(level: int, text: bytes, _data: object) -> None:
    """Warnings and errors of the engine go to stderr, which the pool reads into ghostd's log."""
    if level >= _LOG_WARN and level != 5:
        sys.stderr.write(text.decode("utf-8", "replace"))
