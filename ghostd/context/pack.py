"""Which pieces fit into a budget: greedily by value for each token."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ghostd.context.candidate import Candidate

_LOOKED_AT = 60
"""Pieces compared at each step: the best ones by value; the rest have no chance."""
_OVERLAP = 0.5
_STICKY = 1.4
"""How much more a piece counts that is quoted already: a prompt that stays as it is costs a model nothing."""
_ENOUGH = 0.97
_OVERLAPS = "overlaps a quoted piece"
_SAME = "its text is quoted already"
"""From a copy of the file."""


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate with its probability."""

    candidate: Candidate
    probability: float


def pack(
    scored: Sequence[Scored],
    budget_tokens: int,
    *,
    length_exponent: float,
    novelty: float,
    kept: Collection[tuple[object, ...]] = (),
) -> tuple[list[int], dict[int, str]]:
    """The places of the pieces to quote, the most valuable first, and why of others they are left out.

    `kept` are the keys (see `key_of`) of what was quoted for the same file before.
    """
    values = [
        one.probability
        / one.candidate.tokens**length_exponent
        * (_STICKY if kept and key_of(one.candidate) in kept else 1.0)
        for one in scored
    ]
    of_file: defaultdict[str, list[int]] = defaultdict(list)
    of_text: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for place, one in enumerate(scored):
        of_file[one.candidate.place].append(place)
        of_text[one.candidate.kind, one.candidate.text].append(place)
    left = sorted(range(len(scored)), key=lambda place: -values[place])
    taken: list[int] = []
    reasons: dict[int, str] = {}
    used = 0
    seen: set[str] = set()
    while left and used < budget_tokens * _ENOUGH:
        best, best_value = -1, 0.0
        for place in left[:_LOOKED_AT]:
            if values[place] <= best_value:
                break  # what is new in it can only make it worth less, and so in those behind it
            candidate = scored[place].candidate
            if used + candidate.tokens > budget_tokens:
                reasons[place] = "no room"
                continue
            names = candidate.new or candidate.names
            fresh = len(names - seen) / len(names) if names else 1.0
            value = values[place] * (1 - novelty + novelty * fresh)
            if value > best_value:
                best, best_value = place, value
        if best < 0:
            break
        left.remove(best)
        chosen = scored[best].candidate
        taken.append(best)
        used += chosen.tokens
        seen |= chosen.new or chosen.names
        copies = of_text[chosen.kind, chosen.text]
        worthless = {at: _SAME for at in copies if scored[at].candidate.place != chosen.place}
        worthless |= {at: _OVERLAPS for at in of_file[chosen.place] if _overlaps(scored[at].candidate, chosen)}
        for place, reason in worthless.items():
            if place in taken or reasons.get(place) in (_OVERLAPS, _SAME):
                continue
            left.remove(place)
            reasons[place] = reason
    for place in left:
        reasons.setdefault(place, "no room")
    for place in taken:
        reasons.pop(place, None)
    return taken, reasons


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
