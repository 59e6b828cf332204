"""LFM2's calls: `<|tool_call_start|>[name(key="text", other=5)]<|tool_call_end|>`, or JSON objects in that place."""

from __future__ import annotations

import ast
import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ghostd.workers.turns.contract import Body, Sink, ToolRule
from ghostd.workers.turns.gbnf import MORE, Rules, literal
from ghostd.workers.turns.json_stream import SPACE, Malformed, Reading, name_until, skip, written
from ghostd.workers.turns.named import closing
from ghostd.workers.turns.objects import call_object, checked_name
from ghostd.workers.turns.schema_grammar import SchemaConverter

_OPEN, _CLOSE = "<|tool_call_start|>", "<|tool_call_end|>"
_BRACKETS = {"(": ")", "[": "]", "{": "}"}


@dataclass(frozen=True, slots=True)
class Pythonic:
    """See the module."""

    openers: tuple[str, ...] = (_OPEN,)
    markers: tuple[str, ...] = (_OPEN, _CLOSE)
    closer: str = _CLOSE

    def body(self, opener: str, sink: Sink) -> Body:
        """A list of calls."""
        if (yield from skip()) != "[":
            raise Malformed
        char, before = (yield from skip()), sink.count
        while char != "]":
            rest = yield from call_object(char, sink) if char == "{" else _call(char, sink)
            char = rest if rest and rest not in SPACE else (yield from skip())
            if char == ",":
                char = yield from skip()
            elif char != "]":
                raise Malformed
        if sink.count == before:
            raise Malformed
        return (yield from closing("", _CLOSE))

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """Rules for calls of the tools."""
        call = rules.add("call", " | ".join(f"{literal(tool.name)} {tool.arguments}" for tool in tools))
        more = f'("," " "? {call}){MORE}' if several else ""
        return f'{literal(_OPEN)} "[" {call} {more} "]" {literal(_CLOSE)}'

    def begins(self, text: str) -> bool:
        """The opener and the bracket."""
        return text in (_OPEN, _OPEN + "[")


class PythonConverter(SchemaConverter):
    """Values as Python writes them. The arguments themselves stand between parentheses."""

    def arguments(self, schema: Mapping[str, Any], hint: str) -> str:
        """The arguments of a call."""
        properties, required = schema.get("properties"), schema.get("required")
        known = properties if isinstance(properties, dict) else {}
        pairs = {
            name: self._rules.add(f"{hint}-{name}", f'{literal(name)} "=" {self.value(inner, f"{hint}-{name}")}')
            for name, inner in known.items()
        }
        needed = frozenset(map(str, required)) if isinstance(required, list) else frozenset()
        return f'"(" {self.members(pairs, needed, None, hint)} ")"' if pairs else '"()"'

    def literal(self, value: Any) -> str:
        """The value itself."""
        return literal(repr(value))

    def primitive(self, name: str) -> str:
        """Any value, or any of a type."""
        words = {"boolean": '"True" | "False"', "null": '"None"'}
        if name in words:
            return self._rules.shared(f"python {name}", lambda: self._rules.add(name, words[name]))
        return super().primitive(name)


def _call(first: str, sink: Sink) -> Reading:
    """NAME(key=value, …)."""
    sink.call(checked_name((yield from name_until("(", first))))
    sink.arguments("{")
    char = yield from skip()
    before = ""
    while char != ")":
        key = (yield from name_until("=", char)).strip()
        text, char = yield from _argument()
        sink.arguments(f"{before}{written(key)}: {_as_json(text)}")
        before = ", "
        if char == ",":
            char = yield from skip()
    sink.arguments("}")
    return ""


def _argument() -> Generator[None, str, tuple[str, str]]:
    """A value as it is written, and the comma or parenthesis behind it."""
    text: list[str] = []
    open_brackets: list[str] = []
    quote = ""
    while True:
        char = yield
        if quote:
            text.append(char)
            if char == "\\":
                text.append((yield))
            elif char == quote:
                quote = ""
            continue
        if not open_brackets and char in ",)":
            return "".join(text), char
        text.append(char)
        if char in "\"'":
            quote = char
        elif char in _BRACKETS:
            open_brackets.append(_BRACKETS[char])
        elif open_brackets and char == open_brackets[-1]:
            open_brackets.pop()


def _as_json(text: str) -> str:
    """The value as JSON; what is no literal is text."""
    try:
        return written(json.loads(text))
    except (ValueError, RecursionError):
        pass
    try:
        return written(ast.literal_eval(text.strip()))
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return written(text.strip())
