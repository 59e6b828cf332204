"""Calls that are JSON objects between markers: {"name": …, "arguments": {…}}, alone or in a list."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.workers.turns.contract import Body, Sink, ToolRule
from ghostd.workers.turns.gbnf import MORE, Rules, json_literal, literal
from ghostd.workers.turns.json_stream import SPACE, Malformed, Reading, skip, string, value, written

_NAME_KEYS = frozenset(("name", "tool_name"))
_ARGUMENT_KEYS = frozenset(("arguments", "parameters", "args"))
_WHITE = "[ \\n]{0,4}"


@dataclass(frozen=True, slots=True)
class Objects:
    """A syntax whose calls are JSON objects."""

    openers: tuple[str, ...]
    close: str = ""
    """Text after the object, or after the list; "" where nothing comes."""
    listed: bool = False
    """Whether the objects stand in a list, even a single one."""
    repeats: bool = False
    """Whether several calls are written one after the other, each with its opener."""
    name_key: str = "name"
    arguments_key: str = "arguments"

    @property
    def closer(self) -> str:
        """As in Syntax."""
        return self.close

    @property
    def markers(self) -> tuple[str, ...]:
        """Openers and closers."""
        return (*self.openers, self.close) if self.close else self.openers

    def body(self, opener: str, sink: Sink) -> Body:
        """An object or a list of them, whichever comes."""
        char = yield from skip()
        yield from objects(char, sink)
        if not self.close:
            return ""
        # A model that leaves the closer out has made its calls all the same.
        read: list[str] = []
        char = yield from skip(read.append)
        for number, wanted in enumerate(self.close):
            if number:
                char = yield
            read.append(char)
            if char != wanted:
                return "".join(read)
        return ""

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """Rules for calls of the tools."""
        space = rules.primitive("space")
        call = rules.add(
            "call", " | ".join(object_rule(tool, space, self.name_key, self.arguments_key) for tool in tools)
        )
        opener = literal(self.openers[0])
        close = f"{_WHITE} {literal(self.close)}" if self.close else ""
        if self.listed:
            more = f'("," {space} {call}){MORE}' if several else ""
            return f'{opener} {_WHITE} "[" {space} {call} {more} {space} "]" {close}'
        one = f"{opener} {_WHITE} {call} {close}"
        if several and self.repeats:
            name = rules.add("marked-call", one)
            return f"{name} ({_WHITE} {name}){MORE}"
        return one

    def begins(self, text: str) -> bool:
        """White space, or the beginning of what the grammar starts with."""
        rest = text.removeprefix(self.openers[0])
        start = ("[" if self.listed else "") + f'{{"{self.name_key}":'
        return rest != text and len(rest) - len(rest.lstrip()) <= 2 and start.startswith(rest.strip())


def object_rule(tool: ToolRule, space: str, name_key: str, arguments_key: str) -> str:
    """One alternative: the object of a call of this tool."""
    head = f'"{{" {space} {json_literal(name_key)} ":" {space} {json_literal(tool.name)} "," {space}'
    return f'{head} {json_literal(arguments_key)} ":" {space} {tool.arguments} {space} "}}"'


def objects(first: str, sink: Sink) -> Reading:
    """A call's object, or a list of them."""
    if first != "[":
        return (yield from call_object(first, sink))
    char = yield from skip()
    while True:
        char = yield from call_object(char, sink)
        char = char if char and char not in SPACE else (yield from skip())
        if char == "]":
            return ""
        if char != ",":
            raise Malformed
        char = yield from skip()


def call_object(first: str, sink: Sink, *, known_only: bool = False) -> Reading:
    """An object with a tool's name and arguments, in any order and among other keys.

    With `known_only` it must begin like a call, of a tool there is: where no marker tells it from other JSON.
    """
    if first != "{":
        raise Malformed
    call = _Call(sink, known_only)
    yield from _members(call)
    call.finish()
    return ""


def _members(call: _Call) -> Reading:
    char = yield from skip()
    while True:
        key = yield from _text(char)
        call.check_key(key)
        char = yield from skip()
        if char != ":":
            raise Malformed
        char = yield from skip()
        if key in _NAME_KEYS or (key == "function" and char == '"'):
            call.name = yield from _text(char)
            rest = ""
        elif key in _ARGUMENT_KEYS:
            rest = yield from _arguments(char, call)
        elif key == "function" and char == "{":
            rest = yield from _members(call)
        else:
            rest = yield from value(char, _drop)
        char = rest if rest and rest not in SPACE else (yield from skip())
        if char == "}":
            return ""
        if char != ",":
            raise Malformed
        char = yield from skip()


def _arguments(first: str, call: _Call) -> Reading:
    """The arguments: an object as it comes, or one written into a string."""
    if first == "{":
        call.begin_arguments()
        return (yield from value(first, call.put))
    parts: list[str] = []
    rest = yield from value(first, parts.append)
    given = json.loads("".join(parts), strict=False)
    if isinstance(given, str):
        given = json.loads(given or "{}", strict=False)
    if given is not None and not isinstance(given, dict):
        raise Malformed
    call.begin_arguments()
    call.put(written(given or {}))
    return rest


def _text(first: str) -> Reading:
    parts: list[str] = []
    yield from string(first, parts.append)
    return str(json.loads("".join(parts), strict=False))


def _drop(_: str) -> None:
    """Other keys are nobody's business: an id of the model's own, a type."""


class _Call:
    """One call while it is read. Arguments that come before the name wait for it."""

    def __init__(self, sink: Sink, known_only: bool) -> None:
        self._sink = sink
        self._known_only = known_only
        self._waiting: list[str] | None = []
        self._name = ""
        self._begun = False

    @property
    def name(self) -> str:
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        self._name = checked_name(name)
        if self._known_only and self._name not in self._sink.tools:
            raise Malformed
        if self._begun:
            self._announce()

    def check_key(self, key: str) -> None:
        """Raises Malformed for an object that does not look like a call."""
        if self._known_only and not self._name and key not in ("name", "type", "function"):
            raise Malformed

    def begin_arguments(self) -> None:
        """The arguments come next."""
        if self._begun:
            raise Malformed
        self._begun = True
        if self._name:
            self._announce()

    def _announce(self) -> None:
        if self._waiting is None:
            return
        self._sink.call(self._name)
        for piece in self._waiting:
            self._sink.arguments(piece)
        self._waiting = None

    def put(self, text: str) -> None:
        """A piece of the arguments."""
        if self._waiting is None:
            self._sink.arguments(text)
        else:
            self._waiting.append(text)

    def finish(self) -> None:
        """The object is over."""
        if not self._name:
            raise Malformed
        if not self._begun:
            self.put("{}")
            self._announce()


_NAME = re.compile(r"[\w./:-]{1,256}")


def checked_name(name: str) -> str:
    """A tool's name, without the name space that some models write; raises Malformed for what cannot be one."""
    name = name.strip().removeprefix("functions.")
    if not _NAME.fullmatch(name):
        raise Malformed
    return name
