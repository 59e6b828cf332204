"""Rust items inside of macros (`cfg_rt! { … }`, `pin_project! { … }`, `cfg_if! { … }`), brought out of them, with every
byte at its place: the grammar leaves them as loose tokens."""

from __future__ import annotations

import re

_HEAD = re.compile(
    rb"^(?:(?:[a-z_]\w{0,60}::){0,3}(?!macro_rules)[a-z_]\w{0,60}|[ \t]{1,40}cfg_\w{1,60})![ \t]{0,4}\{"
    rb"(?=(?:\s|//[^\n]*(?:\n|\Z)|#!?\[[^\n]{0,400}\])*+"
    rb"(?!(?:pub(?:\([^()\n]{0,100}\))?[ \t]+)?struct[ \t]+\w+[ \t]*:)"
    rb"(?:(?:pub|fn|struct|enum|union|mod|use|impl|static|const|type|trait|unsafe|async|extern)\b|if[ \t]+#\[))",
    re.MULTILINE,
)
"""At the margin, where only items stand; `cfg_…!` anywhere. Behind it an item begins, which `struct Flags: u32` of
`bitflags!` is not."""
_BRANCH = re.compile(rb"^([ \t]{0,40})if[ \t]+#\[[^\n]*\{[ \t]*\r?$", re.MULTILINE)
"""`if #[cfg(unix)] {` of `cfg_if!`."""
_NAME = re.compile(rb"\w+")


def filled(source: bytes) -> tuple[bytes, list[tuple[bytes, int]]]:
    """The text for the parser, as long as `source`, and the macros' names that are not in it, with their offsets."""
    gone: list[tuple[bytes, int]] = []
    starts: dict[int, int] = {}
    number, position = 0, 0
    for match in _HEAD.finditer(source):
        number += source.count(b"\n", position, match.start())
        position = match.start()
        starts[number] = match.end() - match.start()
        gone.extend((name[0], match.start() + name.start()) for name in _NAME.finditer(match[0]))
    if not starts:
        return source, gone
    lines = source.split(b"\n")
    ends: list[bytes] = []
    """How the last lines of the open macros and branches begin, the innermost last."""
    for number, line in enumerate(lines):
        indent = line[: len(line) - len(line.lstrip(b" \t"))]
        bare = line[len(indent) :].rstrip()
        if number in starts:
            end = starts[number]
            lines[number] = b" " * end + line[end:]
            if not bare.endswith(b"}"):
                ends.append(indent + b"}")
            else:
                lines[number] = b" " * end + line[end:].rstrip()[:-1].ljust(len(line) - end)
        elif ends and _BRANCH.match(line):
            lines[number] = b" " * len(line)
            ends.append(indent + b"}")
        elif ends and indent + bare[:1] == ends[-1]:
            lines[number] = b" " * len(line)
            if not bare.endswith(b"{"):
                ends.pop()
    return b"\n".join(lines), gone
