"""Rules of a GBNF grammar (llama.cpp, grammars/README.md)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

MAX_RULES = 20_000
MORE = "{0,15}"
"""How many more calls may follow a first one: a model that never stops to call must not go on to the limit."""
FORMATS = {
    "date": 'date ::= [0-9] [0-9] [0-9] [0-9] "-" ("0" [1-9] | "1" [0-2]) "-" ("0" [1-9] | [1-2] [0-9] | "3" [0-1])',
    "time": 'time ::= ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9] ":" [0-5] [0-9] ("." [0-9] [0-9]? [0-9]?)? '
    '("Z" | [+-] ([01] [0-9] | "2" [0-3]) ":" [0-5] [0-9])',
    "uuid": 'uuid ::= hex{8} "-" hex{4} "-" hex{4} "-" hex{4} "-" hex{12}',
}

_PRIMITIVES = {
    "space": 'space ::= " "?',
    "boolean": 'boolean ::= "true" | "false"',
    "null": 'null ::= "null"',
    "integer": 'integer ::= "-"? ("0" | [1-9] [0-9]{0,15})',
    "number": 'number ::= "-"? ("0" | [1-9] [0-9]{0,15}) ("." [0-9]{1,15})? ([eE] [+-]? [0-9]{1,3})?',
    "hex": "hex ::= [0-9a-fA-F]",
    "char": r'char ::= [^"\\\x00-\x1F\x7F] | "\\" (["\\/bfnrt] | "u" hex hex hex hex)',
    "string": 'string ::= "\\"" char* "\\""',
    "value": "value ::= object | array | string | number | boolean | null",
    "object": 'object ::= "{" space (string ":" space value ("," space string ":" space value)*)? space "}"',
    "array": 'array ::= "[" space (value ("," space value)*)? space "]"',
}
_NEEDS = {
    "char": ("hex",),
    "uuid": ("hex",),
    "string": ("char",),
    "value": ("object", "array", "string", "number", "boolean", "null"),
    "object": ("space", "string", "value"),
    "array": ("space", "value"),
}


class SchemaUnusable(Exception):
    """The schema cannot be turned into rules; the message says which keyword, and where."""


class Rules:
    """The rules of one grammar."""

    def __init__(self) -> None:
        self._rules: dict[str, str] = {}
        self._shared: dict[str, str] = {}

    def add(self, hint: str, body: str) -> str:
        """A new rule; returns its name. Raises SchemaUnusable when there are too many."""
        if len(self._rules) >= MAX_RULES:
            raise SchemaUnusable(f"it makes more than {MAX_RULES} grammar rules")
        name = f"{re.sub('[^a-zA-Z0-9]+', '-', hint)[:40].strip('-') or 'r'}-{len(self._rules)}"
        self._rules[name] = f"{name} ::= {body}"
        return name

    def reserve(self, hint: str) -> str:
        """The name of a rule whose body `define` gives later."""
        return self.add(hint, "")

    def define(self, name: str, body: str) -> None:
        """The body of a reserved rule."""
        self._rules[name] = f"{name} ::= {body}"

    def shared(self, key: str, make: Callable[[], str]) -> str:
        """A rule that is made once, however often it is asked for."""
        if key not in self._shared:
            self._shared[key] = make()
        return self._shared[key]

    def attempt(self, make: Callable[[], T]) -> T:
        """What `make` gives; if it raises, the rules that it has added are gone."""
        before = dict(self._rules), dict(self._shared)
        try:
            return make()
        except BaseException:
            self._rules, self._shared = before
            raise

    def primitive(self, name: str) -> str:
        """A rule of this module's own, with what it needs."""
        if name not in self._rules:
            self._rules[name] = _PRIMITIVES[name] if name in _PRIMITIVES else FORMATS[name]
            for needed in _NEEDS.get(name, ()):
                self.primitive(needed)
        return name

    def grammar(self, root: str) -> str:
        """All rules, with `root` as the first one's body."""
        return "\n".join((f"root ::= {root}", *self._rules.values()))


def literal(text: str) -> str:
    """The text as a GBNF literal."""
    escaped = re.sub(
        r'[\\"\x00-\x1f\x7f]',
        lambda match: {"\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "\\": "\\\\"}.get(
            match[0], f"\\x{ord(match[0]):02X}"
        ),
        text,
    )
    return f'"{escaped}"'


def json_literal(value: Any) -> str:
    """The value's JSON as a GBNF literal."""
    return literal(json.dumps(value, ensure_ascii=False))


def until(rules: Rules, marker: str) -> str:
    """A rule for any text up to the first `marker`, marker included."""
    return rules.shared(f"until {marker}", lambda: _until(rules, marker))


def _until(rules: Rules, marker: str) -> str:
    names = [rules.reserve("until") for _ in marker]
    for position, name in enumerate(names):
        ways, told = [], ""
        for letter in sorted(set(marker[: position + 1])):
            # As Knuth, Morris and Pratt: the longest beginning of the marker that the text ends with now.
            seen = marker[:position] + letter
            reached = next(n for n in range(len(seen), -1, -1) if seen.endswith(marker[:n]))
            if reached:
                told += letter
                ways.append(literal(letter) if reached == len(marker) else f"{literal(letter)} {names[reached]}")
        others = "".join(_in_class(letter) for letter in told)
        rules.define(name, " | ".join((*ways, f"[^{others}] {names[0]}")))
    return names[0]


def _in_class(letter: str) -> str:
    return f"\\{letter}" if letter in "]\\" else f"\\x{ord(letter):02X}" if letter in "^-[\n\r\t" else letter
