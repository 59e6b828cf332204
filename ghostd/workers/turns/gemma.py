"""Gemma 4's calls: `<|tool_call>call:NAME{key:<|"|>text<|"|>,other:5}<tool_call|>`, JSON but for strings and keys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from ghostd.workers.turns.contract import Body, Sink, ToolRule
from ghostd.workers.turns.gbnf import MORE, Rules, literal, until
from ghostd.workers.turns.json_stream import SPACE, Malformed, Put, Reading, name_until, skip, written
from ghostd.workers.turns.json_stream import until as read_until
from ghostd.workers.turns.json_stream import value as json_value
from ghostd.workers.turns.objects import checked_name
from ghostd.workers.turns.schema_grammar import SchemaConverter

_OPEN, _CLOSE, _QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'
_MAX_DEPTH = 64
_KEY = '[^:{}<>,]{1,64} ":"'
_ANY = ("value", "object", "array")


@dataclass(frozen=True, slots=True)
class Gemma:
    """See the module."""

    openers: tuple[str, ...] = (_OPEN,)
    markers: tuple[str, ...] = (_OPEN, _CLOSE, _QUOTE)
    closer: str = _CLOSE

    def body(self, opener: str, sink: Sink) -> Body:
        """One call."""
        yield from _expect("call:")
        name = checked_name((yield from name_until("{")))
        sink.call(name)
        yield from _object(sink.arguments, 0)
        yield from _expect(_CLOSE)
        return ""

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """Rules for calls of the tools."""
        call = rules.add("call", " | ".join(f"{literal('call:' + tool.name)} {tool.arguments}" for tool in tools))
        one = f"{literal(_OPEN)} {call} {literal(_CLOSE)}"
        name = rules.add("marked-call", one)
        return f"{name} ({name}){MORE}" if several else name

    def begins(self, text: str) -> bool:
        """The opener alone."""
        return text == _OPEN


class GemmaConverter(SchemaConverter):
    """Values as Gemma writes them; properties in the alphabet's order, as its template has them."""

    def literal(self, value: Any) -> str:
        """The value itself."""
        return literal(_written(value))

    def primitive(self, name: str) -> str:
        """Any value, or any of a type."""
        rules = self._rules
        if name == "string":
            return rules.shared("gemma string", lambda: rules.add("text", f"{literal(_QUOTE)} {until(rules, _QUOTE)}"))
        if name in ("object", "array", "value"):
            rules.shared("gemma any", self._any)
            return rules.shared(f"gemma {name}", lambda: name)
        return super().primitive(name)

    def _any(self) -> str:
        """Rules for any value, object and list, which refer to each other."""
        rules = self._rules
        value, mapping, items = (rules.shared(f"gemma {name}", partial(rules.reserve, name)) for name in _ANY)
        kinds = (self.primitive(kind) for kind in ("string", "number", "boolean", "null"))
        rules.define(value, " | ".join((*kinds, mapping, items)))
        rules.define(mapping, f'"{{" ({_KEY} {value} ("," {_KEY} {value})*)? "}}"')
        rules.define(items, f'"[" ({value} ("," {value})*)? "]"')
        return value

    def pair(self, name: str, value: str) -> str:
        """A property of an object."""
        return f"{literal(name + ':')} {value}"

    def further(self, value: str) -> str:
        """A property of any name."""
        return f"{_KEY} {value}"

    def pairs(
        self, properties: Mapping[str, Any], further: Any, hint: str, depth: int
    ) -> tuple[dict[str, str], str | None]:
        """As the template sorts them."""
        ordered = dict(sorted(properties.items(), key=lambda pair: pair[0].lower()))
        return super().pairs(ordered, further, hint, depth)

    def string(self, schema: Mapping[str, Any]) -> str:
        """Any text: lengths and formats are not enforced between these quotes."""
        self.refuse(schema, ("minLength", "maxLength", "format"))
        return self.primitive("string")


def _written(value: Any) -> str:
    if isinstance(value, str):
        return f"{_QUOTE}{value}{_QUOTE}"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{_written(inner)}" for key, inner in sorted(value.items())) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def _expect(text: str) -> Reading:
    char = yield from skip()
    for number, wanted in enumerate(text):
        if number:
            char = yield
        if char != wanted:
            raise Malformed
    return ""


def _object(put: Put, depth: int) -> Reading:
    """The members of an object whose brace has been read, as JSON."""
    put("{")
    char = yield from skip()
    first = True
    while char != "}":
        key = (yield from name_until(":", char)).strip().removeprefix(_QUOTE).removesuffix(_QUOTE).strip('"')
        put(("" if first else ", ") + written(key) + ": ")
        first = False
        char = yield from _value(put, depth + 1)
        if char == ",":
            char = yield from skip()
        elif char != "}":
            raise Malformed
    put("}")
    return ""


def _value(put: Put, depth: int) -> Reading:
    """A value as JSON; returns the first character behind it that is not white space."""
    if depth > _MAX_DEPTH:
        raise Malformed
    char = yield from skip()
    if char == "<":
        for wanted in _QUOTE[1:]:
            if (yield) != wanted:
                raise Malformed
        put('"')
        yield from read_until(_QUOTE, lambda text: put(json.dumps(text, ensure_ascii=False)[1:-1]))
        put('"')
    elif char == "{":
        yield from _object(put, depth)
    elif char == "[":
        put("[")
        yield from _items(put, depth)
        put("]")
    else:
        char = yield from json_value(char, put)
        return char if char and char not in SPACE else (yield from skip())
    return (yield from skip())


def _items(put: Put, depth: int) -> Reading:
    """The items of a list up to its bracket."""
    pieces: list[str] = []
    first = True
    while True:
        char = yield from _value_or_end(pieces.append, depth + 1)
        if pieces:
            put(("" if first else ", ") + "".join(pieces))
            first = False
            pieces.clear()
        if char == "]":
            return ""
        if char != ",":
            raise Malformed


def _value_or_end(put: Put, depth: int) -> Reading:
    reading = _value(put, depth)
    next(reading)
    started = False
    while True:
        char = yield
        if not started and char == "]":
            reading.close()
            return char
        started = started or char not in SPACE
        try:
            reading.send(char)
        except StopIteration as end:
            return str(end.value)
