"""A function's own names, which no index lists: parameters, and variables that it binds."""

from __future__ import annotations

import re

from ghostd.indexed import Span, Symbol
from ghostd.navigation.families import family_of
from ghostd.navigation.found import CALLABLES

_MAX_BYTES = 256 * 1024
_BOUND_BEHIND = re.compile(
    rb"[ \t]*(?::[^=\n;,()]{0,200})?(?:=(?![=>])|:=|\bin\b|\bof\b|,[\w ,]{0,200}(?:=(?!=)|:=|\bin\b))"
)
_BOUND_BEFORE = re.compile(
    rb"\b(?:let|const|var|mut|val|local|auto|for|as|catch)[ \t]*[(\[{|*]?[ \t]*$|\|[ \t]*$"
    rb"|(?:[(,={]|\bmove)[ \t]*\|[(\w\s,&:]{0,100}$|\blambda\b[^:\n]*$"
)
_OPENED = re.compile(rb"(?:^|[(,{\[=.\s])$")
_ARROW = re.compile(rb"[ \t]*=>|[^()\n]{0,200}\)[ \t]*(?::[^()=\n;]{0,100})?=>")
"""What stands before and behind a parameter of an arrow function, or a name that a pattern binds."""
_PARAMETER_BEFORE = re.compile(
    rb"(?:[(,\[{|]|\.\.\.|\*)\s*(?:(?:mut|comptime|noalias|readonly|public|private|protected|ref)\s+)*[*&.]*\s*$"
)
_TYPED_BEFORE = re.compile(rb"[\w>*&\]]\s*[*&]*\s*$")
_TYPED_BEHIND = re.compile(rb"\s*(?:[,)=\[]|$)")
_TYPE_FIRST = frozenset(("c", "java", "csharp"))
"""Where a parameter's type stands before its name."""
_WORD = rb"(?<![\w$.])%b(?![\w$])"


def binding(text: bytes, outline: list[Symbol], name: str, offset: int) -> tuple[Symbol, Span] | None:
    """The innermost function around `offset` that binds `name`, and where; None where none does.

    The first mention in a function tells: it is a parameter, or stands where a value is bound.
    """
    around = [s for s in outline if s.kind in CALLABLES and s.name_span.end <= offset <= s.span.end]
    word = re.compile(_WORD % re.escape(name.encode("utf-8", "replace")))
    for function in sorted(around, key=lambda s: s.span.end - s.span.start):
        family = family_of(function.path)
        start, end = function.name_span.end, min(function.span.end, function.name_span.end + _MAX_BYTES)
        first = word.search(text, start, end)
        if first is None:
            continue
        if first.start() < _end_of_head(text, start, end):
            bound = _is_parameter(text, start, first.start(), first.end(), family)
        else:
            bound = _is_bound(text, first.start(), first.end(), family)
        if bound:
            return function, Span(*first.span())
    return None


def _end_of_head(text: bytes, start: int, end: int) -> int:
    """Where a function's parameters end; `start` where it has none in parentheses."""
    depth = 0
    opened = _parameters(text, start, end)
    if opened < 0:
        return start
    for position in range(opened, min(end, opened + 10_000)):
        if text[position] == ord("("):
            depth += 1
        elif text[position] == ord(")"):
            depth -= 1
            if depth == 0:
                return position
    return start


def _parameters(text: bytes, start: int, end: int) -> int:
    """Where a function's parameters open, behind type parameters or `= async`; -1 where none do before its body."""
    depth = 0
    for position in range(start, min(end, start + 1000)):
        character = text[position : position + 1]
        if character == b"<":
            depth += 1
        elif character == b">" and text[position - 1 : position] not in (b"-", b"="):
            depth = max(depth - 1, 0)
        elif depth == 0 and character == b"(":
            return position
        elif depth == 0 and character in (b"{", b";", b"\n", b">"):
            return -1
    return -1


def _is_parameter(text: bytes, head: int, start: int, end: int, family: str) -> bool:
    """Whether a name in a function's head is a parameter's, and not that of a type or a default value."""
    before = text[max(head, start - 200) : start]
    if family in _TYPE_FIRST:
        return _TYPED_BEFORE.search(before) is not None and _TYPED_BEHIND.match(text, end) is not None
    return _PARAMETER_BEFORE.search(before) is not None


def _is_bound(text: bytes, start: int, end: int, family: str) -> bool:
    line = text[max(text.rfind(b"\n", 0, start) + 1, start - 200) : start]
    if _BOUND_BEHIND.match(text, end) is not None or _BOUND_BEFORE.search(line) is not None:
        return True
    # In Rust, what begins with a capital in a pattern is a constant or a variant.
    arrows = family in ("typescript", "csharp") or (family == "rust" and text[start : start + 1].islower())
    return arrows and _OPENED.search(line) is not None and _ARROW.match(text, end) is not None
