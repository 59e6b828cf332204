"""How much to write at a cursor: the rest of a line, or lines; by the lines around it and a look at strings and
brackets."""

from __future__ import annotations

import re

from ghostd.completion.lexing import PLAIN, SCRIPT, Syntax, chunk_before, lex

_OPENS_BY_WORD = re.compile(r"(?:\b(?:do|then|else|begin|repeat)|\bfunction\b.*\)|=>|->)$")
_DEFINES_BY_WORD = re.compile(r"^\s*(?:def|class|module|while|until|if|unless|for|case)\b")
_LABEL = re.compile(r"^\s*(?:case\b.*|default\s*):$")
"""Of a switch: what stands below is indented, as in a block."""
_LOOKED_AT_CHARS = 1500
_CLOSERS = frozenset(")]}>'\"`;, \t:")


def wants_lines(prefix: str, suffix: str, syntax: Syntax) -> bool:
    """Whether the hole wants several lines: an empty block, or an empty place between two others."""
    line = prefix[prefix.rfind("\n") + 1 :]
    rest, _, below = suffix[:_LOOKED_AT_CHARS].partition("\n")
    if any(character not in _CLOSERS for character in rest.rstrip("\r")):
        return False  # there is text behind the cursor
    lexed = lex(chunk_before(prefix, _LOOKED_AT_CHARS), syntax)
    if syntax is not PLAIN and lexed.inside != "code":
        return False
    if line.strip():
        in_call = line.rstrip().endswith(("(", "[")) and rest.strip()
        return not in_call and opens_block(line, syntax) and _is_empty(_indent(line), below)
    above = _last_line(prefix)
    if above and opens_block(above, syntax):
        return _is_empty(_indent(above), below)
    # Between two statements of one block there is room for one more; at the end of a block, or element, for several.
    following = _first_line(below)
    in_element = syntax is SCRIPT and following.lstrip().startswith("</")
    if lexed.opened and lexed.opened[-1].text in "([" and not in_element:
        return False  # inside a call
    return not following or _indent(following) < max(_indent(line), 1)


def opens_block(line: str, syntax: Syntax) -> bool:
    """Whether a block begins at the end of a line."""
    code = _without_comment(line, syntax).rstrip()
    if not code:
        return False
    if code[-1] in "{([":
        return True
    match syntax.blocks:
        case "indentation":
            return code[-1] == ":"
        case "words":
            return bool(_OPENS_BY_WORD.search(code) or _DEFINES_BY_WORD.match(code))
        case "brackets":
            return code.endswith("=>") or _LABEL.match(code) is not None
        case "none":
            return False


def _without_comment(line: str, syntax: Syntax) -> str:
    for match in syntax.tokens.finditer(line):
        if match.lastgroup == "comment" and match.end() == len(line):
            return line[: match.start()]
    return line


def _is_empty(indent: int, below: str) -> bool:
    following = _first_line(below)
    return not following or _indent(following) <= indent


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" \t"))


def _first_line(text: str) -> str:
    return next((line for line in text[:2000].split("\n") if line.strip()), "")


def _last_line(prefix: str) -> str:
    lines = prefix[-2000:].split("\n")[:-1]
    return next((line for line in reversed(lines) if line.strip()), "")
