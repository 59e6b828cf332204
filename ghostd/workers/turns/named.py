"""Calls whose name stands outside the arguments: NAME, a separator, and the arguments as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.workers.turns.contract import Body, Sink, ToolRule
from ghostd.workers.turns.gbnf import MORE, Rules, literal
from ghostd.workers.turns.json_stream import SPACE, Malformed, Reading, name_until, skip, value
from ghostd.workers.turns.objects import checked_name, object_rule, objects

_WHITE = "[ \\n]{0,4}"


def arguments(first: str, name: str, sink: Sink) -> Reading:
    """Announce the call and read its arguments, which are an object."""
    if first != "{":
        raise Malformed
    sink.call(checked_name(name))
    return (yield from value(first, sink.arguments))


def closing(first: str, marker: str) -> Reading:
    """The marker, or all that came instead of it."""
    read = ""
    char = first if first and first not in SPACE else (yield from skip())
    while True:
        read += char
        if read == marker:
            return ""
        if not marker.startswith(read):
            return read
        char = yield


@dataclass(frozen=True, slots=True)
class Mistral:
    """`[TOOL_CALLS][{"name": …, "arguments": …}]`, or `[TOOL_CALLS]NAME[ARGS]{…}` for each call."""

    listed: bool
    openers: tuple[str, ...] = ("[TOOL_CALLS]",)
    markers: tuple[str, ...] = ("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]")
    closer: str = "[TOOL_CALLS]"

    def body(self, opener: str, sink: Sink) -> Body:
        """Either form."""
        char = yield from skip()
        if char in "[{":
            return (yield from objects(char, sink))
        name = yield from name_until("[ARGS]", char)
        name, _, _ = name.partition("[CALL_ID]")
        return (yield from arguments((yield from skip()), name, sink))

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """The form that the template writes."""
        opener = literal(self.openers[0])
        space = rules.primitive("space")
        if self.listed:
            call = rules.add("call", " | ".join(object_rule(tool, space, "name", "arguments") for tool in tools))
            more = f'("," {space} {call}){MORE}' if several else ""
            return f'{opener} {_WHITE} "[" {space} {call} {more} {space} "]"'
        ways = " | ".join(f"{literal(tool.name)} {literal('[ARGS]')} {space} {tool.arguments}" for tool in tools)
        call = rules.add("call", ways)
        one = rules.add("marked-call", f"{opener} {space} {call}")
        return f"{one} ({one}){MORE}" if several else one

    def begins(self, text: str) -> bool:
        """The opener, and white space at most."""
        return text.removeprefix("[TOOL_CALLS]").strip(" ") in ("", "[" if self.listed else "")


_DEEPSEEK = (
    "<｜tool▁calls▁begin｜>", "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>", "<｜tool▁calls▁end｜>"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class DeepSeek:
    """A section of calls: name and arguments (V3.1), or a type, the name and a fenced block (V3, R1)."""

    fenced: bool
    openers: tuple[str, ...] = _DEEPSEEK[:1]
    markers: tuple[str, ...] = _DEEPSEEK
    closer: str = _DEEPSEEK[-1]

    def body(self, opener: str, sink: Sink) -> Body:
        """The calls up to the section's end."""
        _, begin, separator, end, section_end = _DEEPSEEK
        char = yield from skip()
        before = sink.count
        while True:
            rest = yield from closing(char, begin)
            if rest:
                if sink.count == before:
                    raise Malformed
                return (yield from _rest(rest, section_end))
            name = (yield from name_until(separator)).strip()
            if name == "function":
                name = (yield from name_until("```json")).strip()
                fence = "```"
            else:
                fence = ""
            char = yield from arguments((yield from skip()), name, sink)
            for marker in filter(None, (fence, end)):
                rest = yield from closing(char, marker)
                if rest:
                    return rest
                char = ""
            char = yield from skip()

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """The form that the template writes."""
        opener, begin, separator, end, section_end = map(literal, _DEEPSEEK)
        ways = []
        for tool in tools:
            if self.fenced:
                head, tail = f'"function" {separator} {literal(tool.name)} "\\n```json\\n"', '"\\n```"'
            else:
                head, tail = f"{literal(tool.name)} {separator}", ""
            ways.append(f"{begin} {head} {tool.arguments} {tail} {end}")
        call = rules.add("call", " | ".join(ways))
        more = f"({_WHITE} {call}){MORE}" if several else ""
        return f"{opener} {_WHITE} {call} {more} {section_end}"

    def begins(self, text: str) -> bool:
        """The opener, and line breaks at most."""
        return text.removeprefix(_DEEPSEEK[0]).strip("\n") == ""


def _rest(read: str, marker: str) -> Reading:
    """Like `closing`, with some characters read before."""
    while marker.startswith(read) and read != marker:
        read += yield
    return "" if read == marker else read


_KIMI = (
    "<|tool_calls_section_begin|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>",
    "<|tool_calls_section_end|>",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kimi:
    """A section of calls named `functions.NAME:NUMBER`."""

    openers: tuple[str, ...] = _KIMI[:1]
    markers: tuple[str, ...] = _KIMI
    closer: str = _KIMI[-1]

    def body(self, opener: str, sink: Sink) -> Body:
        """The calls up to the section's end."""
        _, begin, separator, end, section_end = _KIMI
        char = yield from skip()
        before = sink.count
        while True:
            rest = yield from closing(char, begin)
            if rest:
                if sink.count == before:
                    raise Malformed
                return (yield from _rest(rest, section_end))
            name = (yield from name_until(separator)).strip()
            char = yield from arguments((yield from skip()), name.rpartition(":")[0] or name, sink)
            rest = yield from closing(char, end)
            if rest:
                return rest
            char = yield from skip()

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """Rules for calls of the tools."""
        opener, begin, separator, end, section_end = map(literal, _KIMI)
        ways = (
            f'{begin} {literal("functions." + tool.name)} ":" [0-9]{{1,3}} {separator} {tool.arguments} {end}'
            for tool in tools
        )
        call = rules.add("call", " | ".join(ways))
        return f"{opener} {call} {f'({call}){MORE}' if several else ''} {section_end}"

    def begins(self, text: str) -> bool:
        """The opener alone."""
        return text == _KIMI[0]


@dataclass(frozen=True, slots=True)
class FunctionTag:
    """`<function=NAME>{…}</function>`."""

    openers: tuple[str, ...] = ("<function=",)
    markers: tuple[str, ...] = ("<function=", "</function>")
    closer: str = "</function>"

    def body(self, opener: str, sink: Sink) -> Body:
        """One call."""
        name = yield from name_until(">")
        char = yield from arguments((yield from skip()), name, sink)
        return (yield from closing(char, "</function>"))

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """Rules for calls of the tools."""
        ways = (f'"<function=" {literal(tool.name)} ">" {tool.arguments} "</function>"' for tool in tools)
        call = rules.add("call", " | ".join(ways))
        return f"{call} ({_WHITE} {call}){MORE}" if several else call

    def begins(self, text: str) -> bool:
        """The opener alone."""
        return text == "<function="
