"""Pieces → what each of the names in them is worth: the probability that the user is about to write it.

A logistic regression over `names.FEATURES`. `weights.json` holds its weights, and says on which projects they were
trained: `python benchmarks/retrieval.py --train` makes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np

from ghostd.context.candidate import Candidate, Surroundings
from ghostd.context.names import FEATURES, Floats, features, names_told

LIKELY = 0.02
"""What a name is worth that is told of as a reason."""
MEANING = 0.01
"""What it counts that a piece defines a name which stands on the cursor's line already; further away it counts less."""
CALLED = 0.3
"""What it counts that a piece defines what is called where the cursor stands between the call's brackets; where several
files define it, each counts its share."""
TEXT = 1e-4
"""What a piece counts that is the search's best and has no such names: it is quoted where room is left."""
_LEAST = 0.1
"""The share of TEXT that a piece has which the search did not find."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What pieces tell of: names that may be about to be written, what names nearby mean, and their text."""

    names: list[str]
    told: list[list[int]]
    """Of each piece the places in `worth`."""
    worth: Floats
    """0..1; first of the names, in their order, then of definitions and texts."""

    def likely(self, piece: int) -> list[str]:
        """The names of a piece that stand out, the likeliest first."""
        found = [place for place in self.told[piece] if place < len(self.names) and self.worth[place] >= LIKELY]
        return [self.names[place] for place in sorted(found, key=lambda place: -self.worth[place])]


def expected(candidates: Sequence[Candidate], around: Surroundings, weights: Floats) -> Expected:
    """What these pieces tell of."""
    names = names_told(candidates, around)
    logits = features(names, candidates, around) @ weights
    likely = 1 / (1 + np.exp(-np.clip(logits, -20, 20)))
    nearby, best, number = around.query.nearby, around.best_search or 1.0, len(names.names)
    called = CALLED / max(1, len({one.place for one in candidates if around.query.called in one.defines}))
    places: dict[str | tuple[str, str], int] = {}
    worth: list[float] = []
    told = []
    for one, of_names in zip(candidates, names.told, strict=True):
        more: list[tuple[str | tuple[str, str], float]] = [
            (name, called if name == around.query.called else MEANING * nearby[name])
            for name in one.defines & nearby.keys()
        ]
        more.append(((one.kind, one.text), TEXT * max(one.search_score / best, _LEAST)))
        for key, counts in more:
            if places.setdefault(key, len(worth)) == len(worth):
                worth.append(counts)
        told.append(of_names + [number + places[key] for key, _ in more])
    return Expected(names.names, told, np.concatenate((likely, worth)))


@cache
def trained() -> Floats:
    """The weights that ghostd comes with, one for each of FEATURES."""
    data = json.loads((files("ghostd.context") / "weights.json").read_text(encoding="utf-8"))
    return np.array([data["weights"][name] for name in FEATURES])
