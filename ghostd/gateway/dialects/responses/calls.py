"""One call of a tool while its arguments come, as the item that the client's own tool wants."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from ghostd.gateway.dialects.responses.thoughts import new_id
from ghostd.gateway.dialects.responses.tools import Origin

_PREFIXES = {"function": "fc", "custom": "ctc", "tool_search": "tsc"}
_INPUT_BEGINS = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_PLAIN = re.compile(r'[^"\\]+')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_UNICODE_CHARS = 6
"""Of `\\u0041`."""


class OpenCall:
    """A call that may not be complete yet."""

    def __init__(self, origin: Origin, call_id: str) -> None:
        self.origin = origin
        self.call_id = call_id
        self.item_id = new_id(_PREFIXES[origin.kind])
        self.index = -1
        """In the output."""
        self.closed = False
        self.rest = ""
        """What `finished` has found that no delta has told."""
        self._pieces: list[str] = []
        self._text = JsonText() if origin.kind == "custom" else None
        self._input = ""

    @property
    def complete(self) -> bool:
        """Whether the arguments are a whole JSON object."""
        try:
            return isinstance(msgspec.json.decode(self._arguments), dict)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False

    @property
    def _arguments(self) -> str:
        return "".join(self._pieces)

    @property
    def delta_event(self) -> str:
        """The type of the event that tells a piece."""
        kind = "custom_tool_call_input" if self.origin.kind == "custom" else "function_call_arguments"
        return f"response.{kind}.delta"

    @property
    def done_event(self) -> str:
        """The type of the event that tells the whole; "" where there is none."""
        if self.origin.kind == "tool_search":
            return ""
        return self.delta_event.removesuffix("delta") + "done"

    def done_fields(self) -> dict[str, str]:
        """What that event says."""
        if self.origin.kind == "custom":
            return {"input": self._input}
        return {"arguments": self._arguments, "name": self.origin.name}

    def add(self, arguments: str) -> str:
        """Take in a piece of the function's arguments; what is to be told of it."""
        self._pieces.append(arguments)
        if self.origin.kind == "tool_search":
            return ""
        return arguments if self._text is None else self._text.feed(arguments)

    def opening(self) -> dict[str, Any]:
        """The item as it begins."""
        return self._item("in_progress", "", {})

    def finished(self, status: str) -> dict[str, Any]:
        """The item, complete."""
        if status == "completed" and self.origin.kind == "function" and not self._arguments.strip():
            self.rest = "{}"  # agents decode it as JSON, which nothing is not
            self._pieces = [self.rest]
        arguments = self._arguments
        if self.origin.kind == "custom":
            told = self._text.told if self._text is not None else ""
            self._input = _custom_input(arguments, told)
            self.rest = self._input[len(told) :]
            return self._item(status, self._input, {})
        return self._item(status, arguments, _object(arguments) if self.origin.kind == "tool_search" else {})

    def _item(self, status: str, text: str, query: dict[str, Any]) -> dict[str, Any]:
        item: dict[str, Any] = {"id": self.item_id, "type": f"{self.origin.kind}_call", "call_id": self.call_id}
        if self.origin.kind == "tool_search":
            return item | {"execution": "client", "arguments": query, "status": status}
        if self.origin.kind == "custom":
            item |= {"type": "custom_tool_call", "name": self.origin.name, "input": text}
        else:
            item |= {"name": self.origin.name, "arguments": text}
        if self.origin.namespace is not None:
            item["namespace"] = self.origin.namespace
        return item | {"status": status}


def _custom_input(arguments: str, told: str) -> str:
    """The text in the function's one argument; a model that did not keep to JSON has written the text itself."""
    found = _object(arguments, {"input": arguments}).get("input")
    text = found if isinstance(found, str) else arguments
    return text if text.startswith(told) else told


def _object(arguments: str, otherwise: dict[str, Any] | None = None) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    return {"query": arguments} if otherwise is None else otherwise


class JsonText:
    """The string in `{"input": "…"}` while the JSON text comes in pieces that may be cut anywhere."""

    def __init__(self) -> None:
        self._waiting = ""
        self._begun = False
        self._ended = False
        self._parts: list[str] = []

    @property
    def told(self) -> str:
        """All that `feed` has given so far."""
        return "".join(self._parts)

    def feed(self, piece: str) -> str:
        """What more of the string is known with this piece."""
        self._waiting += piece
        if not self._begun:
            match = _INPUT_BEGINS.match(self._waiting)
            if match is None:
                return ""
            self._begun = True
            self._waiting = self._waiting[match.end() :]
        text = "" if self._ended else self._decoded()
        if text:
            self._parts.append(text)
        return text

    def _decoded(self) -> str:
        text, at, found = self._waiting, 0, []
        while at < len(text):
            if plain := _PLAIN.match(text, at):
                found.append(plain[0])
                at = plain.end()
            elif text[at] == '"':
                self._ended = True
                break
            else:
                character, size = _escaped(text, at)
                if not size:
                    break
                found.append(character)
                at += size
        self._waiting = text[at:]
        return "".join(found)


def _escaped(text: str, at: int) -> tuple[str, int]:
    """The character that an escape stands for, and the escape's length; 0 where it is not whole yet."""
    following = text[at + 1 : at + 2]
    if following != "u":
        return _ESCAPES.get(following, following), 2 if following else 0
    unit = text[at + 2 : at + _UNICODE_CHARS]
    if len(unit) < 4:
        return "", 0
    code = int(unit, 16) if re.fullmatch("[0-9a-fA-F]{4}", unit) else 0xFFFD
    if not 0xD800 <= code < 0xDC00:
        return (chr(code) if not 0xDC00 <= code < 0xE000 else "\ufffd"), _UNICODE_CHARS
    other = text[at + _UNICODE_CHARS : at + 2 * _UNICODE_CHARS]
    if len(other) < _UNICODE_CHARS and "\\u".startswith(other[:2]):
        return "", 0
    low = re.fullmatch(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})", other)
    if low is None:
        return "\ufffd", _UNICODE_CHARS
    return chr(0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00), 2 * _UNICODE_CHARS
