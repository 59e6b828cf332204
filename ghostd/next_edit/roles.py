"""What a name is at one place of a source text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ghostd.next_edit.blocks import Function
from ghostd.next_edit.document import Source

Role = Literal["parameter", "local", "member", "top", "use"]
"""use: nothing is defined there."""

DEFINES = frozenset(
    [
        "def",
        "class",
        "function",
        "fn",
        "struct",
        "enum",
        "trait",
        "interface",
        "type",
        "mod",
        "union",
        "namespace",
        "macro_rules",
        "func",
    ]
)
_BINDS = frozenset(["let", "const", "var", "mut", "static", "for", "ref"])
MEMBERS = frozenset((".", "?.", "::"))
_OWN = frozenset(("self", "this", "cls", "Self"))
_PATTERN_ENDS = frozenset(("=", ":=", "in", "of", ":"))
_BEFORE_PARAMETERS = frozenset(
    ("*", "**", "...", "&", "mut", "comptime", "noalias", "{", "public", "private", "protected", "readonly")
)
_MAX_WORDS = 16
"""Before a parameter's name."""
_MAX_DEPTH = 64
"""Of the patterns that a parameter may stand in."""


@dataclass(frozen=True, slots=True)
class Defined:
    """What a place defines, and where that is known."""

    role: Role
    start: int
    """In characters, of the part of the file where the name means this."""
    end: int
    function: Function | None = None
    """The one whose parameter it is."""


def role_at(source: Source, at: int) -> Defined:  # noqa: PLR0911 (one for each role)
    """The role of the name that is the token `at`."""
    tokens, scopes, family = source.tokens, source.scopes, source.family
    token = tokens[at]
    whole = Defined("top", 0, len(source.text))
    before = tokens[at - 1].text if at else ""
    behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
    named = scopes.by_name.get(token.start)
    if named is not None:
        return Defined("member", 0, len(source.text)) if named.member else _around(source, token.start)
    for function in scopes.heads_at(token.start):
        if token.start < function.head_end and is_parameter(source, function, at):
            return Defined("parameter", function.head, function.end, function)
    if before in MEMBERS:
        owner = tokens[at - 2].text if at >= 2 else ""
        if owner in _OWN and behind in ("=", ":") and family in ("python", "typescript"):
            return Defined("member", 0, len(source.text))
        return Defined("use", 0, 0)
    if before in DEFINES:
        kind = scopes.type_at(token.start - 1)
        inner = scopes.function_at(token.start)
        if kind is not None and inner is None and before in ("def", "fn", "function", "func"):
            return Defined("member", 0, len(source.text))
        return _around(source, token.start)
    if _is_bound(source, at):
        inner = scopes.function_at(token.start)
        kind = scopes.type_at(token.start)
        if kind is not None and (inner is None or kind.start > inner.head):
            if before in ("const", "var") and family == "zig":
                return whole
            return Defined("member", 0, len(source.text))
        return _around(source, token.start)
    return Defined("use", 0, 0)


def _around(source: Source, offset: int) -> Defined:
    """A name that is defined at a place: known in the function, or the block, around that."""
    function = source.scopes.function_at(offset)
    if function is None:
        return Defined("top", 0, len(source.text))
    if source.family == "python":
        return Defined("local", function.head, function.end)
    block = source.scopes.block_at(offset)
    if block is None or block.start < function.head:
        return Defined("local", function.head, function.end)
    return Defined("local", block.start, block.end)


def is_parameter(source: Source, function: Function, at: int) -> bool:
    """Whether a name in a function's head is that of a parameter."""
    tokens = source.tokens
    opening = source.token_at(function.head)
    if opening < 0 or tokens[opening].text != "(":
        return function.head_end > tokens[at].start >= function.head
    if not _is_directly_in(source, opening, at) or at + 1 >= len(tokens):
        return False
    place = at - 1
    while place > max(opening, at - _MAX_WORDS) and tokens[place].text in _BEFORE_PARAMETERS:
        place -= 1
    return tokens[place].text in ("(", ",") and (tokens[at + 1].text in (",", ")", ":", "=", "?", "}"))


def _is_directly_in(source: Source, opening: int, at: int) -> bool:
    """Whether only the braces of patterns stand between a bracket and a token: it is in no default, and no type."""
    place = source.scopes.around[at]
    for _ in range(_MAX_DEPTH):
        if place <= opening:
            return place == opening
        if source.tokens[place].text != "{" and place in source.scopes.pairs:
            return False
        place = source.scopes.around[place]
    return False


def _is_bound(source: Source, at: int) -> bool:  # noqa: PLR0911 (one for each form)
    """Whether a value gets this name here."""
    tokens, family = source.tokens, source.family
    before = tokens[at - 1].text if at else ""
    behind = tokens[at + 1].text if at + 1 < len(tokens) else ""
    if before in _BINDS or (before == "as" and family == "python") or before == "|" == behind:
        return True
    first = at == 0 or _starts_line(source, at)
    if family == "python":
        if behind in ("=", ":=") and (first or behind == ":=" or before == "=") and not _in_call(source, at):
            return True
        if behind == ":" and first and not _in_call(source, at):
            return True
        return behind in (",", "=", "in") and _in_pattern(source, at)
    if (
        family in ("typescript", "rust")
        and behind in (":", "?", "=")
        and before in ("{", ",", ";", "}", "pub", ")", "readonly", "private", "public", "static")
    ):
        kind, inner = source.scopes.type_at(tokens[at].start), source.scopes.function_at(tokens[at].start)
        return kind is not None and (inner is None or kind.start > inner.head)
    if family == "zig" and behind == ":" and before in ("{", ",", ";", "}"):
        kind, inner = source.scopes.type_at(tokens[at].start), source.scopes.function_at(tokens[at].start)
        return kind is not None and (inner is None or kind.start > inner.head)
    if before in (",", "{", "(", "[") and family in ("typescript", "rust"):
        return _in_pattern(source, at)
    return False


def _starts_line(source: Source, at: int) -> bool:
    start, end = source.tokens[at - 1].end, source.tokens[at].start
    return "\n" in source.text[start:end] or source.tokens[at - 1].text == ";"


def _in_call(source: Source, at: int) -> bool:
    """Whether the innermost bracket around is a round one."""
    depth = 0
    for place in range(at - 1, max(at - 300, -1), -1):
        text = source.tokens[place].text
        if text in (")", "]", "}"):
            depth += 1
        elif text in ("(", "[", "{"):
            if depth == 0:
                return True
            depth -= 1
    return False


def _in_pattern(source: Source, at: int) -> bool:
    """Whether the name stands in a pattern: `a, b = …`, `for a, b in …`, `let (a, b) = …`."""
    tokens = source.tokens
    place = at - 1
    for _ in range(24):
        if place < 0:
            return False
        text = tokens[place].text
        if text in _BINDS:
            return not any(t.text in _PATTERN_ENDS for t in tokens[place + 1 : at])
        if text not in (",", "(", "[", "{", "*") and tokens[place].kind != "name":
            return False
        if text in ("(", "[") and place and tokens[place - 1].kind == "name" and tokens[place - 1].text not in _BINDS:
            return False  # a call
        if source.family == "python" and (place == 0 or _starts_line(source, place)):
            ahead = [token.text for token in tokens[at : at + 24]]
            return "=" in ahead and "(" not in ahead[: ahead.index("=")] and tokens[at + 1].text in (",", "=")
        place -= 1
    return False
