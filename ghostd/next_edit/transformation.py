"""What two edits have in common: one transformation with holes, by anti-unification of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.next_edit.changes import Change, changes
from ghostd.next_edit.roles import DEFINES, MEMBERS
from ghostd.next_edit.tokens import Token

_CONTEXT = 3
"""Tokens around a change that may be part of what it needs."""
_MAX_TOKENS = 120
"""Of a line."""
_MAX_HOLE = 40
_BOUND = MEMBERS | DEFINES
_OPENING, _CLOSING = ("(", "[", "{"), (")", "]", "}")


@dataclass(frozen=True, slots=True)
class Literal:
    """A token that must be there."""

    text: str


@dataclass(frozen=True, slots=True)
class Hole:
    """Tokens that differ from place to place."""

    number: int
    kind: str
    """Of the one token that it is; "" for any number of tokens with balanced brackets."""


@dataclass(slots=True)
class Steps:
    """How many comparisons may still be made: those of holes multiply."""

    left: int

    def take(self) -> bool:
        """Make one, if there is one left."""
        self.left -= self.left > 0
        return self.left > 0


Part = Literal | Hole
_Ends = tuple[Change, Change]
"""The first and the last change of a line."""


@dataclass(frozen=True, slots=True)
class Transformation:
    """`pattern`, with `keep` tokens of context at either end, becomes `result`."""

    pattern: tuple[Part, ...]
    result: tuple[Part, ...]
    """With the same context."""
    spaced: tuple[bool, ...]
    """Whether a space stands before each part of the result but the first."""
    line_start: bool
    """Whether the pattern begins its line."""
    alone: bool = False
    """Whether it is neither behind a dot, nor what a definition names."""

    def matches(self, tokens: Sequence[Token], at: int, steps: Steps) -> dict[int, Sequence[Token]] | None:
        """What the holes hold where the pattern stands at a token; None where it does not."""
        if self.alone and at and tokens[at - 1].text in _BOUND:
            return None
        return _match(self.pattern, 0, tokens, at, {}, steps)

    def stands(self, tokens: Sequence[Token], at: int, steps: Steps) -> bool:
        """Whether a token is part of what has been transformed already."""
        for start in range(max(at - _MAX_HOLE, 0), at + 1):
            held = _match(self.result, 0, tokens, start, {}, steps)
            if held is not None and start + _length(self.result, held) > at:
                return True
        return False

    def length(self, held: dict[int, Sequence[Token]]) -> int:
        """Of a match, in tokens."""
        return _length(self.pattern, held)

    def text(self, source: str, held: dict[int, Sequence[Token]]) -> str:
        """What becomes of a match."""
        made: list[str] = []
        for part, space in zip(self.result, (False, *self.spaced), strict=True):
            made.append(" " * space)
            if isinstance(part, Literal):
                made.append(part.text)
            elif tokens := held[part.number]:
                made.append(source[tokens[0].start : tokens[-1].end])
        return "".join(made)


@dataclass(frozen=True, slots=True)
class Rewritten:
    """One line before and after an edit, in tokens, and the texts that they are of."""

    before: Sequence[Token]
    after: Sequence[Token]
    after_text: str


def common(one: Rewritten, other: Rewritten) -> Transformation | None:
    """The transformation of which both are instances; None where there is none that says something."""
    first, second = changes(one.before, one.after), changes(other.before, other.after)
    if not first or not second or max(map(len, (one.before, one.after, other.before, other.after))) > _MAX_TOKENS:
        return None
    a, b = (first[0], first[-1]), (second[0], second[-1])
    left, right = _context(one, other, a, b)
    for size in range(left + right + 1):  # the least context that says something
        for behind in range(min(right, size), max(size - left, 0) - 1, -1):
            made = _between(one, other, (a, b), size - behind, behind)
            if made is None or (isinstance(made.pattern[0], Hole) and size - behind < left):
                continue
            if isinstance(made.pattern[-1], Hole) and behind < right:
                continue  # the hole may be a part of something larger elsewhere
            return made
    if a[0].start != b[0].start:
        return None
    return _between(one, other, (a, b), a[0].start, right)  # what differs before the change may be a hole


def _context(one: Rewritten, other: Rewritten, a: _Ends, b: _Ends) -> tuple[int, int]:
    """How many equal tokens stand before the changes, and behind them."""
    left = 0
    while (
        left < min(_CONTEXT, a[0].start, b[0].start)
        and one.before[a[0].start - left - 1].text == other.before[b[0].start - left - 1].text
    ):
        left += 1
    right = 0
    while (
        right < min(_CONTEXT, len(one.before) - a[1].end, len(other.before) - b[1].end)
        and one.before[a[1].end + right].text == other.before[b[1].end + right].text
    ):
        right += 1
    return left, right


def _between(
    one: Rewritten, other: Rewritten, ends: tuple[_Ends, _Ends], left: int, right: int
) -> Transformation | None:
    a, b = ends
    old = one.before[a[0].start - left : a[1].end + right], other.before[b[0].start - left : b[1].end + right]
    new = one.after[a[0].at - left : a[1].to + right], other.after[b[0].at - left : b[1].to + right]
    holes: dict[tuple[str, str], Hole] = {}
    pattern = _generalised(old[0], old[1], holes)
    known = set(holes.values())
    result = _generalised(new[0], new[1], holes)
    if pattern is None or result is None or not set(holes.values()) <= known:
        return None
    starts = a[0].start == left and b[0].start == left
    fixed = [part.text for part in pattern if isinstance(part, Literal)]
    if not any(len(text) > 1 for text in fixed) or (len(fixed) < 2 and not starts) or pattern == result:
        return None
    spaced = _spaces(new[0], one.after_text, result)
    if spaced is None:
        return None
    firsts = (one.before, a[0].start - left), (other.before, b[0].start - left)
    alone = not any(at and tokens[at - 1].text in _BOUND for tokens, at in firsts)
    return Transformation(tuple(pattern), tuple(result), spaced, starts, alone)


def _length(parts: Sequence[Part], held: dict[int, Sequence[Token]]) -> int:
    return sum(1 if isinstance(part, Literal) else len(held[part.number]) for part in parts)


def _generalised(one: Sequence[Token], other: Sequence[Token], holes: dict[tuple[str, str], Hole]) -> list[Part] | None:
    """The tokens that both have; what differs becomes holes, the same hole for the same pair of texts."""
    parts: list[Part] = []
    at = 0
    for change in (*changes(one, other), None):
        start = len(one) if change is None else change.start
        parts += [Literal(token.text) for token in one[at:start]]
        if change is None:
            break
        mine, theirs = one[change.start : change.end], other[change.at : change.to]
        if len(mine) == len(theirs) and all(
            m.kind == t.kind != "op" or m.text == t.text for m, t in zip(mine, theirs, strict=True)
        ):
            for m, t in zip(mine, theirs, strict=True):
                key = m.text, t.text
                parts.append(Literal(m.text) if m.text == t.text else holes.setdefault(key, Hole(len(holes), m.kind)))
        elif not mine or not theirs or not (_is_balanced(mine) and _is_balanced(theirs)):
            return None
        else:
            key = " ".join(t.text for t in mine), " ".join(t.text for t in theirs)
            parts.append(holes.setdefault(key, Hole(len(holes), "")))
        at = change.end
    return parts


def _spaces(tokens: Sequence[Token], text: str, result: Sequence[Part]) -> tuple[bool, ...] | None:
    """Where spaces stand in an instance of the result."""
    spaces: list[bool] = []
    at = 0
    for part in result:
        if isinstance(part, Literal) or part.kind:
            width = 1
        else:
            width = len(tokens) - (len(result) - 1)
            if sum(1 for each in result if isinstance(each, Hole) and not each.kind) != 1:
                return None
        if at and at < len(tokens):
            between = text[tokens[at - 1].end : tokens[at].start]
            if "\n" in between:
                return None
            spaces.append(bool(between))
        at += width
    return tuple(spaces) if at == len(tokens) and len(spaces) == len(result) - 1 else None


def _match(  # noqa: PLR0911, PLR0912 (it backtracks)
    pattern: Sequence[Part],
    index: int,
    tokens: Sequence[Token],
    at: int,
    held: dict[int, Sequence[Token]],
    steps: Steps,
) -> dict[int, Sequence[Token]] | None:
    """Backtracking over holes that hold any number of tokens."""
    if not steps.take():
        return None
    for place in range(index, len(pattern)):
        part = pattern[place]
        if isinstance(part, Literal):
            if at >= len(tokens) or tokens[at].text != part.text:
                return None
            at += 1
            continue
        known = held.get(part.number)
        if known is not None:
            here = tokens[at : at + len(known)]
            if [t.text for t in here] != [t.text for t in known]:
                return None
            at += len(known)
        elif part.kind:
            if at >= len(tokens) or tokens[at].kind != part.kind:
                return None
            held = {**held, part.number: tokens[at : at + 1]}
            at += 1
        else:
            depth = 0
            for end in range(at, min(at + _MAX_HOLE, len(tokens)) + 1):
                if depth == 0 and end > at:
                    found = _match(pattern, place + 1, tokens, end, {**held, part.number: tokens[at:end]}, steps)
                    if found is not None:
                        return found
                if end < len(tokens):
                    depth += (tokens[end].text in _OPENING) - (tokens[end].text in _CLOSING)
                    if depth < 0:
                        return None
            return None
    return held


def _is_balanced(tokens: Sequence[Token]) -> bool:
    depth = 0
    for token in tokens:
        depth += (token.text in _OPENING) - (token.text in _CLOSING)
        if depth < 0:
            return False
    return depth == 0
