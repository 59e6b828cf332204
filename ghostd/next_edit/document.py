"""One file's text, and what is looked up in it again and again."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path, PurePosixPath

from ghostd.navigation.families import family_of
from ghostd.next_edit.history import Edit
from ghostd.next_edit.scopes import Scopes, scopes_of
from ghostd.next_edit.tokens import MAX_LINE_CHARS, Token, code, line_starts, tokens_of_file


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
    def all_tokens(self) -> tuple[Token, ...]:
        """With comments and line ends; none where a line has more than MAX_LINE_CHARS."""
        edges = (*self.lines, len(self.text))
        longest = max(end - start for start, end in pairwise(edges))
        return tokens_of_file(self.text, self.path) if longest <= MAX_LINE_CHARS else ()

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """Without comments and line ends."""
        return code(self.all_tokens)

    @cached_property
    def starts(self) -> list[int]:
        """Of the tokens."""
        return [token.start for token in self.tokens]

    @cached_property
    def _named(self) -> Mapping[str, list[int]]:
        places: dict[str, list[int]] = {}
        for at, token in enumerate(self.tokens):
            if token.kind == "name":
                places.setdefault(token.text, []).append(at)
        return places

    def places(self, name: str) -> Sequence[int]:
        """The indices of the tokens that are this name."""
        return self._named.get(name, ())

    @cached_property
    def scopes(self) -> Scopes:
        """Its functions and blocks."""
        return scopes_of(self.text, self.tokens, self.family)

    @cached_property
    def lines(self) -> list[int]:
        """Where the lines start."""
        return line_starts(self.text)

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

    def tokens_between(self, start: int, end: int) -> tuple[int, int]:
        """The first of the tokens that lie in a part of the text, and the one behind the last."""
        first, behind = bisect_left(self.starts, start), bisect_left(self.starts, end)
        return first, behind - 1 if behind > first and self.tokens[behind - 1].end > end else behind

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
