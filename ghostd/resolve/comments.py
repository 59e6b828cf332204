"""Source text without its comments, for formats that are read literally; in linear time, whatever the text."""

from __future__ import annotations

import re

_STRINGS = {'"': re.compile(r'"(?:[^"\\\n]|\\.)*+"?'), "'": re.compile(r"'(?:[^'\\\n]|\\.)*+'?")}
"""One that is open ends with its line, so that it is not looked through again."""


def without_comments(source: str, line: str = "//", block: tuple[str, str] | None = None) -> str:
    """The source with a space for each comment; `line` and `block` are the marks. Strings are left as they are."""
    token = re.compile("|".join(["[\"']"] + ([re.escape(block[0])] if block else []) + [re.escape(line)]))
    kept: list[str] = []
    position = 0
    while (found := token.search(source, position)) is not None:
        mark = found[0]
        if mark in "\"'":
            rest = _STRINGS[mark].match(source, found.start())
            end = rest.end() if rest is not None else found.end()
            kept.append(source[position:end])
            position = end
            continue
        kept += (source[position : found.start()], " ")
        closing = "\n" if mark == line else block[1] if block else ""
        end = source.find(closing, found.end())
        if end < 0:
            return "".join(kept)
        position = end if mark == line else end + len(closing)
    kept.append(source[position:])
    return "".join(kept)
