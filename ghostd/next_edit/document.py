"""One file's text, and what is looked up in it again and again."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path, PurePosixPath

from ghostd.navigation.families import family_of
from ghostd.next_edit.history import Edit
from ghostd.next_edit.scopes import Scopes, scopes_of
from ghostd.next_edit.tokens import Token, code, tokens_in


@dataclass(frozen=True, eq=False)
class Source:
    """A file as it is now: as an editor has it, or on the disk. Offsets are characters."""

    root: Path
    path: PurePosixPath
    text: str

    @property
    def file(self) -> Path:
        """Absolute."""
        return self.root / self.path

    @cached_property
    def family(self) -> str:
        """Of its language; "" for one that is not indexed."""
        return family_of(self.path)

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Without comments and line ends."""
        return code(tokens_in(self.text, self.path))

    @cached_property
    def starts(self) -> list[int]:
        """Of the tokens."""
        return [token.start for token in self.tokens]

    @cached_property
    def scopes(self) -> Scopes:
        """Its functions and blocks."""
        return scopes_of(self.text, self.tokens, self.family)

    @cached_property
    def lines(self) -> list[int]:
        """Where the lines start; only line feeds, with or without a carriage return, end one."""
        starts = [0]
        at = self.text.find("\n")
        while at >= 0:
            starts.append(at + 1)
            at = self.text.find("\n", at + 1)
        return starts

    def line_of(self, offset: int) -> int:
        """0-based."""
        return bisect_right(self.lines, offset) - 1

    def line_span(self, line: int) -> tuple[int, int]:
        """Of a line without its end."""
        start = self.lines[line]
        end = self.lines[line + 1] - 1 if line + 1 < len(self.lines) else len(self.text)
        return start, end - 1 if end > start and self.text[end - 1] == "\r" else end

    def token_at(self, offset: int) -> int:
        """The index of the token that starts there; -1 where none does."""
        at = bisect_right(self.starts, offset) - 1
        return at if at >= 0 and self.starts[at] == offset else -1

    def span_of(self, edit: Edit) -> tuple[int, int] | None:
        """Where an edit's lines are now; None where they are no longer what they were."""
        if not 0 <= edit.line < len(self.lines):
            return None
        start = self.lines[edit.line]
        end = start + sum(map(len, edit.after))
        return (start, end) if self.text[start:end] == "".join(edit.after) else None

    def before(self, edit: Edit) -> str | None:
        """The text without the edit; None where that cannot be told."""
        span = self.span_of(edit)
        return None if span is None else self.text[: span[0]] + "".join(edit.before) + self.text[span[1] :]

    @cached_property
    def version(self) -> str:
        """What tells this text from any other."""
        return blake2b(self.text.encode("utf-8", "replace"), digest_size=16).hexdigest()
