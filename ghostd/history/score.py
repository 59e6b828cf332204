"""Which files change together, as pure functions over commits.

How well a file f goes with a given one g is the share of g's commits that touched f too: the newer they are and the
fewer files they touched, the more they count. The less is known of g, the more what is expected of f beforehand counts,
by its folder and its name: (n + DOUBT * expected) / (N + DOUBT), with n of N commits. These are summed over the given
files, divided by the square root of their number, and a little is added for a file that was changed just now.

The constants were chosen with benchmarks/co_change.py on histories that its table does not report.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

DAY_S = 86_400
MAX_COMMITS = 500
"""Of one file, the last ones."""
RECENT = 40
"""Of the whole history, the last commits whose files are held to be in the works."""

_DOUBT = 2.0
"""How many commits what is expected beforehand weighs as much as."""
_HALF_LIFE_COMMITS = 4
"""A commit counts half when the given file has had so many newer ones; beside that, its age in days counts."""
_SIZE_POWER = 0.6
_NEAR = 0.1
_ALIKE = 0.25
_FRESH = 0.03
_FRESH_COMMITS = 8
_MARKS = frozenset(("test", "tests", "spec", "py", "init"))
"""Words in a file's name that do not say what it is about."""
_WORDS = re.compile(r"[A-Za-z][a-z]+|[A-Z]+(?![a-z])|[0-9]+")


@dataclass(frozen=True, slots=True)
class Touched:
    """A commit that is no merge, and the files it touched."""

    time_s: int
    paths: tuple[str, ...]
    """As they are called after it."""
    renamed: tuple[tuple[str, str], ...] = ()
    """(before, after)"""
    gone: frozenset[str] = frozenset()
    """Those of `paths` that it deleted."""


@dataclass(frozen=True, slots=True)
class Companions:
    """What changed together with one file."""

    weights: Mapping[str, float]
    """Of the commits that touched it too, for each file."""
    commits: Mapping[str, int]
    total: float
    """The weight of all commits of the given file."""

    def share(self, path: str) -> float:
        """About the share of the given file's commits that touched this one too."""
        return self.weights.get(path, 0.0) / (self.total + _DOUBT)


NONE = Companions({}, {}, 0.0)
"""Of a file without commits."""


def decay(age_s: float, half_life_days: float) -> float:
    """What a commit counts: halved with each half-life."""
    return math.pow(0.5, max(age_s, 0) / (half_life_days * DAY_S))


def companions(given: str, commits: Iterable[Touched], now_s: int, half_life_days: float) -> Companions:
    """What the files in `commits`, all of which touched `given`, have to do with it; the newest commit comes first."""
    weights: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    total = 0.0
    for newer, commit in enumerate(commits):
        worth = decay(now_s - commit.time_s, half_life_days) * math.pow(0.5, newer / _HALF_LIFE_COMMITS)
        total += worth
        shared = worth / max(len(commit.paths) - 1, 1) ** _SIZE_POWER
        for path in commit.paths:
            if path != given:
                weights[path] += shared
                counts[path] += 1
    return Companions(weights, counts, total)


def ranked(
    given: Mapping[str, Companions], candidates: Collection[str], ages: Mapping[str, int]
) -> list[tuple[str, float, int]]:
    """(path, score, commits with any of the given files) of the candidates and the companions, the best first.

    `ages` says of the recently changed files how many commits ago that was.
    """
    shares: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    near: dict[str, float] = defaultdict(float)
    named: dict[frozenset[str], float] = defaultdict(float)
    for path, table in given.items():
        part = 1 / (table.total + _DOUBT)
        for other, weight in table.weights.items():
            shares[other] += weight * part
            counts[other] += table.commits[other]
        near[folder(path)] += _DOUBT * _NEAR * part
        named[words(path)] += _DOUBT * _ALIKE * part
    found = []
    for path in {*shares, *candidates}.difference(given):
        score = shares.get(path, 0.0) + near.get(folder(path), 0.0)
        about = words(path)
        for name, worth in named.items():
            if not about.isdisjoint(name):
                score += worth * len(about & name) / len(about | name)
        score /= math.sqrt(len(given))
        if path in ages:
            score += _FRESH * math.exp(-ages[path] / _FRESH_COMMITS)
        found.append((path, score, counts.get(path, 0)))
    return sorted(found, key=lambda one: (-one[1], one[0]))


def folder(path: str) -> str:
    """Where it lies, "" at the top."""
    return path.rpartition("/")[0]


@lru_cache(maxsize=20_000)
def words(path: str) -> frozenset[str]:
    """What its name is about, in lower case: `test_rate_limit.py` and `RateLimit.ts` have the same."""
    return frozenset(word.lower() for word in _WORDS.findall(PurePosixPath(path).stem)) - _MARKS
