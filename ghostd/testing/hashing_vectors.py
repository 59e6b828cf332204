"""Vectors without a model: texts that share words are close to each other. The same for every run."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from hashlib import blake2b

DIMENSIONS = 64


def hashed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """The sum of what each word of a text hashes to, of unit length."""
    numbers = [0.0] * dimensions
    for word in {found.lower() for found in re.findall(r"\w{2,}", text)}:
        digest = int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "little")
        for place in range(4):
            part = digest >> (16 * place)
            numbers[(part >> 1) % dimensions] += 1.0 if part & 1 else -1.0
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return [number / length for number in numbers]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """How close two vectors of unit length are."""
    return sum(left * right for left, right in zip(one, other, strict=True))
