"""What an obedient model says: it does what a request's parameters and its last message ask for, and no more.

It calls the tools that it must call or whose names the message mentions, follows a schema, repeats what it is told to
say exactly, stops at stop texts and at its token limit, and is the same every time.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from obedient.instances import Instances

from ghostd.conversation import ToolCall
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import FinishReason, Usage

Json = dict[str, Any]

_TOKEN = re.compile(r"\s*\w+|\s*[^\w\s]+|\s+")
_WORD = re.compile(r"\w+")
_EXACTLY = (
    re.compile(r"exactly(?: this)?: «(.*?)»", re.DOTALL),
    re.compile(r"(?:exactly|nothing else): (.+)", re.DOTALL),
    re.compile(r"(?:reply|answer|respond|say)\b[^.:\n]*? ['\"`](.+?)['\"`]", re.IGNORECASE),
)
_NAMED = re.compile(r"name is (\w+)")
_TRIVIAL = frozenset(("call", "find", "from", "function", "make", "tool", "what", "with"))
_SHOWN = 300
DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class AskedTool:
    """A tool on offer."""

    name: str
    description: str = ""
    parameters: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in no dialect's words."""

    prompt: str
    """The text of the user's last message."""
    size: int
    """Words of the whole conversation."""
    said: str = ""
    """The text of the user's earlier messages."""
    results: tuple[str, ...] = ()
    """What tools have said since."""
    tools: tuple[AskedTool, ...] = ()
    choice: str = "auto"
    """"auto", "none", "required", or "tool:" and a name."""
    parallel: bool = True
    schema: Json | None = None
    """A schema to follow; empty for any JSON object."""
    stop: tuple[str, ...] = ()
    max_tokens: int | None = None
    think: bool = False
    continues: str = ""
    """The beginning of the assistant's message, where it is to be continued."""


@dataclass(frozen=True, slots=True)
class Said:
    """The answer: `text` is one token an item."""

    text: tuple[str, ...]
    finish: FinishReason
    usage: Usage
    calls: tuple[ToolCall, ...] = ()
    thoughts: tuple[str, ...] = ()
    stopped_at: str | None = None

    @property
    def reply(self) -> Reply:
        """As the dialects of the providers' contract tests write it."""
        return Reply(self.text, self.finish, self.usage, self.calls, self.thoughts)


def answer(asked: Asked) -> Said:
    """What it says."""
    thoughts = ("Let me", " think.") if asked.think else ()
    calls = () if asked.choice == "none" else tuple(_calls(asked))
    prompt_tokens = max(1, asked.size)
    if calls:
        size = len(thoughts) + sum(len(_TOKEN.findall(call.arguments)) + 1 for call in calls)
        return Said((), "tool_calls", Usage(prompt_tokens, size, reasoning_tokens=len(thoughts)), calls, thoughts)
    text, stopped_at = _stopped(_text(asked), asked.stop)
    tokens = tuple(_TOKEN.findall(text))
    finish: FinishReason = "stop"
    room = None if asked.max_tokens is None else max(0, asked.max_tokens - len(thoughts))
    if room is not None and len(tokens) > room:
        tokens, finish, stopped_at = tokens[:room], "length", None
    usage = Usage(prompt_tokens, len(tokens) + len(thoughts), reasoning_tokens=len(thoughts))
    return Said(tokens, finish, usage, (), thoughts, stopped_at)


def words(texts: Iterable[str]) -> int:
    """The size of texts."""
    return sum(len(_TOKEN.findall(text)) for text in texts)


def logprob(token: str) -> float:
    """How sure it is of a token: always the same for the same one."""
    return -1.0 - (hashlib.sha256(token.encode()).digest()[0] / 256)


def vector(text: str, size: int = DIMENSIONS) -> tuple[float, ...]:
    """A text's embedding, of length one."""
    digest = hashlib.shake_256(text.encode()).digest(size)
    numbers = [byte / 255 - 0.5 for byte in digest]
    length = math.sqrt(sum(number * number for number in numbers)) or 1.0
    return tuple(number / length for number in numbers)


def _calls(asked: Asked) -> Iterable[ToolCall]:
    wanted: Sequence[AskedTool] = ()
    if asked.choice.startswith("tool:"):
        wanted = [tool for tool in asked.tools if tool.name == asked.choice.removeprefix("tool:")]
    elif asked.tools and not (asked.results and asked.choice == "auto"):
        wanted = [tool for tool in asked.tools if _mentioned(tool, asked.prompt)]
        if not wanted and asked.choice == "required":
            wanted = asked.tools[:1]
    for number, tool in enumerate(wanted if asked.parallel else wanted[:1]):
        arguments = Instances(tool.parameters, asked.prompt).make()
        found = arguments if isinstance(arguments, dict) else {}
        digest = hashlib.sha256(f"{number}{tool.name}{asked.prompt}{len(asked.results)}".encode()).hexdigest()
        yield ToolCall(f"call_{digest[:20]}", tool.name, json.dumps(found, ensure_ascii=False))


def _mentioned(tool: AskedTool, prompt: str) -> bool:
    """Whether the prompt names the tool, or a word of its name."""
    if tool.name in prompt:
        return True
    named = {word.lower() for word in re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", tool.name) if len(word) > 3}
    return bool((named - _TRIVIAL) & {word.lower() for word in _WORD.findall(prompt)})


def _text(asked: Asked) -> str:
    if asked.schema is not None:
        any_object = asked.schema in ({}, {"type": "object"})
        made = _object(asked.prompt) if any_object else Instances(asked.schema, asked.prompt).make()
        return json.dumps(made, ensure_ascii=False)
    if asked.continues:
        return " and so on."
    if asked.results:
        return "The tool says: " + " ".join(asked.results)[:_SHOWN]
    if "my name" in asked.prompt and (name := _NAMED.search(asked.said)):
        return name[1]
    for pattern in _EXACTLY:
        if found := pattern.search(asked.prompt):
            return found[1]
    return f"You said: {asked.prompt[:_SHOWN]}" if asked.prompt else "You said nothing."


def _object(prompt: str) -> Json:
    """Any JSON object: of the keys that the prompt quotes."""
    keys = [first or second for first, second in re.findall(r"'(\w+)'|\"(\w+)\"", prompt)]
    return {key: f"the {key}" for key in keys} or {"answer": prompt[:_SHOWN]}


def _stopped(text: str, stops: Sequence[str]) -> tuple[str, str | None]:
    found = [(at, stop) for stop in stops if stop and (at := text.find(stop)) >= 0]
    if not found:
        return text, None
    at, stop = min(found)
    return text[:at], stop
