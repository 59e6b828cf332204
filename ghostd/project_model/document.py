"""A document with a hole as the model sees it, and texts whose contexts are looked up directly."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from ghostd.project_model.lexicon import Lexicon
from ghostd.project_model.segment import count_followers
from ghostd.project_model.tokens import EDGE, Indentation, indent_width

MAX_TOKEN = 0x10FFFF
"""Tokens are code points."""
MAX_PREFIX_CHARS = 32_000
MAX_SUFFIX_CHARS = 8_000
"""Of a larger document only this much before and after the hole is read: some 800 and 200 lines."""
DISTANCES = (8, 24, 60, 150, 400, 1200, 9998)
"""Bounds, in tokens, of how near to the hole one was last used."""
NOWHERE = 9999
_FEW = 100
"""Tokens that are looked for one by one."""


class TokenText:
    """A token sequence in memory, in which occurrences of a context are found.

    Both strings hold one character for each token, its code point being the token: that makes searching a matter
    of `str.find`. `origin` is the position that others are near to or far from.
    """

    def __init__(self, tokens: str, shapes: str, origin: int) -> None:
        self.tokens = tokens
        self.shapes = shapes
        self.origin = origin
        self._distinct: list[int] | None = None
        self._found: dict[tuple[str, bool], list[int]] = {}
        self._following: dict[str, dict[int, int]] = {}

    def distinct(self, start: int, stop: int) -> list[int]:
        """Every token of the text in this range, once, ascending."""
        if self._distinct is None:
            if stop - start <= _FEW:
                return [token for token in range(start, stop) if chr(token) in self.tokens]
            self._distinct = sorted(map(ord, set(self.tokens)))
        return self._distinct[bisect_left(self._distinct, start) : bisect_left(self._distinct, stop)]

    def ends(self, pattern: str, limit: int) -> list[int]:
        """Last positions of occurrences of these tokens, at most `limit`, the nearest to the origin."""
        return self._ends(pattern, limit, self.tokens, False)

    def shape_ends(self, pattern: str, limit: int) -> list[int]:
        """The same for shapes."""
        return self._ends(pattern, limit, self.shapes, True)

    def _ends(self, pattern: str, limit: int, text: str, shapes: bool) -> list[int]:
        key = (pattern, shapes)
        found = self._found.get(key)
        if found is not None:
            return found
        found = []
        last = len(pattern) - 1
        stop = self.origin
        at = text.rfind(pattern, 0, stop)
        while at >= 0 and len(found) < limit:
            found.append(at + last)
            at = text.rfind(pattern, 0, at + last)
        limit = max(limit, len(found) + limit // 4) if stop < len(text) else limit
        at = text.find(pattern, stop)
        while at >= 0 and len(found) < limit:
            found.append(at + last)
            at = text.find(pattern, at + 1)
        if len(self._found) > 2_000:
            self._found.clear()
        self._found[key] = found
        return found

    def followers(self, token: str, limit: int) -> dict[int, int]:
        """What follows this token, and how often, at the places that `ends` finds."""
        known = self._following.get(token)
        if known is None:
            tokens = self.tokens
            end = len(tokens) - 1
            known = count_followers([ord(tokens[place + 1]) for place in self.ends(token, limit) if place < end])
            if len(self._following) > 2_000:
                self._following.clear()
            self._following[token] = known
        return known

    def nearest(self, token: str) -> int:
        """How far from the origin the token is: the first of DISTANCES that is as large, or their number."""
        tokens, origin = self.tokens, self.origin
        before = tokens.rfind(token, 0, origin)
        behind = tokens.find(token, origin)
        distance = origin - before if before >= 0 else NOWHERE
        if 0 <= behind < origin + distance:
            distance = behind - origin
        return bisect_left(DISTANCES, distance)


@dataclass(frozen=True, slots=True)
class Hole:
    """Where to write, and what stands around it."""

    text: TokenText
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
    tokens, shapes = lexicon.texts(above, indentation)
    body = current.lstrip()
    space = current[: len(current) - len(body)]
    new_line = not current and bool(above or prefix)
    typed = ""
    blank = bool(above) and not above.rpartition("\n")[2].strip()
    line = list(lexicon.line(body)) if body else []
    if line:
        typed = lexicon.word(line.pop())
        # Keywords bring the space before them along, and three quotes are one token: let these form, too.
        if line and (lexicon.word(line[-1]) == " " or (typed in "\"'" and lexicon.word(line[-1]) == typed)):
            typed = lexicon.word(line.pop()) + typed
    edge = chr(EDGE)
    head = chr(indentation.step(indent_width(space), blank))
    tokens = edge + tokens + head + "".join(map(chr, line))
    shapes = edge + shapes + head + "".join(chr(lexicon.shape(token)) for token in line)
    tokens_below, shapes_below = lexicon.texts(below, Indentation())
    text = TokenText(tokens + edge + tokens_below, shapes + edge + shapes_below, len(tokens))
    next_line = next((text for text in below.split("\n", 40)[:40] if text.strip()), "")
    return Hole(
        text=text,
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
