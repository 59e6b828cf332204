"""Where a name is in a file's text as it is now, which may not be the text that the index saw."""

from __future__ import annotations

import re

from ghostd.indexed import Span
from ghostd.navigation.families import WITHOUT_PARENTHESES

_MAX_CHAIN_BYTES = 300
_LINK = rb"(?:\?\.|(?<!\.)\.|::|->)"
# No space before a link: `from .module import name`.
_CHAIN = re.compile(rb"(?:[\w$\x80-\xff]+%b[ \t]*)+$|%b[ \t]*$" % (_LINK, _LINK))
_SUPER = re.compile(rb"(?<![\w.])super\([^()\n]*\)\.$")
"""Python's."""
_LINKS = re.compile(rb"\?\.|\.|::|->")
_MAX_LOOK_BYTES = 64 * 1024
"""How far a name may have moved, both ways."""
_WORD = re.compile(rb"[\w$]|[\x80-\xff]")
_CALLED = re.compile(rb"[ \t]*(?:![ \t]*[(\[{]|(?:\?\.|::)?(?:<[^()\n]{0,200}>)?[ \t]*[(`])")
_OPENS_ELEMENT = re.compile(rb"(?:^|[\s(\[{>,:?&|=!;])<$")
"""JSX's `<Name`, and not the argument of a type, `Array<Name`."""
_CALLED_IN_LUA = re.compile(rb"[ \t]*[({\"'\[]")


def locate(text: bytes, name: str, span: Span) -> Span:
    """The span of a name, or of the nearest place that it has moved to; inside of the text in any case."""
    wanted = name.encode("utf-8", "replace")
    if text[span.start : span.end] == wanted:
        return span
    if span.start == span.end:  # a whole file
        return Span(min(span.start, len(text)), min(span.start, len(text)))
    below, above = max(span.start - _MAX_LOOK_BYTES, 0), span.start + _MAX_LOOK_BYTES
    before = _last_word(text, wanted, below, min(span.start + len(wanted), len(text)))
    after = _first_word(text, wanted, span.start, min(above, len(text)))
    if before >= 0 and (after < 0 or span.start - before <= after - span.start):
        return Span(before, before + len(wanted))
    if after >= 0:
        return Span(after, after + len(wanted))
    end = min(span.end, len(text))
    return Span(min(span.start, end), end)


def is_called(text: bytes, span: Span, family: str) -> bool:
    """Whether what stands around a name calls it; also for languages where nothing needs to."""
    if family in WITHOUT_PARENTHESES:
        return True
    called = _CALLED_IN_LUA if family == "lua" else _CALLED
    if called.match(text, span.end) is not None or text[span.start - 1 : span.start] == b"@":
        return True
    return family == "typescript" and _OPENS_ELEMENT.search(text[max(span.start - 2, 0) : span.start]) is not None


def chain_before(text: bytes, start: int) -> str:
    """What a name that starts there is a member of, e.g. "a.b" for `c` in `a.b.c`; "" for a name by itself.

    "?" where that is no name, but the value of some expression.
    """
    line = text[max(text.rfind(b"\n", 0, start) + 1, start - _MAX_CHAIN_BYTES) : start]
    if _SUPER.search(line):
        return "super"
    found = _CHAIN.search(line)
    if found is None:
        return ""
    parts = [part.decode("utf-8", "replace").strip() for part in _LINKS.split(found[0]) if part.strip()]
    return ".".join(parts) or "?"


def _first_word(text: bytes, wanted: bytes, start: int, end: int) -> int:
    while wanted and (start := text.find(wanted, start, end)) >= 0:
        if _is_word(text, start, start + len(wanted)):
            return start
        start += 1
    return -1


def _last_word(text: bytes, wanted: bytes, start: int, end: int) -> int:
    while wanted and (found := text.rfind(wanted, start, end)) >= 0:
        if _is_word(text, found, found + len(wanted)):
            return found
        end = found + len(wanted) - 1
    return -1


def _is_word(text: bytes, start: int, end: int) -> bool:
    before = text[start - 1 : start] if start else b""
    return not (_WORD.match(before) or _WORD.match(text, end))
