"""A function's own names, which no index lists: parameters, and variables that it binds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ghostd.indexed import Span, Symbol
from ghostd.navigation.families import family_of
from ghostd.navigation.found import CALLABLES

_MAX_HEAD_BYTES = 10_000
_MAX_LINE_BYTES = 200
_PARAMETER_BEFORE = re.compile(
    rb"(?:[(,\[{]|\.\.\.|\*)\s*(?:(?:mut|comptime|noalias|readonly|public|private|protected|ref)\s+)*[*&.]*\s*$"
)
_COMMENTS = re.compile(rb"(?:#|//)[^\n]*\n")

_TYPE_FIRST = frozenset(("c", "java", "csharp"))
"""Where the type stands before the name."""
_TYPED_BEFORE = re.compile(rb"[\w>*&\]]\s*[*&]*\s*$")
_TYPED_BEHIND = re.compile(rb"\s*(?:[,)=\[]|$)")
_STATEMENT = re.compile(
    rb"\s*(?:(?:for|foreach|catch|using|if|while|switch|try)\s*\(\s*)?"
    rb"(?!\s*(?:return|throw|new|delete|else|case|goto|await|yield|co_return|co_await|co_yield|typeof|sizeof)\b)"
    rb"[\w:.<>,\s\[\]?]*[\w>\]*&?]\s*[*&]*\s*$"
)
_DECLARED_BEHIND = re.compile(rb"\s*(?:=(?!=)|[;,:\[)]|\bin\b)")

_DECLARED = re.compile(
    rb"\b(?:let|const|var|mut|val|local|auto|for|catch)\b(?:(?!\b(?:in|of)\b)[\w\s,(\[{*&.])*$"
    rb"|\bas[ \t]*[(\[]?[ \t]*$"
)
_IN_LAMBDA = re.compile(rb"\blambda\b[^:\n]*$")
_IN_BARS = re.compile(rb"(?:^|[(,={)]|\b(?:move|do|else|catch))[ \t]*\|[(\w\s,&:*]*$")
_BARS_BEHIND = re.compile(rb"[^|\n]{0,200}\|")
_IN_FUNCTION = re.compile(rb"\bfunc(?:tion)?\b[^()]*\((?:[^()]*[,{\[])?\s*(?:\.\.\.)?$")
_OPENED = re.compile(rb"(?:^|[(,{\[=.\s])$")
_ARROW = re.compile(rb"[ \t]*=>|[^()\n]{0,200}\)[ \t]*(?::[^()=\n;]{0,100})?=>")
_TARGETS_BEFORE = re.compile(rb"\s*(?:[\w.\[\]]+\s*[,=]\s*|\*)*[(\[]?\*?$")
_TARGETS_BEHIND = re.compile(rb"[ \t]*(?::[^=\n]{0,200}|,[\w ,.*()\[\]]{0,200}|[)\]][ \t]*)?=(?![=~])")
_NEW_BEHIND = re.compile(rb"[ \t]*(?:,[\w ,]{0,200})?:=")
_FUNCTIONS_INSIDE = frozenset(("typescript", "lua", "go"))
_ARROWS = frozenset(("typescript", "csharp", "rust"))
_UNDECLARED = frozenset(("python", "ruby", "shellscript"))
"""Where a function's variable needs no declaration."""
_CONTINUED = re.compile(rb"[(\[{,][ \t]*\r?\n[ \t]*$")


def binding(
    text: bytes, outline: Sequence[Symbol], name: str, offset: int, places: Iterable[Span]
) -> tuple[Symbol, Span] | None:
    """The innermost function around `offset` that binds `name`, and where; None where none does.

    `places` are where the file's code, and not a comment or a string, has the name.
    """
    word = name.encode("utf-8", "replace")
    spans = sorted((s for s in places if text[s.start : s.end] == word), key=lambda span: span.start)
    callables = [symbol for symbol in outline if symbol.kind in CALLABLES]
    around = [s for s in callables if s.name_span.end <= offset <= s.span.end]
    for function in sorted(around, key=lambda s: s.span.end - s.span.start):
        family = family_of(function.path)
        start, end = function.name_span.end, function.span.end
        head = _head(text, start, end)
        others = [s.span for s in callables if start <= s.span.start < s.span.end <= end and s not in around]
        for span in spans:
            if not start <= span.start < end or any(each.start <= span.start < each.end for each in others):
                continue
            if span.start < head.end:
                bound = _is_parameter(text, head.start, span, family)
            else:
                bound = _is_bound(text, span, family)
            if bound:
                return function, span
    return None


def _head(text: bytes, start: int, end: int) -> Span:
    """A function's parameters with their parentheses, behind its name at `start`; empty where it has none."""
    opened = _opening(text, start, end)
    depth = 0
    for position in range(opened, min(end, opened + _MAX_HEAD_BYTES)) if opened >= 0 else ():
        if text[position] == ord("("):
            depth += 1
        elif text[position] == ord(")"):
            depth -= 1
            if depth == 0:
                return Span(opened, position)
    return Span(start, start)


def _opening(text: bytes, start: int, end: int) -> int:
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


def _is_parameter(text: bytes, opened: int, span: Span, family: str) -> bool:
    """Whether a name in a function's head is a parameter's, and not that of a type or a default value."""
    before = _COMMENTS.sub(b"\n", text[opened : span.start])
    if family in _TYPE_FIRST:
        return _TYPED_BEFORE.search(before) is not None and _TYPED_BEHIND.match(text, span.end) is not None
    if _PARAMETER_BEFORE.search(before) is None:
        return False
    told: list[bool] = []
    """Of each bracket around the name, whether a type or a value has begun there since the last comma."""
    for character in before.decode("latin-1"):
        if character in "([{":
            told.append(False)
        elif character in ")]}" and told:
            told.pop()
        elif character in ":=" and told:
            told[-1] = True
        elif character == "," and told:
            told[-1] = False
    return not any(told) and (family != "go" or len(told) == 1)


def _is_bound(text: bytes, span: Span, family: str) -> bool:
    """Whether a name in a function's body stands where a value is bound to it."""
    line = text[max(text.rfind(b"\n", 0, span.start) + 1, span.start - _MAX_LINE_BYTES) : span.start]
    behind = span.end
    # In Rust, what begins with a capital in a pattern is a type, a constant or a variant.
    named = family != "rust" or not text[span.start : span.start + 1].isupper()
    return bool(
        (family in _TYPE_FIRST and _STATEMENT.match(line) and _DECLARED_BEHIND.match(text, behind))
        or (named and _DECLARED.search(line))
        or (_IN_BARS.search(line) and _BARS_BEHIND.match(text, behind))
        or (family == "python" and _IN_LAMBDA.search(line))
        or (family in _FUNCTIONS_INSIDE and _IN_FUNCTION.search(line))
        or (family in _ARROWS and named and _OPENED.search(line) and _ARROW.match(text, behind))
        or (family in ("python", "go") and _NEW_BEHIND.match(text, behind))
        or (family in _UNDECLARED and _is_target(text, line, span))
    )


def _is_target(text: bytes, line: bytes, span: Span) -> bool:
    """Whether a value is assigned to a name, and not given as an argument of that name on a line of its own."""
    above = text[max(span.start - len(line) - _MAX_LINE_BYTES, 0) : span.start]
    return bool(
        _TARGETS_BEFORE.fullmatch(line) and _TARGETS_BEHIND.match(text, span.end) and not _CONTINUED.search(above)
    )
