"""Source text as tokens, with the code that stands inside of strings, for languages that look alike to the lexer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import PurePath

import msgspec

from ghostd.completion.lexing import PYTHON, SCRIPT, Syntax, syntax_of

MAX_CHARS = 512 * 1024
"""Of a file; larger ones are left alone."""
MAX_LINE_CHARS = 20_000
"""Of a line; a file that has a longer one was not written by hand, and is left alone."""
MAX_PLACES = 500
"""Where one name may stand in a file; one that stands in more is left alone there."""

_OPERATOR = r"\*\*=|//=|<<=|>>=|===|!==|\.\.\.|\?\?=|->|=>|::|:=|==|!=|<=|>=|&&|\|\||\?\.|\?\?|\.\.|[-+*/%&|^]=|\*\*"
_PREFIXES = re.compile(r"(?i:[rbuf]|rb|br|fr|rf)")
_HOLE = {"python": re.compile(r"\{\{|\}\}|\{"), "script": re.compile(r"\\.|\$\{", re.DOTALL)}
_SMALL_CHARS = 64 * 1024
"""Tokens take some fifty bytes for each character."""
_MAX_DEPTH = 3
"""Of strings in code in strings."""


class Token(msgspec.Struct, frozen=True, gc=False):
    """A piece of source text. Without `gc=False` each collection would hold all threads up for all of a file's."""

    kind: str
    """name, number, string, comment, op or newline."""
    text: str
    start: int
    """In characters."""
    end: int


@lru_cache(maxsize=32)
def _pattern(syntax: Syntax) -> re.Pattern[str]:
    return re.compile(
        rf"{syntax.tokens.pattern}|(?P<name>(?:r\#)?[^\W\d][\w$]*|\$[\w$]+)"
        rf"|(?P<number>\d(?:[\w]|\.(?=\d))*)|(?P<newline>\r\n|\n|\r)|(?P<op>{_OPERATOR}|[^\s\w])",
        re.DOTALL,
    )


def line_starts(text: str) -> list[int]:
    """Where the lines start; only line feeds, with or without a carriage return, end one."""
    starts = [0]
    at = text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts


def is_everywhere(text: str, name: str) -> bool:
    """Whether a name stands in more than MAX_PLACES of a text."""
    if text.count(name) <= MAX_PLACES:
        return False
    places = re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text)
    return next(islice(places, MAX_PLACES, None), None) is not None


def tokens_of_file(text: str, path: PurePath) -> tuple[Token, ...]:
    """The tokens of a file; those of the last ones are kept, as what was there before an edit stays for a while."""
    return (_tokens_of_small if len(text) <= _SMALL_CHARS else _tokens_of_large)(text, syntax_of(None, path))


def tokens_in(text: str, path: PurePath) -> tuple[Token, ...]:
    """The tokens of a piece of a file that begins in code; spaces are left out."""
    return tuple(_tokens(text, syntax_of(None, path), 0, 0))


@lru_cache(maxsize=12)
def _tokens_of_small(text: str, syntax: Syntax) -> tuple[Token, ...]:
    return tuple(_tokens(text, syntax, 0, 0))


@lru_cache(maxsize=2)
def _tokens_of_large(text: str, syntax: Syntax) -> tuple[Token, ...]:
    return tuple(_tokens(text, syntax, 0, 0))


def code(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """Without comments and line ends."""
    return tuple(token for token in tokens if token.kind not in ("comment", "newline"))


def _tokens(text: str, syntax: Syntax, base: int, depth: int) -> Iterator[Token]:
    held: Token | None = None
    for found in _pattern(syntax).finditer(text):
        kind, start, end = found.lastgroup or "op", found.start(), found.end()
        value = found[0]
        if held is not None:
            if kind == "string" and held.end == base + start:
                yield from _string(held.text + value, syntax, held.start, depth)
                held = None
                continue
            yield held
            held = None
        if kind == "name":
            token = Token(kind, value, base + start, base + end)
            if syntax is PYTHON and len(value) <= 2 and _PREFIXES.fullmatch(value):
                held = token
            else:
                yield token
        elif kind == "string":
            yield from _string(value, syntax, base + start, depth)
        elif kind == "begun" and (len(value) > 1 or value == "`"):
            yield Token("string" if value != "/*" else "comment", text[start:], base + start, base + len(text))
            return
        else:
            kind = kind if kind in ("number", "newline", "comment") else "op"
            yield Token(kind, value, base + start, base + end)
    if held is not None:
        yield held


def _string(value: str, syntax: Syntax, start: int, depth: int) -> Iterator[Token]:
    """A string; the code in its holes as tokens of its own."""
    kind = ""
    if syntax is PYTHON and "f" in value[: value.find(value[-1])].lower():
        kind = "python"
    elif syntax is SCRIPT and value.startswith("`"):
        kind = "script"
    if not kind or depth >= _MAX_DEPTH:
        yield Token("string", value, start, start + len(value))
        return
    at, search = 0, 0
    while (found := _HOLE[kind].search(value, search)) is not None:
        search = found.end()
        if found[0] not in ("{", "${"):
            continue
        close = _closing(value, search)
        if close < 0:
            break
        yield Token("string", value[at:search], start + at, start + search)
        yield from _tokens(value[search:close], syntax, start + search, depth + 1)
        at = search = close
    yield Token("string", value[at:], start + at, start + len(value))


def _closing(value: str, at: int) -> int:
    depth = 0
    for position in range(at, len(value)):
        if value[position] in "([{":
            depth += 1
        elif value[position] in ")]}":
            if depth == 0:
                return position
            depth -= 1
    return -1
