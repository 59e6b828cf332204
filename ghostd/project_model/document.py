"""A document with a hole as the model sees it, and texts whose contexts are looked up directly."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.project_model.lexicon import Lexicon
from ghostd.project_model.tokens import EDGE, Indentation

MAX_MATCH = 16
MAX_PREFIX_CHARS = 120_000
MAX_SUFFIX_CHARS = 60_000
"""Of a larger document only this much before and after the hole is read: some 3,000 and 1,500 lines."""


class TextIndex:
    """A token sequence in memory, in which occurrences of a context are found.

    `origin` is the position that others are near to or far from.
    """

    def __init__(self, lexicon: Lexicon, tokens: Sequence[int], origin: int) -> None:
        self.tokens = tokens
        shape = lexicon.shape
        self.shapes = shapes = [shape(token) for token in tokens]
        runs: defaultdict[tuple[int, ...], list[int]] = defaultdict(list)
        for position, run in enumerate(zip(shapes, shapes[1:], shapes[2:], strict=False), 2):
            runs[run].append(position)
        self._runs = dict(runs)
        self.origin = origin
        places: defaultdict[int, list[int]] = defaultdict(list)
        for position, token in enumerate(tokens):
            places[token].append(position)
        self.places = dict(places)
        self._pairs: dict[tuple[int, int], list[int]] = {}

    def after(self, last: int, limit: int) -> list[int]:
        """Positions of this token, at most `limit`, those nearest to the origin."""
        return self._nearest(self.places.get(last, []), limit)

    def after_pair(self, last: int, before: int, limit: int) -> list[int]:
        """Positions of `last` that follow `before`."""
        key = (last, before)
        found = self._pairs.get(key)
        if found is None:
            tokens = self.tokens
            places = self.places.get(last, ())
            found = self._nearest([p for p in places if p and tokens[p - 1] == before], limit)
            if len(self._pairs) > 5_000:
                self._pairs.clear()
            self._pairs[key] = found
        return found

    def after_shapes(self, last: tuple[int, ...], limit: int) -> list[int]:
        """Positions that end these three shapes, given in the order of the text."""
        return self._nearest(self._runs.get(last, []), limit)

    def _nearest(self, places: list[int], limit: int) -> list[int]:
        if len(places) <= limit:
            return places
        here = bisect_left(places, self.origin)
        start = min(max(here - limit * 3 // 4, 0), len(places) - limit)
        return places[start : start + limit]


@dataclass(frozen=True, slots=True)
class Hole:
    """Where to write, and what stands around it."""

    text: TextIndex
    """Prefix and suffix, an EDGE for the hole between; its origin is the hole."""
    line: tuple[int, ...]
    """Tokens of the cursor's line before the cursor, without those in `typed`."""
    typed: str
    """The end of the text before the cursor, which may be a part of a token: what is written starts with it."""
    new_line: bool
    """The cursor is at column 0 of a line: its indentation may have to be written, too."""
    above: str
    """The line before that is not blank, with its indentation."""
    after_blank: bool
    """Blank lines stand between that line and the cursor's."""
    unit: str
    """One level of indentation."""
    eol: str
    """The document's line break."""
    rest: str
    """What follows the cursor on its line, without spaces around it."""
    next_line: str
    """The next line that is not blank, without its line break; "" at the end of the document."""
    own_indent: str
    """White space before the cursor's line."""


def read_hole(lexicon: Lexicon, prefix: str, suffix: str) -> Hole:
    """Tokenize the document around the cursor."""
    eol = "\r\n" if "\r\n" in prefix or "\r\n" in suffix else "\n"
    prefix = _end(prefix, MAX_PREFIX_CHARS).replace("\r\n", "\n")
    suffix = suffix[:MAX_SUFFIX_CHARS].replace("\r\n", "\n")
    above, _, current = prefix.rpartition("\n")
    rest, _, below = suffix.partition("\n")
    indentation = Indentation()
    tokens = [EDGE, *lexicon.tokens(above, indentation)]
    body = current.lstrip()
    space = current[: len(current) - len(body)]
    new_line = not current and bool(above or prefix)
    typed = ""
    blank = bool(above) and not above.rpartition("\n")[2].strip()
    tokens.append(indentation.step(space, blank))
    line = list(lexicon.line(body)) if body else []
    if line:
        typed = lexicon.word(line.pop())
        # Keywords bring the space before them along, and three quotes are one token: let these form, too.
        if line and (lexicon.word(line[-1]) == " " or (typed in "\"'" and lexicon.word(line[-1]) == typed)):
            typed = lexicon.word(line.pop()) + typed
    tokens += line
    origin = len(tokens)
    tokens.append(EDGE)
    behind = Indentation()
    tokens += lexicon.tokens(below, behind)
    next_line = next((text for text in below.split("\n", 40)[:40] if text.strip()), "")
    return Hole(
        text=TextIndex(lexicon, tokens, origin),
        line=tuple(line),
        typed=typed,
        new_line=new_line,
        above=next((text for text in reversed(above.split("\n")[-40:]) if text.strip()), ""),
        after_blank=blank,
        unit=indent_unit(prefix, suffix),
        eol=eol,
        rest=rest.strip(),
        next_line=next_line,
        own_indent=space,
    )


def indent_unit(prefix: str, suffix: str) -> str:
    """One level of indentation, as the document has it nearest to the cursor; four spaces where it has none."""
    smallest = 0
    lines = prefix[-8_000:].split("\n") + suffix[:4_000].split("\n")
    for line in lines:
        if line.startswith("\t"):
            return "\t"
        width = len(line) - len(line.lstrip(" "))
        if width >= 2 and (not smallest or width < smallest) and line.strip():
            smallest = width
    return " " * (smallest if smallest in (2, 3, 4, 8) else 4)


def _end(text: str, chars: int) -> str:
    """The last `chars` of the text, from a line start."""
    if len(text) <= chars:
        return text
    return text[text.find("\n", len(text) - chars) + 1 :]
