"""The words around a cursor, and what each of them counts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from sys import intern

LINES_BEFORE = 10
LINES_AFTER = 3
_NEAR_LINES = 5
_FAR_WEIGHT = 0.5
_LINE_WEIGHT = 1.5
"""What the user has typed of the line itself says most."""
_DECAY_LINES = 3.0
MIN_NAME_CHARS = 3
MAX_NEARBY = 60
_MAX_LINE_CHARS = 500

IDENTIFIER = re.compile(r"[^\W\d]\w*")
_IN_ASCII = re.compile(r"[A-Za-z_]\w*", re.ASCII)
"""The same in less time."""

KEYWORDS = frozenset(
    [
        "False",
        "None",
        "True",
        "and",
        "as",
        "assert",
        "async",
        "await",
        "break",
        "class",
        "continue",
        "def",
        "del",
        "elif",
        "else",
        "except",
        "finally",
        "for",
        "from",
        "global",
        "if",
        "import",
        "in",
        "is",
        "lambda",
        "nonlocal",
        "not",
        "or",
        "pass",
        "raise",
        "return",
        "try",
        "while",
        "with",
        "yield",
        "self",
        "cls",
        "abstract",
        "boolean",
        "case",
        "catch",
        "const",
        "constructor",
        "debugger",
        "default",
        "delete",
        "do",
        "enum",
        "export",
        "extends",
        "false",
        "function",
        "get",
        "implements",
        "instanceof",
        "interface",
        "keyof",
        "let",
        "module",
        "namespace",
        "never",
        "new",
        "null",
        "number",
        "of",
        "package",
        "private",
        "protected",
        "public",
        "readonly",
        "set",
        "static",
        "string",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "type",
        "typeof",
        "undefined",
        "unknown",
        "var",
        "void",
        "any",
        "crate",
        "dyn",
        "extern",
        "fn",
        "impl",
        "loop",
        "match",
        "mod",
        "move",
        "mut",
        "pub",
        "ref",
        "struct",
        "trait",
        "unsafe",
        "use",
        "where",
        "comptime",
        "defer",
        "errdefer",
        "error",
        "inline",
        "noalias",
        "orelse",
        "test",
        "threadlocal",
        "union",
        "unreachable",
        "usingnamespace",
        "usize",
        "u8",
        "u16",
        "u32",
        "u64",
        "i8",
        "i16",
        "i32",
        "i64",
        "f32",
        "f64",
        "bool",
        "str",
        "int",
        "float",
        "char",
        "long",
        "short",
        "double",
        "signed",
        "unsigned",
        "sizeof",
        "typedef",
        "goto",
        "auto",
        "register",
        "volatile",
        "template",
        "typename",
        "virtual",
        "using",
        "func",
        "chan",
        "defer",
        "go",
        "map",
        "range",
        "select",
        "end",
        "then",
        "local",
        "nil",
        "elsif",
        "unless",
        "until",
        "begin",
        "rescue",
        "ensure",
    ]
)
"""Of the languages that the index parses. They say nothing of what a line is about."""


_CALL_CHARS = 400
"""How far before the cursor the call may begin, and how long its name may be."""
_BRACKET = re.compile(r"[()]")
_LAST_NAME = re.compile(r"[^\W\d]\w*\Z")


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for."""

    words: Mapping[str, float]
    """Identifiers, with weights for the search."""
    nearby: Mapping[str, float]
    """Identifiers of at least MIN_NAME_CHARS, by closeness to the cursor (1 on its line); the closest MAX_NEARBY."""
    called: str = ""
    """What is called where the cursor stands between the call's brackets."""


def query_of(prefix: str, suffix: str) -> Query:
    """The query for a cursor between two texts.

    The word that is being typed is left out: its beginning is no word of the project, and what is found must not change
    with each of its letters.
    """
    unfinished = len(prefix)
    while unfinished and (prefix[unfinished - 1].isalnum() or prefix[unfinished - 1] == "_"):
        unfinished -= 1
    prefix = prefix[:unfinished]
    before = prefix[-_MAX_LINE_CHARS * (LINES_BEFORE + 1) :].split("\n")
    after = suffix[: _MAX_LINE_CHARS * (LINES_AFTER + 1)].split("\n")
    lines = [(0, f"{before[-1]} {after[0]}")]
    lines += [(distance, line) for distance, line in enumerate(reversed(before[-1 - LINES_BEFORE : -1]), 1)]
    lines += [(distance, line) for distance, line in enumerate(after[1 : 1 + LINES_AFTER], 1)]
    words: dict[str, float] = {}
    nearby: dict[str, float] = {}
    for distance, line in lines:
        weight = _LINE_WEIGHT if distance == 0 else 1.0 if distance <= _NEAR_LINES else _FAR_WEIGHT
        closeness = 1 / (1 + distance / _DECAY_LINES)
        for word in IDENTIFIER.findall(line[:_MAX_LINE_CHARS]):
            if word in KEYWORDS:
                continue
            words[word] = max(words.get(word, 0.0), weight)
            if len(word) >= MIN_NAME_CHARS:
                nearby[word] = max(nearby.get(word, 0.0), closeness)
    if len(nearby) > MAX_NEARBY:
        nearby = dict(sorted(nearby.items(), key=lambda item: -item[1])[:MAX_NEARBY])
    return Query(words, nearby, _called(prefix))


def _called(prefix: str) -> str:
    """The identifier before the innermost round bracket that is open at the end of a text; "" without one nearby."""
    closed = 0
    for bracket in reversed(list(_BRACKET.finditer(prefix, max(0, len(prefix) - _CALL_CHARS)))):
        closed += 1 if bracket[0] == ")" else -1
        if closed < 0:
            name = _LAST_NAME.search(prefix[max(0, bracket.start() - _CALL_CHARS) : bracket.start()])
            return name[0] if name is not None and name[0] not in KEYWORDS else ""
    return ""


_BLOCK_CHARS = 4096
_BLOCKS_BEFORE = 6
_BLOCKS_AFTER = 3


def own_names(prefix: str, suffix: str) -> frozenset[str]:
    """The identifiers of a file around the cursor, and keywords: what need not be told again.

    Read in blocks that stay as they are while the user types at the end of the prefix, so that only the last block
    is read anew at each key. An identifier that two blocks share is lost.
    """
    last = len(prefix) // _BLOCK_CHARS
    blocks = [
        prefix[block * _BLOCK_CHARS : (block + 1) * _BLOCK_CHARS]
        for block in range(max(0, last - _BLOCKS_BEFORE), last + 1)
    ]
    end = min(len(suffix), _BLOCKS_AFTER * _BLOCK_CHARS)
    blocks += [suffix[start : start + _BLOCK_CHARS] for start in range(0, end, _BLOCK_CHARS)]
    return KEYWORDS.union(*map(_names_of_block, blocks))


def names_in(text: str) -> frozenset[str]:
    """The identifiers of a text; the same ones of all texts are one object."""
    return frozenset(map(intern, (_IN_ASCII if text.isascii() else IDENTIFIER).findall(text)))


_names_of_block = lru_cache(maxsize=128)(names_in)
