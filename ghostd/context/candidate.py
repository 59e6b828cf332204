"""A piece that may be quoted, and the numbers by which it is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from ghostd.context.query import IDENTIFIER, Query
from ghostd.context.selection import ContextSource

Kind = Literal["chunk", "outline"]

FEATURES = (
    "bias", "search", "search²", "log search", "defines nearby", "folder", "same folder", "imported",
    "defines imported", "file", "both tests", "only this is a test", "only that is a test", "defines base",
    "log tokens", "outlines nearby",
    "outlines imported", "definitions", "overlap", "sister file", "calls this",
)  # fmt: skip
"""In the order of a weight vector; the meanings stand where `features` computes them."""

_MAX_SUM = 3.0


@dataclass(slots=True)
class Candidate:
    """One piece. Filled by whoever found it; `features` needs its text."""

    kind: Kind
    path: PurePosixPath
    first_line: int
    last_line: int
    source: ContextSource
    text: str = ""
    search_score: float = 0.0
    """BM25; 0 where the search did not find it."""
    container: str = ""
    """Of an outline."""
    defines: frozenset[str] = frozenset()
    boost: float = 0.0
    """Added to the logit: evidence that the benchmark packages do not have (git history, open buffers)."""
    notes: list[str] = field(default_factory=list)
    """Why, in words, beside what the features tell."""
    tokens: int = 0
    names: frozenset[str] = frozenset()
    """The identifiers in its text."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the candidates are judged against."""

    path: PurePosixPath
    query: Query
    defined_in: Mapping[str, int]
    """Name nearby → how many files define it."""
    imported: Mapping[PurePosixPath, frozenset[str]]
    """Imported file → the imported names that it defines."""
    bases: frozenset[str]
    """Of the enclosing type."""
    enclosing: str
    """The enclosing function's name; "" for none."""
    best_search: float
    """The highest BM25 score."""
    file_scores: Mapping[PurePosixPath, float]
    """The sum of a file's three best BM25 scores, over the highest one."""


def features(candidate: Candidate, around: Surroundings) -> list[float]:
    """The numbers of FEATURES."""
    path, query = candidate.path, around.query
    score = candidate.search_score / around.best_search if around.best_search else 0.0
    defined = sum(
        query.nearby[name] / max(1, around.defined_in.get(name, 1)) for name in candidate.defines & query.nearby.keys()
    )
    shared, same_folder = _closeness(around.path, path)
    imported = around.imported.get(path)
    this_test, that_test = is_test(around.path), is_test(path)
    last = candidate.container.rpartition(".")[2]
    words = candidate.names & query.words.keys()
    return [
        1.0,
        score,
        score * score,
        math.log1p(candidate.search_score),
        min(defined, _MAX_SUM),
        shared,
        float(same_folder),
        float(imported is not None),
        min(2.0, len(imported & candidate.defines)) if imported else 0.0,
        min(around.file_scores.get(path, 0.0), _MAX_SUM),
        float(this_test and that_test),
        float(this_test and not that_test),
        float(that_test and not this_test),
        float(bool(around.bases & candidate.defines)),
        math.log(max(candidate.tokens, 1)) / 5,
        query.nearby.get(last, 0.0),
        float(bool(imported) and last in imported) if imported else 0.0,
        min(len(candidate.defines), 20) / 10,
        sum(query.words[word] for word in words) / (5 + len(candidate.names)),
        float(_stem(path) == _stem(around.path)),
        float(bool(around.enclosing) and around.enclosing in candidate.names - candidate.defines),
    ]  # fmt: skip


def reasons(candidate: Candidate, around: Surroundings) -> list[str]:
    """Why this piece, in words."""
    found = list(candidate.notes)
    nearby = sorted(candidate.defines & around.query.nearby.keys(), key=lambda name: -around.query.nearby[name])
    if nearby:
        found.append(f"defines {_listed(nearby)}, named nearby")
    based = sorted(around.bases & candidate.defines)
    if based:
        found.append(f"defines {_listed(based)}, a base of the enclosing type")
    imported = around.imported.get(candidate.path)
    if imported is not None:
        names = sorted(imported & candidate.defines - around.query.nearby.keys())
        found.append(f"defines the imported {_listed(names)}" if names else "from an imported file")
    if around.enclosing and around.enclosing in candidate.names - candidate.defines:
        found.append(f"uses {around.enclosing}, the function at the cursor")
    if candidate.search_score:
        rare = sorted(
            candidate.names & around.query.words.keys(), key=lambda word: (-around.query.words[word], -len(word))
        )
        found.append(f"shares {_listed(rare)}" if rare else "shares parts of names")
    if _stem(candidate.path) == _stem(around.path):
        found.append("belongs to the same subject by its file's name")
    elif candidate.path.parent == around.path.parent:
        found.append("same folder")
    return found


def names_in(text: str) -> frozenset[str]:
    """The identifiers of a text."""
    return frozenset(IDENTIFIER.findall(text))


def is_test(path: PurePosixPath) -> bool:
    """Whether a file looks like one of tests, by its path."""
    return "test" in str(path).lower() or "spec" in path.name.lower()


def _closeness(one: PurePosixPath, other: PurePosixPath) -> tuple[float, bool]:
    """The share of the folders that two files have in common, and whether it is all of them."""
    here, there = one.parts[:-1], other.parts[:-1]
    common = 0
    for left, right in zip(here, there, strict=False):
        if left != right:
            break
        common += 1
    return common / max(1, len(here), len(there)), here == there


def _stem(path: PurePosixPath) -> str:
    stem = path.name.partition(".")[0].lower()
    return stem.removeprefix("test_").removesuffix("_test").removesuffix("_spec").removeprefix("_")


def _listed(names: list[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (" …" if len(names) > most else "")
