"""What is proposed."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
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
    def lines(self) -> tuple[str, str]:
        """The whole lines that it changes, as they are and as they would be, with their ends."""
        source = self.source
        last = source.line_of(max(self.end - 1, self.start)) + 1
        start = source.lines[self.line]
        end = source.lines[last] if last < len(source.lines) else len(source.text)
        text = source.text
        return text[start:end], text[start : self.start] + self.new + text[self.end : end]

    @property
    def effect(self) -> bytes:
        """What tells it from others in the file, whichever rule says it, and wherever its lines are moved to."""
        before, after = (text.strip().encode("utf-8", "replace") for text in self.lines)
        return blake2b(before + b"\0" + after, digest_size=16).digest()


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
