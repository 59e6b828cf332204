"""What is asked and what is answered in the matrix, in no dialect's words."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from ghostd.conversation import ToolCall
from ghostd.testing.upstream_dialect import Reply
from ghostd.types import Usage

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
"""A PNG of one pixel, base64."""
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
TOOL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
Ending = Literal["stop", "length", "tools"]


@dataclass(frozen=True, slots=True)
class PastCall:
    """A tool call of an earlier turn, and what the tool said."""

    id: str
    name: str
    arguments: dict[str, Any]
    result: str


@dataclass(frozen=True, slots=True)
class Ask:
    """A request."""

    prompt: str = "Say hello."
    system: str = ""
    image: str = ""
    """Base64 of a PNG."""
    tools: tuple[str, ...] = ()
    """Names; each takes TOOL_SCHEMA."""
    past: tuple[PastCall, ...] = ()
    """Calls of one assistant turn after the prompt, already answered."""
    schema: bool = False
    """Whether the reply must follow SCHEMA."""
    stop: tuple[str, ...] = ()
    max_tokens: int = 64


@dataclass(frozen=True, slots=True)
class Heard:
    """A reply as a client understands it."""

    text: str = ""
    calls: tuple[tuple[str, dict[str, Any]], ...] = ()
    """Names and arguments."""
    ending: Ending = "stop"
    usage: tuple[int, int] = (12, 5)
    """Tokens of the prompt and of the reply."""
    thoughts: str = ""
    pieces: int = 1
    """How many pieces of text a stream came in."""


TEXT = ("Héllo", " 🌍", " wörld\n", '"quoted"')
HELLO = Reply(TEXT, usage=Usage(12, 5))
CUT = Reply(TEXT, "length", Usage(12, 5))
ONE_CALL = Reply((), "tool_calls", Usage(12, 5), (ToolCall("call_one1", "weather", '{"city": "Köln"}'),))
TWO_CALLS = Reply(
    ("Let me look.",),
    "tool_calls",
    Usage(12, 5),
    (ToolCall("call_one1", "weather", '{"city": "Köln"}'), ToolCall("call_two2", "clock", '{"city": "Oslo"}')),
)
JSON_REPLY = Reply(('{"city": "Oslo",', ' "degrees": 3}'), usage=Usage(12, 5))
LOOP = Ask(
    prompt="What is the weather?",
    system="Be brief.",
    tools=("weather", "clock"),
    past=(
        PastCall("call_one1", "weather", {"city": "Köln"}, "rain"),
        PastCall("call_two2", "clock", {"city": "Oslo"}, "12:00"),
    ),
)


def heard(reply: Reply) -> Heard:
    """What a client should understand of a reply."""

    calls = tuple((call.name, json.loads(call.arguments)) for call in reply.tool_calls)
    ending: Ending = "tools" if calls else "length" if reply.finish == "length" else "stop"
    usage = (reply.usage.prompt_tokens, reply.usage.completion_tokens)
    return Heard("".join(reply.text), calls, ending, usage, "".join(reply.reasoning), len(reply.text))
