"""The files that are typed: held-out ones, and one that is always at hand."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from retrieval_projects import GROUPS

FILES = (
    ("python", "scrapy==2.19.0", "engine.py"),
    ("typescript", "rxjs", "TestScheduler.ts"),
    ("rust", "syn", "punctuated.rs"),
    ("zig", "zig's std", "pdb.zig"),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A file, and the part of it that is typed."""

    language: str
    path: Path
    text: str
    start: int
    end: int
    """The text from here on stands behind the cursor."""

    def at(self, share: float) -> Source:
        """Typed from the line on that begins behind this share of the text."""
        start = self.text.index("\n", int(len(self.text) * share)) + 1
        return replace(self, start=start)

    def with_hole(self, chars: int) -> Source:
        """Only whole lines of so many characters are typed, and what follows them stands there."""
        return replace(self, end=self.text.index("\n", self.start + chars))

    def goes_on(self, typed: int, text: str) -> bool:
        """Whether the author writes this behind the characters that are typed."""
        return self.text[typed : self.end].startswith(text)


def sources() -> list[Source]:
    """One file of each language; packages are fetched where they are not there yet."""
    found = []
    for language, project, name in FILES:
        found.append(_source(language, next(GROUPS[language][project]().rglob(name))))
    return found


def at_hand() -> list[Source]:
    """A file that needs no fetching, of Python's own library."""
    return [_source("python", Path(shutil.__file__))]


def _source(language: str, path: Path) -> Source:
    text = path.read_text("utf-8")
    return Source(language, path, text, 0, len(text))
