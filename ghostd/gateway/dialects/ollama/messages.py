"""Ollama's messages, images and tools in ghostd's words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

import msgspec

from ghostd.conversation import Image, Message, Part, Role, Text, Thinking, Tool, ToolCall, ToolResult, Tools
from ghostd.errors import InvalidRequest, UnsupportedParameter

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
}
_NO_PARAMETERS = '{"type":"object","properties":{}}'
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)
_HEAD_CHARS = 64


class CalledFunction(msgspec.Struct):
    """`function` of a tool call."""

    name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class CalledTool(msgspec.Struct):
    """One of `tool_calls`."""

    function: CalledFunction
    id: str = ""


class MessageBody(msgspec.Struct):
    """One of `messages`."""

    role: str
    content: str | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class FunctionBody(msgspec.Struct):
    """`function` of a tool."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"")


class ToolBody(msgspec.Struct):
    """One of `tools`."""

    function: FunctionBody
    type: str | None = "function"


def tools_of(bodies: Sequence[ToolBody]) -> Tools:
    """The tools; raises InvalidRequest or UnsupportedParameter."""
    return Tools(tuple(_tool(body, f"tools[{number}]") for number, body in enumerate(bodies)))


def _tool(body: ToolBody, path: str) -> Tool:
    if body.type not in (None, "", "function"):
        raise UnsupportedParameter(f"Tools of type {body.type[:50]!r} are not supported; send functions.", path)
    schema = bytes(body.function.parameters)
    if schema in (b"", b"null"):
        schema = _NO_PARAMETERS.encode()
    elif not schema.startswith(b"{"):
        where = f"{path}.function.parameters"
        raise InvalidRequest(f"Invalid value for '{where}': a JSON schema is an object.", where)
    return Tool(body.function.name, body.function.description or "", schema.decode("utf-8"))


class _Loop:
    """Which call a tool's result answers: Ollama's clients give names, and ids only of late."""

    def __init__(self) -> None:
        self._count = 0
        self._open: list[tuple[str, str]] = []

    def called(self, call: CalledTool) -> str:
        """The id of a call."""
        self._count += 1
        identifier = call.id or f"call_{self._count}"
        self._open.append((identifier, call.function.name))
        return identifier

    def answered(self, message: MessageBody) -> tuple[str, str | None]:
        """The id of the call that a result is for, and the tool's name."""
        for number, (identifier, name) in enumerate(self._open):
            if message.tool_call_id:
                fits = message.tool_call_id == identifier
            else:
                fits = not message.tool_name or message.tool_name == name
            if fits:
                del self._open[number]
                return identifier, name
        self._count += 1
        return message.tool_call_id or f"call_{self._count}", message.tool_name


def messages_of(bodies: Sequence[MessageBody]) -> tuple[Message, ...]:
    """The conversation; raises InvalidRequest with the path of the field. Results in a row become one message."""
    loop = _Loop()
    found: list[Message] = []
    for number, body in enumerate(bodies):
        path = f"messages[{number}]"
        role = _ROLES.get(body.role)
        if role is None:
            known = ", ".join(_ROLES)
            raise InvalidRequest(
                f"Invalid value for '{path}.role': {body.role[:50]!r}; supported: {known}.", f"{path}.role"
            )
        if role != "tool":
            found.append(_message(role, body, path, loop))
            continue
        identifier, name = loop.answered(body)
        content: tuple[Text | Image, ...] = (Text(body.content or ""), *images_of(body.images, f"{path}.images"))
        result = ToolResult(identifier, content, name=name)
        if found and found[-1].role == "tool":
            found[-1] = Message("tool", (*found[-1].parts, result))
        else:
            found.append(Message("tool", (result,)))
    return tuple(found)


def _message(role: Role, body: MessageBody, path: str, loop: _Loop) -> Message:
    parts: list[Part] = []
    if body.thinking and role == "assistant":
        parts.append(Thinking(body.thinking))
    if body.content:
        parts.append(Text(body.content))
    parts.extend(images_of(body.images, f"{path}.images"))
    for number, call in enumerate(body.tool_calls or ()):
        where = f"{path}.tool_calls[{number}]"
        if role != "assistant":
            raise InvalidRequest("Only the assistant calls tools.", where)
        if not call.function.name:
            raise InvalidRequest(f"Missing required parameter: '{where}.function.name'.", f"{where}.function.name")
        parts.append(ToolCall(loop.called(call), call.function.name, _arguments(call, where)))
    if all(isinstance(part, Text) for part in parts):
        return Message(role, body.content or "")
    return Message(role, tuple(parts))


def _arguments(call: CalledTool, path: str) -> str:
    """As JSON text; some clients send it as a text already."""
    raw = bytes(call.function.arguments)
    if raw in (b"", b"null"):
        return "{}"
    if raw.startswith(b'"'):
        text: str = msgspec.json.decode(raw)
        return text or "{}"
    if not raw.startswith(b"{"):
        where = f"{path}.function.arguments"
        raise InvalidRequest(f"Invalid value for '{where}': it must be an object.", where)
    return raw.decode("utf-8")


def images_of(images: Sequence[str] | None, path: str) -> tuple[Image, ...]:
    """Images, as base64; raises InvalidRequest."""
    return tuple(_image(data, f"{path}[{number}]") for number, data in enumerate(images or ()))


def _image(data: str, path: str) -> Image:
    given, _, rest = data.partition(";base64,")
    if rest and given.startswith("data:"):
        data = rest
    try:
        base64.b64decode(data, validate=True)
        head = base64.b64decode(data[:_HEAD_CHARS])
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"Invalid value for '{path}': it is not base64.", path) from None
    return Image(data=data, media_type=_media_type(head, path))


def _media_type(head: bytes, path: str) -> str:
    """By the file's first bytes, since the API does not say it."""
    for magic, media_type in _MAGIC:
        if head.startswith(magic):
            return media_type
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "image/webp"
    raise InvalidRequest(f"Invalid value for '{path}': it is no PNG, JPEG, GIF, BMP or WebP image.", path)
