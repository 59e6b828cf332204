"""What two token sequences have in common."""

from __future__ import annotations

from collections.abc import Sequence

_STRIDE = 256
"""Tokens that are compared at once."""


def common_prefix(one: Sequence[int], other: Sequence[int], most: int) -> int:
    """How many of the first `most` tokens, which both have, are the same. Both are lists, or both tuples."""
    common = 0
    while common < most and one[common : common + _STRIDE] == other[common : common + _STRIDE]:
        common += _STRIDE
    common = min(common, most)
    while common < most and one[common] == other[common]:
        common += 1
    return common
