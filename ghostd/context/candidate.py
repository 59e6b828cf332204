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
    """The log of by how much more it counts: evidence that the benchmark's projects do not have (git history, …)."""
    notes: list[str] = field(default_factory=list)
    """Why, in words, beside what the features tell."""
    tokens: int = 0
    names: frozenset[str] = frozenset()
    """The identifiers in its text."""
    place: str = ""
    """The path as text, which compares faster."""

    def __post_init__(self) -> None:
        self.place = str(self.path)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the candidates are judged against."""

    path: PurePosixPath
    query: Query
    imported: Mapping[PurePosixPath, frozenset[str]]
    """Imported file → the imported names that it defines."""
    bases: frozenset[str]
    """Of the enclosing type."""
    enclosing: str
    """The enclosing function's name; "" for none."""
    best_search: float
    """The highest BM25 score."""
    defined: frozenset[str] = frozenset()
    """The names of at least MIN_NAME_CHARS that the project defines; empty in a file without definitions, of which they
    tell nothing."""
    own_names: frozenset[str] = frozenset()
    """The identifiers of the file at hand around the cursor."""


def subject_of(path: PurePosixPath) -> str:
    """What a file is about by its name, tests of it included; "" where the name says nothing."""
    stem = path.name.partition(".")[0].lower()
    stem = stem.removeprefix("test_").removesuffix("_test").removesuffix("_spec").strip("_")
    return "" if stem in _UNTELLING else stem


_UNTELLING = frozenset(("init", "main", "mod", "index", "lib", "root", "tests", "test", "conftest"))
