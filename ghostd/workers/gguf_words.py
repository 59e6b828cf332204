"""Facts of a GGUF file in the words that people and Ollama's clients know."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_BLOB = re.compile(r"sha256-([0-9a-f]{64})")
_FILE_TYPES: Mapping[int, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip
"""`llama_ftype` of llama.cpp's llama.h."""
_SCALES = ((10**9, "B", 1), (10**6, "M", 2), (10**3, "K", 0))


def quantization(file_type: int | None) -> str:
    """The name of `general.file_type`; "" for one that is not known."""
    return _FILE_TYPES.get(file_type, "") if file_type is not None else ""


def parameter_size(parameters: int) -> str:
    """ "7.6B", "494.03M"; "" where nobody has counted."""
    for scale, unit, digits in _SCALES:
        if parameters >= scale:
            return f"{parameters / scale:.{digits}f}".removesuffix(".0").removesuffix(".00") + unit
    return str(parameters) if parameters else ""


def digest_of(path: Path) -> str:
    """The SHA-256 by which a store of blobs names its files; "" for other files."""
    match = _BLOB.fullmatch(path.name)
    return match[1] if match is not None else ""
