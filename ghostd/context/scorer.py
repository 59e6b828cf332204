"""Features → the probability that a piece holds a name which the user is about to write.

Two logistic regressions, one for chunks and one for outlines. `weights.json` holds their weights, and says on which
packages they were trained: `python benchmarks/retrieval.py --train` makes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from operator import mul

from ghostd.context.candidate import Kind
from ghostd.context.judge import FEATURES


@dataclass(frozen=True, slots=True)
class Weights:
    """The scorer's parameters."""

    of: Mapping[Kind, tuple[float, ...]]
    """One for each of FEATURES."""
    length_exponent: float
    """A piece's value for the packing is its probability over its tokens to this power."""
    novelty: float
    """0..1: how much of a piece's value is lost when all its names are quoted already."""

    def probability(self, kind: Kind, numbers: Sequence[float], boost: float = 0.0) -> float:
        """What a piece of these features is worth; `boost` is added to the logit."""
        logit = boost + sum(map(mul, self.of[kind], numbers))
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, logit))))


@cache
def trained() -> Weights:
    """The weights that ghostd comes with."""
    data = json.loads((files("ghostd.context") / "weights.json").read_text(encoding="utf-8"))
    of: dict[Kind, tuple[float, ...]] = {}
    kinds: tuple[Kind, ...] = ("chunk", "outline")
    for kind in kinds:
        of[kind] = tuple(data["weights"][kind][name] for name in FEATURES)
    return Weights(of, data["length_exponent"], data["novelty"])
