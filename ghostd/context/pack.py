"""Which pieces fit into a budget: greedily the one that tells most, of what is not yet told, for its tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np

from ghostd.context.candidate import Candidate
from ghostd.context.names import Floats, flat
from ghostd.context.scorer import Expected

_OVERLAP = 0.5
_STICKY = 1.4
"""How much more a piece counts that is quoted already: a prompt that stays as it is costs a model nothing."""
_ENOUGH = 0.97
NO_ROOM = "no room"
OVERLAPS = "overlaps a quoted piece"
NOTHING_NEW = "tells nothing new"


def pack(
    candidates: Sequence[Candidate],
    expected: Expected,
    budget_tokens: int,
    *,
    kept: Collection[tuple[object, ...]] = (),
) -> tuple[list[int], dict[int, str]]:
    """The places of the pieces to quote, the most valuable first, and why the others are left out.

    `kept` are the keys (see `key_of`) of what was quoted for the same file before.
    """
    tokens = np.array([one.tokens for one in candidates], np.intp)
    factors = np.exp([one.boost for one in candidates]) / np.maximum(tokens, 1)
    if kept:
        factors *= [_STICKY if key_of(one) in kept else 1.0 for one in candidates]
    of_file: defaultdict[str, list[int]] = defaultdict(list)
    for place, one in enumerate(candidates):
        of_file[one.place].append(place)
    told, piece = flat(expected.told)
    left = expected.worth.copy()
    taken: list[int] = []
    reasons: dict[int, str] = {}
    used = 0
    while candidates and used < budget_tokens * _ENOUGH:
        values = np.bincount(piece, left[told], len(candidates)) * factors
        values[tokens > budget_tokens - used] = 0.0
        best = int(np.argmax(values))
        if values[best] <= 0:
            break
        chosen = candidates[best]
        taken.append(best)
        used += chosen.tokens
        left[expected.told[best]] = 0.0
        factors[best] = 0.0
        for place in of_file[chosen.place]:
            if factors[place] and _overlaps(candidates[place], chosen):
                reasons[place] = OVERLAPS
                factors[place] = 0.0
    new = np.bincount(piece, left[told], len(candidates)) > 0
    rest = set(range(len(candidates))).difference(taken, reasons)
    reasons |= {place: NO_ROOM if new[place] else NOTHING_NEW for place in sorted(rest)}
    return taken, reasons


def scores(candidates: Sequence[Candidate], expected: Expected) -> Floats:
    """The probability, for each piece alone, that it tells something of worth."""
    told, piece = flat(expected.told)
    nothing = np.bincount(piece, np.log1p(-expected.worth[told]), len(candidates))
    odds = np.expm1(-nothing) * np.exp([one.boost for one in candidates])
    found: Floats = odds / (1 + odds)
    return found


def key_of(candidate: Candidate) -> tuple[object, ...]:
    """What tells a piece apart from others, as long as its text stays."""
    return candidate.kind, candidate.place, candidate.container, candidate.text


def _overlaps(one: Candidate, other: Candidate) -> bool:
    if one.place != other.place or one.kind != other.kind:
        return False
    if one.kind == "outline":
        return one.container == other.container and one.first_line == other.first_line
    common = min(one.last_line, other.last_line) - max(one.first_line, other.first_line) + 1
    return common > _OVERLAP * (min(one.last_line - one.first_line, other.last_line - other.first_line) + 1)
