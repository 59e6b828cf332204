"""The names that pieces of the project tell of, and what is known of each: is it the one that is about to be written?

Names count that the project defines, since a model may know others by itself, and that the file at hand has not. One is
the more likely the better the pieces fit that it stands in, the more they are, and the more it looks like the words
around the cursor.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, count
from math import log

import numpy as np
import numpy.typing as npt

from ghostd.context.candidate import Candidate, Surroundings
from ghostd.context.query import MIN_NAME_CHARS

FEATURES = (
    "bias", "best search", "votes", "best overlap", "imported", "same folder", "outline imported", "parts nearby",
    "length", "capital", "constant", "private",
)  # fmt: skip
"""In the order of a weight vector; the meanings stand where they are computed."""

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Names:
    """The names that some pieces tell of, and which piece tells of which."""

    names: list[str]
    told: list[list[int]]
    """Of each piece the places in `names`."""


def names_told(candidates: Sequence[Candidate], around: Surroundings) -> Names:
    """The names of pieces that count."""
    own, defined = around.own_names, around.defined
    places: defaultdict[str, int] = defaultdict(count().__next__)
    if defined:
        told = [list(map(places.__getitem__, (one.names & defined) - own)) for one in candidates]
    else:
        told = [[places[name] for name in one.names - own if len(name) >= MIN_NAME_CHARS] for one in candidates]
    return Names(list(places), told)


def flat(told: Sequence[Sequence[int]]) -> tuple[Places, Places]:
    """The places of all pieces one after the other, and the piece of each."""
    counts = list(map(len, told))
    return np.fromiter(chain.from_iterable(told), np.intp, sum(counts)), np.repeat(np.arange(len(told)), counts)


def features(names: Names, candidates: Sequence[Candidate], around: Surroundings) -> Floats:
    """A row of FEATURES for each name."""
    if not names.names:
        return np.zeros((0, len(FEATURES)))
    told, piece = flat(names.told)
    order = np.argsort(told, kind="stable")
    starts = np.searchsorted(told[order], np.arange(len(names.names)))
    pieces = _of_pieces(candidates, around)[piece[order]]
    highest = np.maximum.reduceat(pieces, starts)
    score = pieces[:, 0]
    nearby = _parts_nearby(around)
    known = frozenset(nearby)
    alike = [
        0.0 if known.isdisjoint(parts) else sum(map(nearby.__getitem__, known & parts)) / len(parts)
        for parts in map(parts_of, names.names)
    ]
    return np.column_stack(
        (
            np.ones(len(starts)),
            highest[:, 0],
            # Chunks that the search finds vote for their names, by the square of their scores: one that many of them
            # share is likely the one that is missing (pseudo-relevance feedback).
            np.log1p(np.add.reduceat(score * score, starts)),
            highest[:, 1:],
            alike,
            np.fromiter(chain.from_iterable(map(_shape, names.names)), np.float64).reshape(len(starts), -1),
        )
    )


def _of_pieces(candidates: Sequence[Candidate], around: Surroundings) -> Floats:
    """What a name has from each piece that it stands in."""
    words, imported = around.query.words, around.imported
    telling, best, folder = frozenset(words), around.best_search or 1.0, str(around.path).rpartition("/")[0]
    rows = []
    for one in candidates:
        from_here = imported.get(one.path)
        container = one.container.rpartition(".")[2]
        rows.append(
            (
                one.search_score / best,
                sum(map(words.__getitem__, telling & one.names)) / (5 + len(one.names)),
                from_here is not None,
                one.place.rpartition("/")[0] == folder,
                container in from_here if from_here else 0.0,
            )
        )
    return np.array(rows, np.float64)


def _parts_nearby(around: Surroundings) -> defaultdict[str, float]:
    """The parts of the words around the cursor, with the highest weight of a word that has it; 0 for others."""
    found: defaultdict[str, float] = defaultdict(float)
    for word, weight in around.query.words.items():
        for part in parts_of(word):
            found[part] = max(found[part], weight)
    return found


@lru_cache(maxsize=16_384)
def parts_of(name: str) -> frozenset[str]:
    """The parts of a name by camelCase and snake_case, in lower case."""
    return frozenset([part.lower() for part in _PARTS.findall(name) if len(part) > 1])


@lru_cache(maxsize=16_384)
def _shape(name: str) -> tuple[float, ...]:
    """(log length, begins with a capital, has capitals only, begins with "_")."""
    return log(len(name)), name[0].isupper(), name.isupper(), name[0] == "_"
