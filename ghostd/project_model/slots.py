"""Where the weight of each piece of evidence lies: a slot's cells by how often its context was seen and by whose share,
then properties of tokens. `weights.json` was learned in this order; `evidence` says what each is about.
"""

from __future__ import annotations

from ghostd.project_model.segment import CONTEXT

SAMPLE = 48
"""Occurrences of one context in a text that are looked at."""

_N_BUCKETS = 6
_SHARE_BUCKETS = 7
CELLS = _N_BUCKETS * _SHARE_BUCKETS


def _n_bucket(n: int) -> int:
    return 0 if n == 1 else 1 if n == 2 else 2 if n < 5 else 3 if n < 10 else 4 if n < 30 else 5


def _share_bucket(count: int, n: int) -> int:
    share = count / n
    if count == n:
        return 0
    return next((i for i, least in enumerate((0.75, 0.5, 0.25, 0.1, 0.03), 1) if share >= least), 6)


SHARE = [[0] * (SAMPLE + 1)] + [
    [0] + [_n_bucket(n) * _SHARE_BUCKETS + _share_bucket(c, n) for c in range(1, n + 1)] for n in range(1, SAMPLE + 1)
]
"""Cell within a slot, by n and c."""

# Lengths of a match from which on it is in slot 0, 1, …; in the text a single token is slot 4.
TEXT_STEPS = (6, 4, 3)
PROJECT_SLOT = [0, 7, 6, 5, 4, 3, 2, 2, 1, 1, 1, 1] + [0] * CONTEXT
SHAPE_TEXT_STEPS = (9, 6, 4)
SHAPE_PROJECT_SLOT = [0, 5, 5, 5, 4, 3, 3, 2, 2, 2, 1, 1] + [0] * CONTEXT
SHAPE_ORDERS = (10, 7, 5, 4, 3)
PROJECT_ORDERS = (12, 8, 6, 5, 4, 3, 2, 1)

# Places of the weights.
DOCUMENT = 0
NEAR = DOCUMENT + 5 * CELLS
PROJECT = NEAR + 5 * CELLS
SHAPE_DOCUMENT = PROJECT + 8 * CELLS
SHAPE_NEAR = SHAPE_DOCUMENT + 4 * CELLS
SHAPE_PROJECT = SHAPE_NEAR + 4 * CELLS
KIND = SHAPE_PROJECT + 6 * CELLS
RECENCY = KIND + 8 * 5
"""8 distances for names, by what the name follows, and 8 for all else."""
BELOW = RECENCY + 8 * 5
FREQUENCY = BELOW + 2 * 4
IN_LINE = FREQUENCY + 8 * 5
TYPED = IN_LINE + 8
LINE_END = TYPED + 32
DEPTH = LINE_END + 8 * 4
ABOVE = DEPTH + 16
"""How the line above ends, with how this one ends so far: for the line's end, and for a comma."""
COPY = ABOVE + 2 * 64
CLOSER = COPY + 4
"""Closing brackets, by the depth that the line has reached."""
QUOTED = CLOSER + 8
"""The line's end and the two quotes, outside and inside a string."""
ESCAPES = QUOTED + 6
SIZE = ESCAPES + 6 * 9 + 8
