"""What is asked of the retriever, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from ghostd.types import OpenDocument

ContextSource = Literal["search", "definition", "outline", "co-change", "uncommitted", "open", "similar"]
"""How a piece came to be looked at. "search": BM25 over the project's chunks; "definition": what a name nearby means;
"outline": the heads of a type's or module's members; "similar": by embeddings."""

DEFAULT_BUDGET_TOKENS = 1_000
MAX_BUDGET_TOKENS = 32_000
DEFAULT_DEADLINE_S = 0.25
BYTES_PER_TOKEN = 4.0
"""What is assumed of code where the model's tokenizer is not asked."""


@dataclass(frozen=True, slots=True)
class ContextRequest:
    """A place in a file, to find for it what a prompt should quote of the rest of the project."""

    root: Path
    """One of the indexed roots."""
    path: PurePosixPath
    """Relative to the root; nothing of this file is quoted."""
    prefix: str
    """The file's text before the cursor."""
    suffix: str = ""
    """The text after it."""
    budget_tokens: int = DEFAULT_BUDGET_TOKENS
    session: str = ""
    """Whose open documents stand in for their files."""
    open_documents: tuple[OpenDocument, ...] = ()
    """The session's other buffers, most recently used first."""
    redact: bool = False
    """Take secrets out of what is quoted: it leaves this machine."""
    bytes_per_token: float = BYTES_PER_TOKEN
    patient: bool = False
    """Whether a source that asks a model is waited for, until the deadline; never on the way of a keystroke."""
    deadline_s: float = DEFAULT_DEADLINE_S
    """Sources that have not answered by then are left out, and named in `Context.late`."""


@dataclass(frozen=True, slots=True)
class ContextChunk:
    """A quoted piece of the project."""

    path: PurePosixPath
    """Relative to the root."""
    first_line: int
    """1-based; of an outline, the line of its first definition."""
    last_line: int
    text: str
    source: ContextSource
    score: float
    """The estimated probability, 0..1, that it holds a name the user is about to write."""
    tokens: int
    why: tuple[str, ...]
    """In words, the strongest reason first."""
    redactions: int = 0
    """How many secrets were taken out of the text."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A piece that was looked at and is not quoted."""

    path: PurePosixPath
    first_line: int
    last_line: int
    source: ContextSource
    score: float
    tokens: int
    reason: str
    """E.g. "no room", "overlaps a quoted chunk", "the file has changed"."""


@dataclass(frozen=True, slots=True)
class Context:
    """What is quoted for one place."""

    chunks: tuple[ContextChunk, ...]
    """The most valuable first."""
    prompt_order: tuple[int, ...]
    """Indices into `chunks` in the order in which a prompt quotes them: as before where they were quoted before, so
    that a model need not read the prompt's start anew."""
    left_out: tuple[LeftOut, ...]
    """The most valuable first; at most MAX_LEFT_OUT."""
    budget_tokens: int
    tokens: int
    candidates: int
    """How many pieces were looked at."""
    seconds: float
    late: tuple[str, ...] = ()
    """Sources that did not answer in time."""

    def in_prompt_order(self) -> list[ContextChunk]:
        """The chunks as a prompt quotes them."""
        return [self.chunks[place] for place in self.prompt_order]


MAX_LEFT_OUT = 50


def tokens_of(text: str, bytes_per_token: float = BYTES_PER_TOKEN) -> int:
    """An estimate of a text's tokens, at least 1."""
    return max(1, round(len(text.encode("utf-8", "replace")) / bytes_per_token))
