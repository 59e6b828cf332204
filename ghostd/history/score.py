"""Which files change together, as pure functions over commits."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Touched:
    """A commit that is no merge, and the files it touched."""

    time_s: int
    paths: tuple[str, ...]


def weight(age_s: float, size: int, half_life_days: float) -> float:
    """What a commit of `size` files counts: halved with each half-life, and shared among the other files."""
    return math.pow(0.5, max(age_s, 0) / (half_life_days * DAY_S)) / max(size - 1, 1)


def companions(
    given: str, commits: Iterable[Touched], now_s: int, half_life_days: float
) -> dict[str, tuple[float, int]]:
    """Path → (score, commits) of the files in `commits`, all of which touched `given`."""
    found: dict[str, tuple[float, int]] = {}
    for commit in commits:
        worth = weight(now_s - commit.time_s, len(commit.paths), half_life_days)
        for path in commit.paths:
            if path != given:
                score, count = found.get(path, (0.0, 0))
                found[path] = (score + worth, count + 1)
    return found


def hits(
    history: Sequence[Touched], count: int, *, half_life_days: float, max_files: int, top: int = 5
) -> tuple[int, int, int]:
    """(hits, hits of the floor, tried) over the last `count` commits, each judged by those before it alone.

    `history` is the oldest first. From a commit of 2 to `max_files` files each file that had been committed before is
    hidden in turn; a hit has it among the `top` files that changed with the others. The floor proposes the files of
    the others' folders, the last changed first.
    """
    usable = [commit for commit in history if len(commit.paths) >= 2]
    start = max(len(usable) - count, 0)
    by_path: dict[str, list[Touched]] = defaultdict(list)
    folders: dict[PurePosixPath, dict[str, None]] = defaultdict(dict)
    won = floor = tried = 0
    for number, commit in enumerate(usable):
        if number >= start and len(commit.paths) <= max_files:
            known = {
                path: companions(path, by_path[path], commit.time_s, half_life_days)
                for path in commit.paths
                if path in by_path
            }
            for hidden in known:
                others = [path for path in commit.paths if path != hidden]
                tried += 1
                won += hidden in _best([known[path] for path in others if path in known], others, top)
                floor += hidden in _neighbours(folders, others, top)
        for path in commit.paths:
            if len(commit.paths) <= max_files:
                by_path[path].append(commit)
            folder = folders[PurePosixPath(path).parent]
            folder.pop(path, None)
            folder[path] = None
    return won, floor, tried


def _best(tables: Iterable[Mapping[str, tuple[float, int]]], given: Iterable[str], top: int) -> list[str]:
    total: dict[str, float] = defaultdict(float)
    for table in tables:
        for path, (score, _) in table.items():
            total[path] += score
    for path in given:
        total.pop(path, None)
    return sorted(total, key=lambda path: (-total[path], path))[:top]


def _neighbours(folders: Mapping[PurePosixPath, Mapping[str, None]], given: Sequence[str], top: int) -> list[str]:
    found: dict[str, None] = {}
    for path in given:
        beside = folders.get(PurePosixPath(path).parent, {})
        for other in reversed(tuple(beside)):
            if other not in given:
                found[other] = None
                if len(found) >= top:
                    return list(found)
    return list(found)
