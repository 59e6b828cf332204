"""What a syntax of tool calls is made of, and what a turn's parser gives."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ghostd.workers.turns.gbnf import Rules

Body = Generator[None, str, str]
"""Is sent the characters after an opener. Returns what it read too many; raises Malformed."""


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of the model's thoughts."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """A piece of a tool call: with `name` its first one."""

    index: int
    arguments: str
    name: str | None = None


Event = Said | Thought | Called


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool, as the worker needs it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON schema."""
    strict: bool = False


class Enough(Exception):
    """The turn may have no further call."""


class Sink:
    """Where a body puts the calls that it reads, and what it must know of the tools."""

    def __init__(self, tools: Mapping[str, ToolSpec], most: int | None = None) -> None:
        self.tools = tools
        self._most = most
        self.count = 0
        """Calls of the turn so far."""
        self._events: list[Event] = []
        self._name: str | None = None
        self._pieces: list[str] = []

    def call(self, name: str) -> None:
        """A call begins. Raises Enough for one too many."""
        if self.count == self._most:
            raise Enough
        self._flush()
        self._name = name
        self.count += 1

    def arguments(self, text: str) -> None:
        """A piece of its arguments."""
        self._pieces.append(text)

    def taken(self) -> list[Event]:
        """What has come since the last look."""
        self._flush()
        events, self._events = self._events, []
        return events

    def _flush(self) -> None:
        text = "".join(self._pieces)
        if text or self._name is not None:
            self._events.append(Called(self.count - 1, text, self._name))
        self._name = None
        self._pieces.clear()


@dataclass(frozen=True, slots=True)
class ToolRule:
    """A tool in a grammar: its name, and the rule for its arguments as JSON."""

    name: str
    arguments: str
    properties: Mapping[str, str]
    """Rule of each property's values as JSON, for syntaxes that write them one by one."""
    texts: Mapping[str, tuple[str, ...]]
    """Properties whose values are text, with the texts allowed; () for any text."""
    required: frozenset[str] = frozenset()
    free: bool = False
    """Whether properties of other names may come, too."""


class Syntax(Protocol):
    """How a family of models writes tool calls."""

    @property
    def openers(self) -> tuple[str, ...]:
        """Texts that begin a call, or a section of calls."""
        ...

    @property
    def markers(self) -> tuple[str, ...]:
        """All texts of the syntax that may be control tokens of the vocabulary."""
        ...

    @property
    def closer(self) -> str:
        """What ends a call that went wrong after it was announced; "": nothing but the end of the turn."""
        ...

    def body(self, opener: str, sink: Sink) -> Body:
        """Read what follows the opener."""
        ...

    def grammar(self, rules: Rules, tools: Sequence[ToolRule], *, several: bool) -> str:
        """The body of a rule for one or more calls, opener included."""
        ...

    def begins(self, text: str) -> bool:
        """Whether `text`, an opener and what came with it in one token, is a beginning that the grammar takes."""
        ...
