"""Llama 3's calls: a JSON object that is the whole reply, with or without a marker before it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.workers.turns.contract import Body, Sink, ToolRule
from ghostd.workers.turns.gbnf import MORE, Rules, literal
from ghostd.workers.turns.json_stream import skip
from ghostd.workers.turns.objects import call_object, object_rule

_TAG = "<|python_tag|>"
_START = re.compile(r'(?:<\|python_tag\|>)?\{ ?"name" ?: ?"?')


@dataclass(frozen=True, slots=True)
class Bare:
    """`{"name": …, "parameters": {…}}` at the start of the reply; more calls after a semicolon."""

    openers: tuple[str, ...] = (_TAG,)
    markers: tuple[str, ...] = (_TAG,)
    closer: str = ""
    starts: str = "{"
    """What begins a call without a marker, where nothing was said before."""

    def body(self, opener: str, sink: Sink) -> Body:
        """A call or several. Where the opener is the object's own brace it must look like a call from its first key."""
        char = opener if opener == self.starts else (yield from skip())
        while True:
            yield from call_object(char, sink, known_only=True)
            char = yield from skip()
            if char == ";":
                char = yield from skip()
            if char != self.starts:
                return char

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """Rules for calls of the tools."""
        space = rules.primitive("space")
        call = rules.add("call", " | ".join(object_rule(tool, space, "name", "parameters") for tool in tools))
        more = f'(";" {space} {call}){MORE}' if several else ""
        return f"({literal(_TAG)})? {call} {more}"

    def begins(self, text: str) -> bool:
        """The object's start up to the name."""
        return _START.fullmatch(text) is not None
