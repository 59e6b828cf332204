"""What a process with a native engine gets of the daemon's environment."""

from __future__ import annotations

import os

_KEPT_VARIABLES = frozenset(
    ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "LD_LIBRARY_PATH",
     "DYLD_LIBRARY_PATH")
)  # fmt: skip
_KEPT_PREFIXES = ("LC_", "GGML_", "LLAMA_ARG_", "OMP_", "CUDA_", "HIP_", "ROCR_", "VK_")


def scrubbed_environment() -> dict[str, str]:
    """What an engine needs of the environment; keys and tokens of the user's stay out of the worker."""
    kept = {
        name: value for name, value in os.environ.items() if name in _KEPT_VARIABLES or name.startswith(_KEPT_PREFIXES)
    }
    # An engine that aborts would start a debugger for its backtrace first, where one is installed.
    return {**kept, "GGML_NO_BACKTRACE": "1"}
