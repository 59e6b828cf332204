"""A piece that may be quoted, and what it is judged against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal

from ghostd.context.query import Query
from ghostd.context.selection import ContextSource

Kind = Literal["chunk", "outline"]


@dataclass(slots=True)
class Candidate:
    """One piece, filled by whoever found it."""

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
    new: frozenset[str] = frozenset()
    """Those of them that the file at hand does not have: `Judge.features` finds them."""
    place: str = ""
    """The path as text, which compares faster."""

    def __post_init__(self) -> None:
        self.place = str(self.path)


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
    own_names: frozenset[str] = frozenset()
    """The identifiers of the file at hand around the cursor."""


def is_test(path: PurePosixPath) -> bool:
    """Whether a file looks like one of tests, by its path."""
    return "test" in str(path).lower() or "spec" in path.name.lower()


def subject_of(path: PurePosixPath) -> str:
    """What a file is about by its name, tests of it included; "" where the name says nothing."""
    stem = path.name.partition(".")[0].lower()
    stem = stem.removeprefix("test_").removesuffix("_test").removesuffix("_spec").strip("_")
    return "" if stem in _UNTELLING else stem


_UNTELLING = frozenset(("init", "main", "mod", "index", "lib", "root", "tests", "test", "conftest"))
