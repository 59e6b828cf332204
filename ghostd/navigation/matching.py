"""How well a name fits what somebody typed.

Exactly, by its beginning, by its subwords ("hreq" and "req" find `HttpRequest`), or by any part of it. Letters fit
their other case, but capitals that were typed prefer capitals; underscores need not be typed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

Tier = Literal[0, 1, 2, 3]
"""0 exact, 1 beginning, 2 subwords, 3 any part."""

_SUBWORDS = re.compile(r"[A-Z]+(?![^\W\dA-Z_])|[A-Z]?[^\W\dA-Z_]+|\d+")


class Fit(NamedTuple):
    """Sorts the better one first."""

    tier: Tier
    other_case: bool
    """Whether a capital was typed where the name has none, or the whole name differs in nothing but its case."""
    late: bool
    """Whether it begins to fit after the name's first subword."""
    extra: int
    """How many characters the name has beyond what was typed."""


def fit(query: str, name: str) -> Fit | None:
    """How `name` fits a query that is not empty; None where it does not."""
    extra = len(name) - len(query)
    if name.startswith(query):
        return Fit(0 if extra == 0 else 1, False, False, extra)
    typed, lower = query.lower(), name.lower()
    capitals = typed != query
    if lower.startswith(typed):
        return Fit(0, True, False, 0) if extra == 0 else Fit(1, capitals, False, extra)
    letters = typed.replace("_", "")
    words = subwords(name)
    late = _by_subwords(letters, words if name == lower else [word.lower() for word in words])
    if late is not None:
        other_case = capitals and _by_subwords(query.replace("_", ""), words) is None
        return Fit(2, other_case, late, extra)
    if typed in lower:
        return Fit(3, capitals and query not in name, True, extra)
    return None


def subwords(name: str) -> list[str]:
    """`HTTPResponse_of2` is made of HTTP, Response, of and 2."""
    plain = name.replace("_", "")
    if plain.isalpha() and plain.islower():  # as most are: this takes a quarter of the time
        return [word for word in name.split("_") if word]
    return _SUBWORDS.findall(name)


def _by_subwords(typed: str, words: Sequence[str]) -> bool | None:
    """Whether `typed` is made of beginnings of these words, in their order; True: without the first word.

    Follows every way at once, so that its time is bounded by the lengths' product, whatever a hostile project calls
    its functions.
    """
    if not typed or not words:
        return None
    first = _common(typed, 0, words[0])
    if first and _ends(typed, words[1:], set(range(1, first + 1))):
        return False
    return True if _ends(typed, words[1:], {0}) else None


def _ends(typed: str, words: Sequence[str], reached: set[int]) -> bool:
    """Whether the words bring one to the end of `typed` from one of the places in it."""
    end = len(typed)
    for word in words:
        if end in reached:
            return True
        for place in tuple(reached):
            if word[0] == typed[place]:
                reached.update(range(place + 1, place + 1 + _common(typed, place, word)))
    return end in reached


def _common(typed: str, place: int, word: str) -> int:
    """How many characters of `typed` from a place on the word begins with."""
    if typed.startswith(word, place):
        return len(word)
    length = 0
    for mine, theirs in zip(word, typed[place : place + len(word)], strict=False):
        if mine != theirs:
            break
        length += 1
    return length
