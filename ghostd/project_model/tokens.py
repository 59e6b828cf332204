"""Text ↔ tokens of the project model: identifiers, keywords and operators with their spaces, words of strings.

A line is tokenized by itself, so that lines can be remembered. Operators and keywords take the single spaces
around them along (`" = "`, `", "`, `"return "`), so an identifier looks the same wherever it stands. Joined, the
tokens of a line are the line. What lies between two lines (break, blank lines, change of indentation) is one
token of a small fixed set: indentation counts relative to the lines above, so that a block learned at one depth
fits at another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

MAX_WORD = 64
"""Longer words are cut into pieces: they are data, not names."""

_KEYWORDS = re.findall(
    r"\w+",
    """
abstract and as assert async await break case catch class const continue crate def default defer del delete do elif
else enum errdefer except export extends extern final finally fn for from func function global go goto if impl
implements import in inline instanceof interface is lambda let loop match mod mut namespace new nonlocal not of or
orelse override package pass private protected pub public raise readonly ref return select static struct super
switch template throw throws trait try type typedef typename typeof union unsafe use using var virtual void volatile
where while with yield
""",
)


def _either(words: Sequence[str]) -> str:
    """A pattern for these words in which common beginnings are looked at once: alternatives are tried one by one."""
    ends: dict[str, list[str]] = {}
    for word in words:
        if word:
            ends.setdefault(word[0], []).append(word[1:])
    parts = "|".join(letter + _either(rest) for letter, rest in ends.items())
    return f"(?:{parts})?" if "" in words and parts else f"(?:{parts})" if len(ends) > 1 else parts


_OPERATORS = r"""
    \*\*=|//=|>>=|<<=|===|!==|\.\.\.|<=>|&&=|\|\|=|\?\?=
  | \*\*|//|>>|<<|==|!=|<=|>=|:=|->|=>|\+=|-=|\*=|/=|%=|&=|\|=|\^=|@=|&&|\|\||\+\+|--|::|\?\.|\?\?
  | [^\w\s"'`]
"""

_TOKEN = re.compile(
    rf"""
    [ ]?(?<![\w$]){_either(_KEYWORDS)}(?![\w$])[ ]?
  | (?:[^\W\d]|\$)[\w$]{{0,{MAX_WORD - 1}}}
  | \d\w{{0,{MAX_WORD - 1}}}(?:\.\d\w*)?
  | \"\"\"|'''|["'`]
  | \(\)|\[\]|\{{\}}
  | [ ]{{0,2}}(?:\#|//)+[ ]?
  | [ ]?(?:{_OPERATORS})[ ]?
  | [ ]{{1,32}}|\s{{1,32}}|.
    """,
    re.VERBOSE | re.DOTALL,
)

# --- the fixed tokens ---------------------------------------------------------

BREAKS = 12
"""Ids below are line breaks: 6 changes of indentation, without and with blank lines before the line."""
SAME, DEEPER = 0, 1
"""Changes of indentation; 2 to 5 are back by 1, 2, 3, and 4 or more levels."""
EDGE = 12
"""Start of a file, end of a file, and the hole in an open document."""
END_OF_LINE = 13
"""Stands for any line break where only the end of the line matters."""
ANY_NAME, ANY_NUMBER = 14, 15
"""What names and numbers are in a shape: a token sequence in which only its structure is left."""
FIRST_WORD = 16
"""Ids below are reserved."""


def split_line(body: str) -> list[str]:
    """The tokens of one line without its indentation and line end; joined they are `body` again."""
    return _TOKEN.findall(body)


def is_break(token: int) -> bool:
    """Whether the token ends a line."""
    return token < BREAKS or token == EDGE


NAME, KEYWORD, OPERATOR, NUMBER, QUOTE, SPACE, BREAK = range(7)
"""Kinds of token."""

_KINDS = (
    (re.compile(r"(?:[^\W\d]|\$)[\w$]*\Z"), NAME),
    (re.compile(r"\d"), NUMBER),
    (re.compile(r"[\"'`]"), QUOTE),
    (re.compile(r"\s+\Z"), SPACE),
)
_WORDS = frozenset(_KEYWORDS)


def kind_of(word: str) -> int:
    """NAME, KEYWORD, … of a token's text; "" is a BREAK."""
    if not word:
        return BREAK
    if word.strip(" ") in _WORDS:
        return KEYWORD
    if word.isascii() and word.isidentifier():
        return NAME
    for pattern, kind in _KINDS:
        if pattern.match(word):
            return kind
    return OPERATOR


def shape_of(token: int, word: str) -> int:
    """The token itself, or ANY_NAME or ANY_NUMBER."""
    kind = kind_of(word)
    return ANY_NAME if kind == NAME else ANY_NUMBER if kind == NUMBER else token


def indent_width(space: str) -> int:
    """The columns that a line's indentation takes."""
    return len(space.expandtabs(4))


class Indentation:
    """Turns the indentation of one line after the other into break tokens, and back."""

    def __init__(self) -> None:
        self._widths = [0]
        self._first = True

    def step(self, width: int, blank: bool) -> int:
        """The break token before a line indented by so many columns; `blank`: blank lines stand between."""
        widths = self._widths
        change = SAME
        if width > widths[-1]:
            widths.append(width)
            change = DEEPER
        else:
            popped = 0
            while len(widths) > 1 and width < widths[-1]:
                widths.pop()
                popped += 1
            if width > widths[-1]:
                widths.append(width)
            change = SAME if not popped else min(popped + 1, 5)
        return change + 6 if blank else change

    @property
    def widths(self) -> tuple[int, ...]:
        """The columns of the levels that the last line is in; can be set to carry on from there."""
        return tuple(self._widths)

    @widths.setter
    def widths(self, widths: Sequence[int]) -> None:
        self._widths = list(widths)

    def width_after(self, token: int, unit: int) -> int:
        """The columns of indentation that a break token leads to, from here."""
        change = token % 6
        widths = self._widths
        if change == SAME:
            return widths[-1]
        if change == DEEPER:
            return widths[-1] + unit
        return widths[max(len(widths) - change, 0)]

    @property
    def depth(self) -> int:
        """Levels of indentation of the last line."""
        return len(self._widths) - 1


def lines_of(text: str) -> Iterator[tuple[int, str, bool]]:
    """(columns of indentation, body, whether blank lines stand before) of each line that is not blank."""
    blank = False
    for line in text.split("\n"):
        body = line.strip()
        if not body:
            blank = True
            continue
        yield indent_width(line[: len(line) - len(line.lstrip())]), body, blank
        blank = False
