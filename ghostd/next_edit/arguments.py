"""Parameters of definitions, and arguments of calls, from tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ghostd.next_edit.blocks import Function
from ghostd.next_edit.document import Source

_RECEIVERS = frozenset(("self", "cls", "this"))
_MODIFIERS = frozenset(("public", "private", "protected", "readonly", "mut", "comptime", "noalias", "override", "&"))
_OPENING = frozenset("([{")
_MAX_TOKENS = 2_000
"""Between the parentheses; longer ones are left alone."""
_MAX_PARAMETERS = 64
"""Or arguments."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a definition."""

    name: str
    text: str
    default: str | None
    """None: it must be given."""
    style: Literal["plain", "keyword", "rest"] = "plain"
    """keyword: only by its name. rest: takes what is left."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call."""

    text: str
    start: int
    end: int
    name: str = ""
    """"" for one by its place."""
    value: str = ""
    spread: bool = False


def pieces(source: Source, opening: int) -> list[tuple[int, int]] | None:
    """Token ranges between the commas of a bracket; None where it has no partner, or holds too much."""
    close = source.scopes.pairs.get(opening, -1)
    if not opening < close <= opening + _MAX_TOKENS:
        return None
    found, start, place = [], opening + 1, opening + 1
    angles = 0
    while place <= close:
        token = source.tokens[place]
        if token.text == "<" and source.family in ("typescript", "rust") and _is_generic(source, place):
            angles += 1
        elif token.text in (">", ">>") and angles:
            angles = max(angles - len(token.text), 0)
        elif place == close or (token.text == "," and not angles):
            if place > start:
                found.append((start, place))
            start = place + 1
        elif token.text in _OPENING and token.kind == "op" and source.scopes.pairs.get(place, -1) > place:
            place = source.scopes.pairs[place]
        place += 1
    return found if len(found) <= _MAX_PARAMETERS else None


def parameters(source: Source, function: Function) -> list[Parameter] | None:
    """Of a definition; None where they cannot be read. The receiver (`self`) is left out."""
    opening = source.token_at(function.head)
    ranges = pieces(source, opening) if opening >= 0 and source.tokens[opening].text == "(" else None
    if ranges is None:
        return None
    found: list[Parameter] = []
    only_keywords = False
    for place, (start, end) in enumerate(ranges):
        tokens = source.tokens[start:end]
        text = source.text[tokens[0].start : tokens[-1].end]
        words = [token for token in tokens if token.text not in _MODIFIERS]
        if source.family == "python" and text in ("*", "/"):
            only_keywords = only_keywords or text == "*"
            continue
        if not words:
            return None
        rest = words[0].text in ("*", "**", "...")
        name = words[1] if rest and len(words) > 1 else words[0]
        if name.kind != "name":
            return None
        if place == 0 and (name.text in _RECEIVERS or _is_receiver(source, function, start, end)):
            continue
        equal = _equal(source, start, end)
        default = None if equal < 0 else source.text[source.tokens[equal + 1].start : tokens[-1].end]
        if equal < 0 and any(t.text == "?" and t.start == name.end for t in tokens):
            default = "undefined"
        style: Literal["plain", "keyword", "rest"] = "rest" if rest else "keyword" if only_keywords else "plain"
        found.append(Parameter(name.text, text, default, style))
        only_keywords = only_keywords or (rest and source.family == "python")
    return found


def arguments(source: Source, opening: int) -> list[Argument] | None:
    """Of a call whose "(" is the token `opening`."""
    ranges = pieces(source, opening)
    if ranges is None:
        return None
    found = []
    for start, end in ranges:
        tokens = source.tokens[start:end]
        text = source.text[tokens[0].start : tokens[-1].end]
        spread = tokens[0].text in ("*", "**", "...")
        name, value = "", text
        if source.family == "python" and len(tokens) > 2 and tokens[0].kind == "name" and tokens[1].text == "=":
            name, value = tokens[0].text, source.text[tokens[2].start : tokens[-1].end]
        if source.family == "python" and any(t.text == "for" for t in tokens) and len(ranges) == 1:
            spread = True  # a generator without parentheses of its own
        found.append(Argument(text, tokens[0].start, tokens[-1].end, name, value, spread))
    return found


def _is_receiver(source: Source, function: Function, start: int, end: int) -> bool:
    """Zig: whether the first parameter is the type around, so that calls by `.name()` leave it out."""
    if source.family != "zig" or not function.member:
        return False
    owner = source.scopes.type_at(function.head)
    words = {token.text for token in source.tokens[start:end]}
    return owner is not None and bool(words & {owner.type_name, "Self", "This"})


def _equal(source: Source, start: int, end: int) -> int:
    place = start
    while place < end:
        if source.tokens[place].text == "=":
            return place
        partner = source.scopes.pairs.get(place, -1)
        place = partner + 1 if partner > place else place + 1
    return -1


def _is_generic(source: Source, at: int) -> bool:
    """Whether a "<" begins type arguments, and compares nothing."""
    tokens = source.tokens
    if not at or tokens[at - 1].end != tokens[at].start:
        return False
    for place in range(at + 1, min(at + 40, len(tokens))):
        if tokens[place].text in (">", ">>"):
            return True
        if tokens[place].text in (";", ")", "&&", "||", "==", "==="):
            return False
    return False
