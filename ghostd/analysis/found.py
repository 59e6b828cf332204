"""What the Analyst answers with, besides reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ghostd.indexed import Symbol


@dataclass(frozen=True, slots=True)
class MapLine:
    """A definition in a map."""

    symbol: Symbol
    depth: int
    """How many definitions stand around it."""


@dataclass(frozen=True, slots=True)
class RepoMap:
    """The most useful definitions."""

    text: str
    files: Mapping[str, Sequence[MapLine]]
    """What the text has, the most valuable file first."""
    tokens: int
    complete: bool
    """Whether the whole project was looked at."""
