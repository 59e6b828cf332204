"""Calls that are tags: a name, and each argument by itself, its value as plain text unless its type says otherwise."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ghostd.workers.turns.contract import Body, Sink, ToolRule, ToolSpec
from ghostd.workers.turns.gbnf import MORE, Rules, literal
from ghostd.workers.turns.gbnf import until as until_rule
from ghostd.workers.turns.json_stream import Malformed, Reading, name_until, skip, until, written
from ghostd.workers.turns.named import closing
from ghostd.workers.turns.objects import checked_name

_WHITE = "[ \\n]{0,4}"
_MAX_HOPS = 8


@dataclass(frozen=True, slots=True)
class Tagged:
    """A syntax of tags; see the instances in ghostd.workers.turns.families."""

    openers: tuple[str, ...]
    """The section's tag first; others may begin a call without one."""
    function_open: str
    """Before the name; "" where the name follows the opener."""
    name_end: str
    """Behind the name; "" where the first tag or a line break ends it."""
    argument_open: str
    key_end: str
    value_open: str
    """Between key and value, behind `key_end`; "" where the value follows it."""
    value_close: str
    function_close: str
    section_close: str
    line_breaks: bool
    """Whether a line break before and after a value is no part of it."""
    shared_section: bool = False
    """Whether all calls of a turn stand in one section."""

    @property
    def markers(self) -> tuple[str, ...]:
        """The tags."""
        return tuple(
            filter(
                None,
                (*self.openers, self.function_open, self.argument_open, self.key_end, self.value_open,
                 self.value_close, self.function_close, self.section_close),
            )
        )  # fmt: skip

    @property
    def closer(self) -> str:
        """As in Syntax."""
        return self.section_close

    def body(self, opener: str, sink: Sink) -> Body:
        """One call, or a section of them."""
        begun = opener == self.function_open
        while True:
            if self.function_open and not begun:
                yield from _one_of((self.function_open,))
            yield from self._call(sink)
            if opener == self.function_open and len(self.openers) > 1:
                # The section's tag was left out; its closer may come all the same.
                return (yield from closing("", self.section_close))
            if not self.section_close or self.function_close == self.section_close:
                return ""
            ways = (self.section_close, self.function_open) if self.function_open else (self.section_close,)
            if (yield from _one_of(ways)) == self.section_close:
                return ""
            begun = True

    def _call(self, sink: Sink) -> Reading:
        name, ended = yield from self._name()
        name = checked_name(name)
        tool = sink.tools.get(name)
        sink.call(name)
        sink.arguments("{")
        first = True
        while True:
            tag = ended or (yield from _one_of((self.argument_open, self.function_close)))
            ended = ""
            if tag == self.function_close:
                sink.arguments("}")
                return ""
            key = (yield from name_until(self.key_end)).strip()
            if self.value_open:
                yield from _one_of((self.value_open,))
            sink.arguments(("" if first else ", ") + written(key) + ": ")
            first = False
            yield from self._value(kind_of(tool, key), sink)

    def _name(self) -> Generator[None, str, tuple[str, str]]:
        """The name, and the tag that ended it where no `name_end` does."""
        if self.name_end:
            return (yield from name_until(self.name_end)), ""
        text = ""
        while len(text) < 512:
            text += yield
            for tag in (self.argument_open, self.function_close):
                if text.endswith(tag):
                    return text[: -len(tag)], tag
        raise Malformed

    def _value(self, kind: Kind, sink: Sink) -> Reading:
        if kind == "text":
            sink.arguments('"')
            yield from until(self.value_close, _Trimmed(sink, self.line_breaks).put)
            sink.arguments('"')
            return ""
        parts: list[str] = []
        yield from until(self.value_close, parts.append)
        sink.arguments(_as_json("".join(parts), kind, line_breaks=self.line_breaks))
        return ""

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """Rules for calls of the tools; arguments in the schema's order."""
        call = rules.add("call", " | ".join(self._rule(rules, tool) for tool in tools))
        one = call if not self.function_open else f"{literal(self.function_open)} {call}"
        opener, close = literal(self.openers[0]), literal(self.section_close)
        if self.function_close == self.section_close:
            section = f"{opener} {one}"
        elif self.shared_section:
            more = f"({_WHITE} {one}){MORE}" if several else ""
            return f"{opener} {_WHITE} {one} {more} {_WHITE} {close}"
        else:
            tag = f"({opener} {_WHITE})?" if self.function_open in self.openers else f"{opener} {_WHITE}"
            section = f"{tag} {one} {_WHITE} {close}"
        name = rules.add("section", section)
        return f"{name} ({_WHITE} {name}){MORE}" if several else name

    def _rule(self, rules: Rules, tool: ToolRule) -> str:
        line = '"\\n"' if self.line_breaks else '""'
        parts = [literal(tool.name + self.name_end), _WHITE]
        value_open = f"{_WHITE} {literal(self.value_open)}" if self.value_open else '""'
        for name, value in tool.properties.items():
            texts = tool.texts.get(name)
            if texts is None:
                body = f"{value} {_WHITE} {literal(self.value_close)}"
            elif texts:
                choice = " | ".join(map(literal, texts))
                body = f"({choice}) {line} {literal(self.value_close)}"
            else:
                body = until_rule(rules, self.value_close)
            head = literal(self.argument_open + name + self.key_end)
            argument = rules.add("argument", f"{head} {value_open} {line} {body} {_WHITE}")
            parts.append(argument if name in tool.required else f"{argument}?")
        if tool.free:
            key = f'[^<>"\\n]{{1,64}} {literal(self.key_end)}'
            value = f"{value_open} {line} {until_rule(rules, self.value_close)}"
            parts.append(f"({literal(self.argument_open)} {key} {value} {_WHITE})*")
        return " ".join((*parts, literal(self.function_close)))

    def begins(self, text: str) -> bool:
        """An opener, and line breaks at most."""
        opener = next((opener for opener in self.openers if text.startswith(opener)), None)
        return opener is not None and len(text) - len(opener) <= 2 and not text[len(opener) :].strip("\n")


def _one_of(tags: Sequence[str]) -> Generator[None, str, str]:
    """White space, then one of the tags; says which."""
    text = yield from skip()
    while True:
        if text in tags:
            return text
        if not any(tag.startswith(text) for tag in tags):
            raise Malformed
        text += yield


class _Trimmed:
    """Text on its way into a JSON string, without one line break at either end: the last one stays held."""

    def __init__(self, sink: Sink, line_breaks: bool) -> None:
        self._sink = sink
        self._trims = line_breaks
        self._begun = False
        self._held = ""

    def put(self, text: str) -> None:
        """A piece."""
        if self._trims and not self._begun:
            text = text.removeprefix("\n")
        self._begun = True
        text = self._held + text
        self._held = "\n" if self._trims and text.endswith("\n") else ""
        self._sink.arguments(
            json.dumps(text.removesuffix(self._held) if self._held else text, ensure_ascii=False)[1:-1]
        )


Kind = Literal["text", "json", "either"]


def _as_json(text: str, kind: Kind, *, line_breaks: bool) -> str:
    try:
        return written(json.loads(text.strip()))
    except (ValueError, RecursionError):
        if line_breaks:
            text = text.removeprefix("\n").removesuffix("\n")
        plain = text.strip().lower()
        if kind == "json" and plain in ("true", "false", "none", "null"):
            return {"none": "null"}.get(plain, plain)  # Python's spelling
        return written(text)


def kind_of(tool: ToolSpec | None, key: str) -> Kind:
    """How a value of this argument is to be read: as the text itself, as JSON, or as JSON where it is that."""
    properties = tool.parameters.get("properties") if tool is not None else None
    schema = properties.get(key) if isinstance(properties, Mapping) else None
    if tool is None or not isinstance(schema, Mapping):
        return "either"
    types = _types(schema, tool.parameters, 0)
    if types == {"string"}:
        return "text"
    return "json" if types and "string" not in types else "either"


def _types(schema: Any, root: Mapping[str, Any], depth: int) -> set[str]:
    """Names of the types that the schema allows; empty where it does not say."""
    if not isinstance(schema, Mapping) or depth > _MAX_HOPS:
        return set()
    if isinstance(reference := schema.get("$ref"), str) and reference.startswith("#/"):
        target: Any = root
        for part in reference[2:].split("/"):
            target = target.get(part) if isinstance(target, Mapping) else None
        return _types(target, root, depth + 1)
    kind = schema.get("type")
    found = {str(one) for one in (kind if isinstance(kind, list) else [kind] if kind is not None else [])}
    if not found:
        found = {"string" if isinstance(value, str) else "other" for value in _list(schema, "enum")}
    ways = [_types(way, root, depth + 1) for key in ("anyOf", "oneOf") for way in _list(schema, key)]
    return found if found or not all(ways) else set().union(*ways)


def _list(schema: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = schema.get(key)
    return value if isinstance(value, list) else ()
