"""What is told of a project's context: what would be quoted at a place, and how good retrieval is.

Shared by the daemon's side and its clients. Lines count from 1; paths are relative to the root, with slashes.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class QuotedPiece(msgspec.Struct, frozen=True):
    """A piece of the project that would be quoted."""

    path: str
    first_line: int
    last_line: int
    text: str
    source: str
    """search, definition, outline, co-change, uncommitted, open or similar."""
    score: float
    """The estimated probability, 0 to 1, that it holds a name the user is about to write."""
    tokens: int
    """With the line that names its file."""
    why: list[str]
    redactions: int = 0
    """Secrets that were taken out of the text."""


class OmittedPiece(msgspec.Struct, frozen=True):
    """A piece that was looked at and would not be quoted."""

    path: str
    first_line: int
    last_line: int
    source: str
    score: float
    tokens: int
    reason: str


class Counter(msgspec.Struct, frozen=True):
    """Whose tokens were counted."""

    model: str
    """The model that was named; "" for none."""
    exact: bool
    """Whether its own tokenizer has counted; else tokens are estimated."""
    bytes_per_token: float
    """What the estimate assumes, or what the tokenizer has shown."""


class ChangedTogether(msgspec.Struct, frozen=True):
    """A definition that was changed in the same commits as the one at the cursor."""

    path: str
    name: str
    """With its container: "Class.method"."""
    score: float
    """About the share of the other one's commits, the old ones counting less."""
    commits: int


class LastChange(msgspec.Struct, frozen=True):
    """A commit that left lines as they are."""

    commit: str
    time_s: int
    """In seconds since 1970."""
    subject: str


class ContextReport(msgspec.Struct, frozen=True):
    """What a prompt for one place would quote of the rest of the project."""

    root: str
    path: str
    line: int
    column: int
    """Of the cursor, in characters, from 1; 0 where the whole line is left out."""
    chunks: list[QuotedPiece]
    """The most valuable first."""
    left_out: list[OmittedPiece]
    """Likewise; at most 50."""
    tokens: int
    budget: int
    counter: Counter
    candidates: int
    """How many pieces were looked at."""
    seconds: float
    late: list[str]
    """Sources that did not answer in time."""
    redactions: int
    redacted: bool
    """Whether secrets were looked for."""
    prompt: str
    """The text as it would be quoted, in its order."""
    inside: str = ""
    """The innermost definition around the cursor, with its container; "" where there is none, or it is not saved."""
    changed_together: list[ChangedTogether] = []
    """What git history says to have changed with it; at most 10. For people: it is not quoted because of that."""
    last_changes: list[LastChange] = []
    """The commits that its lines are of, the newest first; at most 3."""
    object: str = "context"


class CoChangeReport(msgspec.Struct, frozen=True):
    """How well git history foretells which files change together; shares are 0 to 1."""

    tried: int
    hit_at_5: float
    folder_at_5: float
    """With the 5 last changed files of the same folders instead."""


class RetrievalReport(msgspec.Struct, frozen=True):
    """How good retrieval is on one project: so far, or in the end."""

    root: str
    wanted: int
    """Lines that were asked for."""
    found: int
    """Lines that are hidden, one after the other."""
    done: int
    """Of them."""
    methods: dict[str, dict[str, float]]
    """Method → tokens of the budget → the share, 0 to 1, of the hidden lines' names that stand in what is quoted."""
    p50_ms: float
    """Of one retrieval, most of them the first one in their file, with its waiting."""
    p95_ms: float
    later_p50_ms: float
    """Of another one at the same place, as a key while typing needs it."""
    later_p95_ms: float
    seed: int
    co_change: CoChangeReport | None = None
    """None where there is no history to judge by."""
    finished: bool = False


class EvaluationOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is asked of an evaluation."""

    root: str
    lines: int
    seed: int = 0
    languages: Sequence[str] = ()
    """() for all that can be judged."""
