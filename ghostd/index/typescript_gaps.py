"""TypeScript that its grammar does not know, made into what it knows, with every byte at its place.

The grammar gives up on a whole file for them: of the library effect's 361 files on 193.
"""

from __future__ import annotations

import re

_VARIANCE = re.compile(
    rb"(?<=[<,])(\s{0,200})(in\s{1,20}out|in|out)(?=\s{1,200}[A-Za-z_$][\w$]{0,200}\s{0,200}(?:extends\b|[,>=]))"
)
"""`interface Box<in out A>`"""
_SIGNATURE = re.compile(rb"(?<=[ \t])[ \t](?=<(?:[A-Z]\w{0,200}(?:>|,| extends )|\r?\n))")
"""A call signature on a line of its own, behind one that has no semicolon."""
_LINE_START = re.compile(rb"(?:[\w\])}\"'/]|(?<!=)>)[ \t]*\r?\n[ \t]*$")
"""Not behind `=>`, where an arrow function's type parameters go on."""
_ESCAPED = re.compile(rb"\\([\\`])")
"""A backtick inside a template, which the grammar does not know in the template of a type."""


def filled(source: bytes) -> bytes:
    """The text for the parser; as long as `source`."""
    found = _VARIANCE.sub(lambda match: match[1] + re.sub(rb"\S", b" ", match[2]), source)
    if b"\\`" in found:
        found = _ESCAPED.sub(lambda match: b"  " if match[1] == b"`" else match[0], found)
    return _SIGNATURE.sub(_separated, found)


def _separated(match: re.Match[bytes]) -> bytes:
    before = match.string[max(match.start() - 200, 0) : match.start()]
    return b";" if _LINE_START.search(before) else match[0]
