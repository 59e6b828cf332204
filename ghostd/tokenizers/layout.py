"""What of a request is counted, and what its layout costs beside its texts.

Source: OpenAI's cookbook, "How to count tokens with tiktoken". It tells what messages and plain tools cost; what it
says nothing of (calls of tools, their results, nested schemas, formats of replies) is counted likewise, and then the
count is not exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from ghostd.conversation import File, Message, Refusal, Text, Thinking, Tool, ToolCall, ToolResult
from ghostd.tokenizers.names import Vocabulary
from ghostd.types import ChatRequest, CompletionRequest

_PER_MESSAGE = 3
_PER_NAME = 1
_PER_PROPERTIES = 3
_PER_PROPERTY = 3
_PER_CHOICES = -3
_PER_CHOICE = 3
_PER_TOOLS = 12
_MAX_DEPTH = 32


@dataclass(slots=True)
class Layout:
    """Texts to count, and tokens beside them."""

    texts: list[str] = field(default_factory=list)
    beside: int = 0
    exact: bool = True

    def add(self, text: str, beside: int = 0) -> None:
        """A text, and what stands around it."""
        self.texts.append(text)
        self.beside += beside


def layout_of(request: ChatRequest | CompletionRequest, vocabulary: Vocabulary) -> Layout | None:
    """The request's; None where it holds what is no text."""
    made = Layout()
    if isinstance(request, CompletionRequest):
        for piece in (*request.prompt, *(() if request.suffix is None else (request.suffix,))):
            made.beside += isinstance(piece, int)
            if isinstance(piece, str):
                made.texts.append(piece)
        made.exact = request.suffix is None
        return made
    made.exact = vocabulary.settled
    for message in request.messages:
        if not _add_message(made, message):
            return None
    made.beside += vocabulary.priming
    if request.tools.tools:
        made.exact = False
        made.beside += _PER_TOOLS
        for tool in request.tools.tools:
            _add_tool(made, tool, vocabulary)
    if request.sampling.json_schema is not None:
        made.exact = False
        made.add(request.sampling.json_schema)
    return made


def _add_message(made: Layout, message: Message) -> bool:
    """Whether it is all text."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if results:
        made.exact = False
        for result in results:
            made.add(message.role, _PER_MESSAGE)
            if not _add_texts(made, result.content):
                return False
        return True
    made.add(message.role, _PER_MESSAGE)
    if message.name is not None:
        made.add(message.name, _PER_NAME)
    if len(message.parts) > 1:
        made.exact = False
    return _add_texts(made, message.parts)


def _add_texts(made: Layout, parts: tuple[Any, ...]) -> bool:
    for part in parts:
        match part:
            case Text():
                made.add(part.text)
            case Refusal():
                made.exact = False
                made.add(part.text)
            case ToolCall():
                made.exact = False
                made.add(part.name, _PER_MESSAGE)
                made.add(part.arguments)
            case Thinking():
                made.exact = False  # it is not sent to these services
            case File() if part.text is not None:
                made.exact = False
                made.add(part.text)
            case _:
                return False
    return True


def _add_tool(made: Layout, tool: Tool, vocabulary: Vocabulary) -> None:
    made.add(f"{tool.name}:{tool.description.removesuffix('.')}", vocabulary.per_tool)
    try:
        schema = msgspec.json.decode(tool.parameters)
    except (msgspec.DecodeError, RecursionError):
        made.add(tool.parameters)
        return
    _add_schema(made, schema, 0)


def _add_schema(made: Layout, schema: Any, depth: int) -> None:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if not isinstance(properties, Mapping) or not properties:
        return
    made.beside += _PER_PROPERTIES
    for name, property_ in properties.items():
        made.beside += _PER_PROPERTY
        if not isinstance(property_, Mapping) or depth >= _MAX_DEPTH:
            made.add(f"{name}:{msgspec.json.encode(property_).decode()}")
            continue
        choices = property_.get("enum")
        if isinstance(choices, list):
            made.beside += _PER_CHOICES
            for choice in choices:
                made.add(str(choice), _PER_CHOICE)
        description = str(property_.get("description", "")).removesuffix(".")
        made.add(f"{name}:{property_.get('type', '')}:{description}")
        _add_schema(made, property_, depth + 1)
        _add_schema(made, property_.get("items"), depth + 1)
