"""Vectors as bytes: each has its own scale, so that its largest number becomes 127 or -127."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ghostd.embedded import Vector

Codes = npt.NDArray[np.int8]
Scales = npt.NDArray[np.float32]

_BLOCK_BYTES = 1200 * 1024
"""Of codes as float32: much less, and much more, takes longer (100,000 x 768: 17 ms of CPU, and 25; this 13)."""


class NotVectors(Exception):
    """What a model gave are no vectors that can be compared; the message says why."""


@dataclass(frozen=True, slots=True)
class Coded:
    """Unit vectors: a row's vector is its codes times its scale."""

    codes: Codes
    """Rows x dimensions."""
    scales: Scales


def coded(vectors: Sequence[Vector]) -> Coded:
    """The vectors, brought to unit length; a zero vector stays one. Raises NotVectors."""
    numbers = as_array(vectors)
    lengths = np.linalg.norm(numbers, axis=1, keepdims=True)
    numbers = np.divide(numbers, lengths, out=np.zeros_like(numbers), where=lengths > 0)
    largest = np.abs(numbers).max(axis=1)
    scales = (largest / 127).astype(np.float32)
    codes = np.divide(numbers, scales[:, None], out=np.zeros_like(numbers), where=scales[:, None] > 0)
    return Coded(np.rint(codes).astype(np.int8), scales)


def as_array(vectors: Sequence[Vector]) -> npt.NDArray[np.float32]:
    """Rows x dimensions; raises NotVectors."""
    try:
        numbers = np.array(vectors, np.float32)
    except (ValueError, TypeError):
        raise NotVectors("the vectors are not of one length") from None
    if numbers.ndim != 2 or not numbers.shape[1]:
        raise NotVectors("the vectors are empty")
    if not np.isfinite(numbers).all():
        raise NotVectors("a vector holds a number that is not finite")
    return numbers


def cosines(codes: Codes, scales: Scales, vector: Vector) -> npt.NDArray[np.float32]:
    """The cosine of each row's vector with this one."""
    wanted = as_array([vector])[0]
    length = float(np.linalg.norm(wanted))
    found = np.zeros(len(codes), np.float32)
    if length == 0.0:
        return found
    wanted /= length
    step = max(1, _BLOCK_BYTES // (4 * codes.shape[1]))
    block = np.empty((step, codes.shape[1]), np.float32)
    for start in range(0, len(codes), step):
        part = codes[start : start + step]
        numbers = block[: len(part)]
        np.copyto(numbers, part)
        np.dot(numbers, wanted, out=found[start : start + len(part)])
    found *= scales
    return found


def best(scores: npt.NDArray[np.float32], limit: int) -> npt.NDArray[np.int64]:
    """The rows with the highest scores above 0, the best first; of equals the first rows."""
    if limit <= 0:
        return np.zeros(0, np.int64)
    if len(scores) > limit:
        least = np.partition(scores, len(scores) - limit)[len(scores) - limit]
        rows = np.flatnonzero((scores >= least) & (scores > 0))
    else:
        rows = np.flatnonzero(scores > 0)
    return rows[np.argsort(-scores[rows], kind="stable")][:limit]
