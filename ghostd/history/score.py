"""Which files change together, as pure functions over commits.

The score of a file f beside given ones is the sum over the given files g of P(f|g), the share of g's commits that
touched f too, divided by the square root of their number, plus what its place, its name and its last change say. The
constants were chosen on this project's own commits.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

DAY_S = 86_400
MAX_COMMITS = 500
"""Of one file, the last ones."""
RECENT = 40
"""Of the whole history, the last commits whose files are held to be in the works."""

_DOUBT = 1.0
"""Commits without a companion that each file is given, so that two commits do not make a certainty."""
_SIZE_POWER = 0.25
_NEAR = 0.05
_ALIKE = 0.1
_FRESH = 0.05
_FRESH_COMMITS = 8
_BEFORE, _AFTER = ("test_", "tests_", "spec_"), ("_test", "_tests", ".test", "_spec", ".spec")

Strengths = Mapping[str, tuple[float, int]]
"""Path → (share of the given file's commits, number of commits)."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A commit that is no merge, and the files it touched."""

    time_s: int
    paths: tuple[str, ...]


def decay(age_s: float, half_life_days: float) -> float:
    """What a commit counts: halved with each half-life."""
    return math.pow(0.5, max(age_s, 0) / (half_life_days * DAY_S))


def strengths(given: str, commits: Iterable[Touched], now_s: int, half_life_days: float) -> Strengths:
    """How strongly the files in `commits`, all of which touched `given`, go with it; large commits say less."""
    together: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    total = _DOUBT
    for commit in commits:
        worth = decay(now_s - commit.time_s, half_life_days)
        total += worth
        shared = worth / max(len(commit.paths) - 1, 1) ** _SIZE_POWER
        for path in commit.paths:
            if path != given:
                together[path] += shared
                counts[path] += 1
    return {path: (worth / total, counts[path]) for path, worth in together.items()}


def ranked(
    tables: Sequence[Strengths], given: Collection[str], ages: Mapping[str, int]
) -> list[tuple[str, float, int]]:
    """(path, score, commits) of the files that go with the given ones, the best first.

    `ages` says of the recently changed files how many commits ago that was.
    """
    scores: dict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for table in tables:
        for path, (share, count) in table.items():
            if path not in given:
                scores[path] += share
                counts[path] += count
    folders = Counter(_folder(path) for path in given)
    alike = {_subject(path) for path in given}
    found = []
    for path, share in scores.items():
        score = share / math.sqrt(len(given)) + _NEAR * folders[_folder(path)] / len(given)
        score += _ALIKE * (_subject(path) in alike)
        if path in ages:
            score += _FRESH * math.exp(-ages[path] / _FRESH_COMMITS)
        found.append((path, score, counts[path]))
    return sorted(found, key=lambda one: (-one[1], one[0]))


def hits(
    history: Sequence[Touched], count: int, *, half_life_days: float, max_files: int, top: int = 5
) -> tuple[int, int, int]:
    """(hits, hits of the floor, tried) over the last `count` commits, each judged by those before it alone.

    `history` is the oldest first. From a commit of 2 to `max_files` files each file that had been committed before is
    hidden in turn; a hit has it among the `top` files that go best with the others. The floor proposes the files of
    the others' folders, the last changed first.
    """
    usable = [commit for commit in history if len(commit.paths) >= 2]
    start = max(len(usable) - count, 0)
    by_path: dict[str, deque[Touched]] = defaultdict(lambda: deque(maxlen=MAX_COMMITS))
    last: dict[str, int] = {}
    folders: dict[str, dict[str, None]] = defaultdict(dict)
    won = floor = tried = 0
    for number, commit in enumerate(usable):
        if number >= start and len(commit.paths) <= max_files:
            tables = {
                path: strengths(path, by_path[path], commit.time_s, half_life_days)
                for path in commit.paths
                if path in by_path
            }
            ages = {path: number - at for path, at in last.items() if number - at <= RECENT}
            for hidden in (path for path in commit.paths if path in last):
                others = dict.fromkeys(path for path in commit.paths if path != hidden)
                tried += 1
                best = ranked([tables[path] for path in others if path in tables], others, ages)[:top]
                won += hidden in [path for path, _, _ in best]
                floor += hidden in _neighbours(folders, others, top)
        for path in commit.paths:
            if len(commit.paths) <= max_files:
                by_path[path].append(commit)
            last[path] = number
            folder = folders[_folder(path)]
            folder.pop(path, None)
            folder[path] = None
    return won, floor, tried


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _subject(path: str) -> str:
    """A file's name without its ending and without what marks a test: `test_x.py` and `x.py` have the same."""
    name = PurePosixPath(path).stem.lower()
    for mark in _BEFORE:
        name = name.removeprefix(mark)
    for mark in _AFTER:
        name = name.removesuffix(mark)
    return name


def _neighbours(folders: Mapping[str, Mapping[str, None]], given: Collection[str], top: int) -> list[str]:
    found: dict[str, None] = {}
    for path in given:
        for other in reversed(tuple(folders.get(_folder(path), ()))):
            if other not in given:
                found[other] = None
                if len(found) >= top:
                    return list(found)
    return list(found)
