"""gpt-oss's turns: messages on channels, each with a header that says whether it is a thought, an answer or a call."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ghostd.workers.turns.contract import Event, Said, Sink, Thought, ToolRule, ToolSpec
from ghostd.workers.turns.gbnf import Rules, literal
from ghostd.workers.turns.json_stream import overlap

START, CHANNEL, MESSAGE, END = "<|start|>", "<|channel|>", "<|message|>", "<|end|>"
MARKERS = (START, CHANNEL, MESSAGE, END, "<|return|>", "<|call|>", "<|constrain|>")
FINAL = f"{CHANNEL}final{MESSAGE}"
"""What a reply that a grammar binds begins with."""
_PATTERN = re.compile("|".join(map(re.escape, MARKERS[:6])))
_HEADER_STARTS = (CHANNEL, START, "to=")
_RECIPIENT = re.compile(r"to=(?:functions\.)?([\w./:-]{1,256})")
_CALL_HEADER = re.compile(r"to=functions\.[\w./:-]{1,256} ?(<\|constrain\|>)?(json)?")


class HarmonyParser:
    """As TurnParser."""

    def __init__(self, tools: Mapping[str, ToolSpec], *, header: str, single: bool) -> None:
        """`header` is what the prompt has written of the first message's header, after `<|start|>assistant`."""
        self._tools = tools
        self._sink = Sink(tools)
        self._single = single
        self._events: list[Event] = []
        self._held = ""
        self._header: str | None = ""
        self._kind = "text"
        self._opened: str | None = None
        self._over = False
        if header:
            self.feed(header)

    @property
    def thinking(self) -> bool:
        """Whether the turn is in its thoughts."""
        return self._kind == "thought"

    @property
    def answering(self) -> bool:
        """Whether the turn is in its answer."""
        return self._kind == "text" and not self._header

    @property
    def calls(self) -> int:
        """Calls that have begun."""
        return self._sink.count

    @property
    def done(self) -> bool:
        """Whether the turn has all that it may have."""
        return self._over

    def opened(self) -> str | None:
        """What was written of a call that a grammar could take over now."""
        opened, self._opened = self._opened, None
        return opened

    def feed(self, text: str) -> list[Event]:
        """What became clear by this text."""
        text, self._held = self._held + text, ""
        start = 0
        for match in _PATTERN.finditer(text):
            self._piece(text[start : match.start()])
            start = match.end()
            self._marker(match[0])
            if self._over:
                return self._taken()
        keep = max(overlap(text[start:], marker) for marker in MARKERS)
        self._held = text[len(text) - keep :] if keep else ""
        self._piece(text[start : len(text) - keep])
        if start < len(text):
            self._opened = None
        return self._taken()

    def finish(self) -> list[Event]:
        """What was still held."""
        held, self._held = self._held, ""
        if self._header is not None and not self._header.lstrip().startswith(_HEADER_STARTS):
            held, self._header = self._header + held, None
        self._piece(held)
        return self._taken()

    def _taken(self) -> list[Event]:
        events, self._events = [*self._events, *self._sink.taken()], []
        return events

    def _piece(self, text: str) -> None:
        if not text:
            return
        if self._header is not None:
            self._header += text
            start = self._header.lstrip()
            if start.startswith(_HEADER_STARTS) or any(known.startswith(start) for known in _HEADER_STARTS):
                return
            text, self._header = self._header, None  # no header at all: the answer itself
        if self._kind == "call":
            self._sink.arguments(text)
        else:
            self._events.append(Thought(text) if self._kind == "thought" else Said(text))

    def _marker(self, marker: str) -> None:
        if marker == MESSAGE and self._header is not None:
            self._begin(self._header)
        elif marker in (START, CHANNEL):
            self._events.extend(self._sink.taken())
            self._header, self._kind = (self._header or "") + marker, "text"
        elif marker == MESSAGE:
            self._begin("")
        else:
            self._events.extend(self._sink.taken())
            self._over = self._single and self._kind == "call"
            self._header, self._kind = "", "text"

    def _begin(self, header: str) -> None:
        self._header = None
        recipient = _RECIPIENT.search(header)
        if recipient is not None and self._tools:
            self._kind = "call"
            self._sink.call(recipient[1])
            written = header[recipient.start() :]
            if recipient[1] in self._tools and _CALL_HEADER.fullmatch(written):
                self._opened = written + MESSAGE
        else:
            self._kind = "thought" if "analysis" in header else "text"


def grammar(rules: Rules, tools: Sequence[ToolRule]) -> str:
    """The rule of one call from `to=` on; the token that ends it ends the turn."""
    tail = rules.add("tail", f'({literal("<|constrain|>")}? "json")? {literal(MESSAGE)}')
    ways = (f'{literal("to=functions." + tool.name)} " "? {tail} {tool.arguments}' for tool in tools)
    return rules.add("call", " | ".join(ways))
