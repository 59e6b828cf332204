"""A type's bases, from its head on one line (`Symbol.signature`)."""

from __future__ import annotations

import re

from ghostd.indexed import Symbol
from ghostd.resolve.families import family_of

_MAX_BASES = 32
_NAME = re.compile(r"[A-Za-z_$][\w$]*(?:(?:\.|::)[A-Za-z_$][\w$]*)*")
_KEYWORD = re.compile(r"\b(extends|implements)\b")
_NO_BASES = frozenset(("object", "dyn", "impl", "for", "where", "Sized", "Self"))


def bases(symbol: Symbol) -> tuple[str, ...]:
    """The names of the types that this one extends or implements, as written, without type arguments."""
    if symbol.kind not in ("class", "interface", "trait", "struct"):
        return ()
    family = family_of(str(symbol.path))
    head = symbol.signature
    if family == "python":
        start = head.find("(")
        listed = head[start + 1 :] if start >= 0 and symbol.kind == "class" else ""
        parts = [part for part in _split(listed) if "=" not in part and not part.lstrip().startswith("*")]
    elif family == "rust" and symbol.kind == "trait":
        _, colon, after = without_brackets(head).partition(":")
        parts = after.partition(" where ")[0].replace("?", "").split("+") if colon else []
    elif family == "node":
        found = _KEYWORD.split(without_brackets(head))
        parts = [part for listed in found[2::2] for part in listed.split(",")]
    else:
        parts = []
    names = [match[0] for part in parts[:_MAX_BASES] if (match := _NAME.match(part.strip()))]
    return tuple(dict.fromkeys(name for name in names if name not in _NO_BASES))


def _split(text: str) -> list[str]:
    """The arguments up to the closing parenthesis."""
    parts: list[str] = []
    depth = 0
    start = 0
    for place, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                return [*parts, text[start:place]]
        elif character == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def without_brackets(text: str) -> str:
    """The text without what stands in (), [], {} and <>; `=>` and `->` close nothing."""
    kept: list[str] = []
    depth = 0
    before = ""
    for character in text:
        if character in "([{<":
            depth += 1
        elif character in ")]}" or (character == ">" and before not in "=-"):
            depth = max(0, depth - 1)
        elif depth == 0:
            kept.append(character)
        before = character
    return "".join(kept)
