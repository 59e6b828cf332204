"""Items of the Responses API → messages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import msgspec

from ghostd.conversation import (
    Audio,
    File,
    Image,
    Message,
    Part,
    Refusal,
    Role,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
)
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.responses.thoughts import is_own_id, opened, opened_summary
from ghostd.gateway.dialects.responses.tools import TOOL_SEARCH, ToolBook, WireTool, flat_name

T = TypeVar("T")

_ROLES: Mapping[str, Role] = {"user": "user", "system": "system", "developer": "developer", "assistant": "assistant"}
_CALLS = frozenset(("function_call", "custom_tool_call", "tool_search_call"))
_OUTPUTS = frozenset(("function_call_output", "custom_tool_call_output", "tool_search_output"))
_FORGOTTEN = frozenset(("web_search_call", "file_search_call", "code_interpreter_call", "mcp_list_tools", "mcp_call"))
"""Items that record what OpenAI's own tools did; the messages after them say what came of it."""
_DATA_URL = re.compile(r"^data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_SUMMARY = "What was said so far, in short:\n\n"


class _Sound(msgspec.Struct):
    data: str
    format: str


class WirePart(msgspec.Struct):
    """A part of a message's `content`, or of a call's `output`."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    image_url: str | None = None
    detail: str | None = None
    file_id: str | None = None
    file_data: str | None = None
    file_url: str | None = None
    filename: str | None = None
    input_audio: _Sound | None = None


class WireItem(msgspec.Struct):
    """An item, whatever its type."""

    type: str = "message"
    id: str | None = None
    role: str | None = None
    content: str | list[WirePart] | None = None
    summary: list[WirePart] | None = None
    encrypted_content: str | None = None
    name: str | None = None
    namespace: str | None = None
    call_id: str | None = None
    arguments: msgspec.Raw = msgspec.Raw(b"")
    input: str | None = None
    output: str | list[WirePart] | None = None
    tools: list[WireTool] | None = None


_ITEM = msgspec.json.Decoder(WireItem)
_TEXT = msgspec.json.Decoder(str)
_encode = msgspec.json.Encoder().encode


def read_items(items: Sequence[bytes], own_from: int = 0, member: str = "input") -> list[tuple[str, WireItem]]:
    """Each item with its path; those before `own_from` come from what was said earlier. Raises InvalidRequest."""
    found = []
    for number, raw in enumerate(items):
        path = f"{member}[{number - own_from}]" if number >= own_from else member
        try:
            found.append((path, _ITEM.decode(raw)))
        except msgspec.DecodeError as error:
            reason, _, place = str(error).partition(" - at `$")
            where = path + place.rstrip("`")
            raise InvalidRequest(f"Invalid value for '{where}': {reason}.", where) from None
    return found


def messages(items: Sequence[tuple[str, WireItem]], book: ToolBook) -> list[Message]:
    """The conversation. Raises InvalidRequest or UnsupportedParameter with the path of the field.

    What the assistant did in a row, thoughts and calls included, makes one message, and so do the outputs of its
    calls, which follow it wherever they were told: most services want that. Tools that items bring along are added to
    the book.
    """
    reader = _Reader(book, _signatures(items))
    for path, item in items:
        reader.add(item, path)
    return list(reader.finished())


def _signatures(items: Sequence[tuple[str, WireItem]]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for _, item in items:
        if item.type == "reasoning" and item.encrypted_content:
            found.update(opened(item.encrypted_content)[1])
    return found


class _Reader:
    def __init__(self, book: ToolBook, signatures: Mapping[str, str]) -> None:
        self.messages: list[Message] = []
        self._book = book
        self._signatures = signatures
        self._calls: dict[str, str] = {}  # name of the function by the call's id
        self._results: dict[str, ToolResult] = {}
        self._turn_over = False

    def finished(self) -> Iterator[Message]:
        """The messages with the outputs of their calls; raises InvalidRequest for a call without any."""
        for message in self.messages:
            yield message
            calls = [part.id for part in message.parts if isinstance(part, ToolCall)]
            for call_id in calls:
                if call_id not in self._results:
                    raise InvalidRequest(f"No tool output found for function call {call_id[:80]}.", "input")
            if calls:
                yield Message("tool", tuple(self._results[call_id] for call_id in calls))

    def add(self, item: WireItem, path: str) -> None:
        kind = item.type
        if kind == "message":
            self._message(item, path)
        elif kind in _CALLS:
            self._call(item, path)
        elif kind in _OUTPUTS:
            self._output(item, path)
        elif kind == "reasoning":
            self._say(_thoughts(item))
        elif kind == "compaction" and (summary := opened_summary(item.encrypted_content or "")):
            self.messages.append(Message("user", _SUMMARY + summary))
        elif kind == "additional_tools":
            self._book.add(item.tools or (), f"{path}.tools", again=True)
        elif kind == "item_reference":
            shown = (item.id or "")[:80]
            raise InvalidRequest(f"Item with id '{shown}' not found; it was not stored here.", f"{path}.id")
        elif kind not in _FORGOTTEN:
            raise UnsupportedParameter(f"Items of type {kind[:50]!r} cannot be told to this model.", f"{path}.type")

    def _message(self, item: WireItem, path: str) -> None:
        role = _ROLES.get(given(item.role, f"{path}.role"))
        if role is None:
            raise InvalidRequest(
                f"Invalid value for '{path}.role': {(item.role or '')[:50]!r}; supported: {', '.join(_ROLES)}.",
                f"{path}.role",
            )
        content = item.content
        if content is None:
            raise missing(f"{path}.content")
        if role == "assistant":
            self._say(_parts(content, f"{path}.content"))
        elif isinstance(content, str):
            self.messages.append(Message(role, content))
        else:
            self.messages.append(Message(role, _parts(content, f"{path}.content")))

    def _call(self, item: WireItem, path: str) -> None:
        call_id = given(item.call_id, f"{path}.call_id")
        if item.type == "tool_search_call":
            name, arguments = TOOL_SEARCH, bytes(item.arguments).decode() or "{}"
        else:
            name = flat_name(given(item.name, f"{path}.name"), item.namespace)
            if item.type == "custom_tool_call":
                arguments = _encode({"input": given(item.input, f"{path}.input")}).decode()
            else:
                arguments = _text(item.arguments, f"{path}.arguments")
        if call_id in self._calls:
            raise InvalidRequest(
                f"Invalid value for '{path}.call_id': two calls have the id {call_id[:80]!r}.", f"{path}.call_id"
            )
        self._calls[call_id] = name
        self._say((ToolCall(call_id, name, arguments, self._signatures.get(call_id)),))

    def _output(self, item: WireItem, path: str) -> None:
        call_id = given(item.call_id, f"{path}.call_id")
        if call_id not in self._calls:
            raise InvalidRequest(f"No tool call found for function call output with call_id {call_id[:80]}.", "input")
        self._turn_over = True
        if item.type == "tool_search_output":
            found = item.tools or []
            self._book.add(found, f"{path}.tools", again=True)
            told: tuple[Part, ...] = (Text(_encode(found).decode()),)
        else:
            if item.output is None:
                raise missing(f"{path}.output")
            told = _parts(item.output, f"{path}.output")
        content = tuple(part for part in told if isinstance(part, Text | Image | File))
        before = self._results.get(call_id)  # agents tell what a running tool says, and then what it said at last
        told_before = before.content if before is not None else ()
        self._results[call_id] = ToolResult(call_id, (*told_before, *content), name=self._calls[call_id])

    def _say(self, parts: tuple[Part, ...]) -> None:
        """Join what the assistant says and does in a row."""
        if not parts:
            return
        if self.messages and self.messages[-1].role == "assistant" and not self._turn_over:
            parts = (*self.messages.pop().parts, *parts)
        self._turn_over = False
        self.messages.append(Message("assistant", parts))


def _thoughts(item: WireItem) -> tuple[Thinking, ...]:
    """What is known of another service's thoughts is a summary, which no other model has thought."""
    if item.encrypted_content:
        return opened(item.encrypted_content)[0]
    told = item.content if isinstance(item.content, list) else None
    if not told and item.id is not None and is_own_id(item.id):
        told = item.summary
    text = "\n\n".join(part.text for part in told or () if part.text)
    return (Thinking(text),) if text else ()


def _parts(content: str | list[WirePart], path: str) -> tuple[Part, ...]:
    if isinstance(content, str):
        return (Text(content),)
    return tuple(_part(part, f"{path}[{number}]") for number, part in enumerate(content))


def _part(part: WirePart, path: str) -> Part:
    if part.type in ("input_text", "output_text", "text", "summary_text"):
        return Text(given(part.text, f"{path}.text"))
    if part.type == "refusal":
        return Refusal(given(part.refusal, f"{path}.refusal"))
    if part.type == "input_image":
        if part.file_id is not None:
            raise UnsupportedParameter(
                "Images can be sent to this model by URL or as data only, not by the id of a file.", f"{path}.file_id"
            )
        return _image(given(part.image_url, f"{path}.image_url"), part.detail)
    if part.type == "input_file":
        return _file(part, path)
    if part.type == "input_audio":
        sound = given(part.input_audio, f"{path}.input_audio")
        return Audio(sound.data, sound.format)
    raise UnsupportedParameter(f"Content of type {part.type[:50]!r} cannot be told to this model.", f"{path}.type")


def _image(url: str, detail: str | None) -> Image:
    if match := _DATA_URL.match(url):
        return Image(data=url[match.end() :], media_type=match[1] or "image/png", detail=detail)
    return Image(url=url, detail=detail)


def _file(part: WirePart, path: str) -> File:
    if part.file_id:
        return File(file_id=part.file_id, name=part.filename)
    if part.file_url:
        return File(url=part.file_url, name=part.filename)
    data = given(part.file_data, f"{path}.file_data")
    match = _DATA_URL.match(data)
    if match is None:
        return File(data=data, name=part.filename)
    data, media_type = data[match.end() :], match[1] or "application/pdf"
    if media_type == "text/plain":
        try:
            data = base64.b64decode(data, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            where = f"{path}.file_data"
            raise InvalidRequest(f"Invalid value for '{where}': not UTF-8 text in base64.", where) from None
    return File(data=data, media_type=media_type, name=part.filename)


def _text(raw: msgspec.Raw, path: str) -> str:
    if not bytes(raw):
        raise missing(path)
    try:
        return _TEXT.decode(raw)
    except msgspec.DecodeError:
        raise InvalidRequest(f"Invalid value for '{path}': it must be JSON as text.", path) from None


def given(value: T | None, path: str) -> T:
    """The value; raises InvalidRequest where there is none."""
    if value is None:
        raise missing(path)
    return value


def missing(path: str) -> InvalidRequest:
    """A field is not there."""
    return InvalidRequest(f"Missing required parameter: '{path}'.", path)
