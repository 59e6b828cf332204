"""What is proposed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from ghostd.next_edit.document import Source

Kind = Literal["rename", "signature", "repeat", "import", "model"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A piece of one file to be replaced."""

    root: Path
    path: PurePosixPath
    start: int
    """In characters of the text that `version` names."""
    end: int
    line: int
    """0-based, of `start`."""
    old: str
    """What stands there."""
    new: str
    kind: Kind
    reason: str
    """One sentence for people."""
    confidence: float
    """0 to 1."""
    version: str
    """BLAKE2b-128 of the file's text, in hexadecimal digits: of another text nothing is said."""
    context: str = ""
    """The line that it begins on, without indentation: what is rejected there is known by it."""
    placeholder: bool = False
    """Whether something in `new` stands for what only the user can know."""

    @property
    def file(self) -> Path:
        """Absolute."""
        return self.root / self.path


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
    line = source.line_of(start)
    first, last = source.line_span(line)
    return Proposal(
        source.root,
        source.path,
        start,
        end,
        line,
        source.text[start:end],
        new,
        kind,
        reason,
        confidence,
        source.version,
        source.text[first:last].strip()[:200],
        placeholder,
    )
