"""What is proposed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from ghostd.next_edit.document import Source

Kind = Literal["rename", "signature", "repeat", "import", "model"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A piece of one file to be replaced."""

    source: Source
    """The file as it is now; of another text nothing is said."""
    start: int
    """In characters."""
    end: int
    new: str
    kind: Kind
    reason: str
    """One sentence for people."""
    confidence: float
    """0 to 1."""
    placeholder: bool = False
    """Whether something in `new` stands for what only the user can know."""

    @property
    def path(self) -> PurePosixPath:
        """Of the file, relative to its root."""
        return self.source.path

    @property
    def old(self) -> str:
        """What stands there."""
        return self.source.text[self.start : self.end]

    @property
    def line(self) -> int:
        """0-based, of `start`."""
        return self.source.line_of(self.start)

    @property
    def context(self) -> str:
        """The line that it begins on, without indentation: what is rejected there is known by it."""
        first, last = self.source.line_span(self.line)
        return self.source.text[first:last].strip()[:200]


def propose(
    source: Source,
    start: int,
    end: int,
    new: str,
    kind: Kind,
    reason: str,
    confidence: float,
    *,
    placeholder: bool = False,
) -> Proposal:
    """A proposal for a place of a file as it is now."""
    return Proposal(source, start, end, new, kind, reason, confidence, placeholder)
