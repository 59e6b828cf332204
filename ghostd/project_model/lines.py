"""What a line says of the token that comes next: its brackets and strings, how it ends so far, what a name would be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ghostd.project_model.lexicon import Lexicon
from ghostd.project_model.tokens import BREAKS, OPERATOR, QUOTE

COPIES = {"=": 0, " = ": 1, ": ": 2, " as ": 3}
"""After these, what stands before them is often repeated."""
_DEPTH = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def depth_and_quotes(lexicon: Lexicon, line: Iterable[int]) -> tuple[int, int]:
    """Brackets that the line has opened, -2 to 3, and whether a string is open: 0 or 1."""
    depth, quotes = 0, 0
    for token in line:
        kind = lexicon.kind(token)
        if kind == OPERATOR:
            depth += _DEPTH.get(lexicon.word(token).strip(), 0)
        elif kind == QUOTE:
            quotes += 1
    return max(min(depth, 3), -2), quotes & 1


def last_class(lexicon: Lexicon, line: Sequence[int]) -> int:
    """What the line ends with so far: 0 nothing, 7 what never stands at an end."""
    if not line:
        return 0
    word = lexicon.word(line[-1])
    kind = lexicon.kind(line[-1])
    if word.endswith(" "):
        return 7
    if kind == OPERATOR:
        return {":": 1, "{": 1, "(": 2, "[": 2, ",": 3, ")": 4, "]": 4}.get(word.strip(), 5)
    return 6


def position(lexicon: Lexicon, context: Sequence[int]) -> int:
    """What a name here would be: 0 an attribute, 1 the first of a line, 2 an argument, 3 something else."""
    last = context[0]
    if last < BREAKS:
        return 1
    word = lexicon.word(last).strip()
    return 0 if word in (".", "->", "::", "?.") else 2 if word in ("(", ",", "[", "{") else 3
