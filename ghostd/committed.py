"""What is known of a project's git history. Paths are relative to the root; lines are 1-based."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal


@dataclass(frozen=True, slots=True)
class HistoryState:
    """How far a root's history has been read."""

    state: Literal["none", "reading", "ready", "failed"]
    """"none": the root is in no repository, or history is switched off."""
    head: str = ""
    """The commit that is checked out, 40 hex digits; "" before the first commit."""
    commits: int = 0
    """How many have been read."""
    complete: bool = False
    """Whether that is all there are: not shallow, and within the limits."""
    detail: str = ""
    """What is wrong, or which limit ended the reading."""


@dataclass(frozen=True, slots=True)
class CommitInfo:
    """One commit."""

    id: str
    time_s: int
    """The committer's time, in seconds since 1970."""
    subject: str
    """The message's first line, at most 200 characters."""


@dataclass(frozen=True, slots=True)
class CoChange:
    """A file that changes together with another one."""

    path: PurePosixPath
    score: float
    """Of files that go together: about the share of this one's commits that touched that one too, weighed by their
    age and by how few files they touched, and a little more for its place, its name and a recent change. Of files that
    change often: the commits, weighed by their age."""
    commits: int
    """0 where its place, its name or a recent change alone speak for it."""


@dataclass(frozen=True, slots=True)
class SymbolCoChange:
    """A definition that changes together with another one."""

    path: PurePosixPath
    name: str
    """With its container: "Class.method"."""
    score: float
    """About the share of the other one's commits that touched this one too, weighed by their age and by how few
    definitions they touched."""
    commits: int


@dataclass(frozen=True, slots=True)
class CoChangeScore:
    """How often a file that was hidden from a commit is among the 5 that go best with the commit's others."""

    hits: int
    floor_hits: int
    """With the 5 last changed files of the others' folders in their place."""
    tried: int


@dataclass(frozen=True, slots=True)
class BlameSpan:
    """Consecutive lines that one commit last changed."""

    first_line: int
    last_line: int
    commit: CommitInfo


@dataclass(frozen=True, slots=True)
class Hunk:
    """A changed place. Lines are those of the new file; a deletion has `last_line` = `first_line` - 1."""

    first_line: int
    last_line: int
    removed: str
    added: str


@dataclass(frozen=True, slots=True)
class FileChange:
    """How one file differs."""

    path: PurePosixPath
    kind: Literal["added", "modified", "deleted", "renamed"]
    old_path: PurePosixPath | None = None
    """Where it was, of a renamed one."""
    hunks: tuple[Hunk, ...] = ()
    """In order; empty for a binary file and where limits on size were met."""


@dataclass(frozen=True, slots=True)
class Branch:
    """The branch that is checked out, against what it started from."""

    name: str
    """"" for a detached head."""
    base: str
    """The branch it is compared with, e.g. "main" or "origin/main"; "" where there is none."""
    merge_base: str
    """The commit where they parted; "" where there is none."""
    commits: tuple[CommitInfo, ...]
    """Its own commits, the newest first."""
    changes: tuple[FileChange, ...]
    """What they changed together, ordered by path."""
