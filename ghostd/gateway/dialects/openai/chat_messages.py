"""Messages of an OpenAI chat body → Messages, each part checked against what its role may hold."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any, TypeVar

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
from ghostd.gateway.dialects.openai.chat_tools import custom_arguments

T = TypeVar("T")

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_TEXTS = ("text", "input_text")
_KINDS: dict[Role, tuple[str, ...]] = {
    "system": _TEXTS,
    "developer": _TEXTS,
    "user": (*_TEXTS, "image_url", "input_audio", "file"),
    "assistant": (*_TEXTS, "refusal"),
    "tool": (*_TEXTS, "image_url", "file"),
}
"""Types of parts by role. Beyond OpenAI's reference, tools may show images and files: agents rely on it."""
_KNOWN = frozenset(kind for kinds in _KINDS.values() for kind in kinds)
_DETAILS = ("auto", "low", "high", "original")
_SOUNDS = ("wav", "mp3", "flac", "opus", "ogg", "aac", "m4a", "webm", "aiff", "pcm16")
"""OpenAI takes the first two; the others are what further services take."""
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_WEB_URL = re.compile(r"https?://", re.IGNORECASE)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n"


class _Url(msgspec.Struct):
    url: str
    detail: str | None = None


class _File(msgspec.Struct):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _Sound(msgspec.Struct):
    data: str
    format: str


class _Part(msgspec.Struct):
    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: _Url | str | None = None
    file: _File | None = None
    input_audio: _Sound | None = None


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""


class _Custom(msgspec.Struct):
    name: str = ""
    input: str = ""


class _ToolCall(msgspec.Struct):
    function: _Function | None = None
    custom: _Custom | None = None
    id: str = ""
    type: str = "function"


class MessageBody(msgspec.Struct):
    """One of `messages`."""

    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: _Function | None = None
    reasoning_content: str | None = None
    audio: Any = None


def messages_of(given: Sequence[MessageBody]) -> tuple[Message, ...]:
    """The conversation; raises InvalidRequest or UnsupportedParameter with the path of the field."""
    if not given:
        raise InvalidRequest("Invalid value for 'messages': an empty list.", "messages")
    messages = tuple(_message(message, f"messages[{number}]") for number, message in enumerate(given))
    _check_results(given)
    return messages


def _check_results(given: Sequence[MessageBody]) -> None:
    """Every call of a tool has its result right behind it, and no result is without its call."""
    waiting: dict[str, None] = {}
    for number, message in enumerate(given):
        path = f"messages[{number}].role"
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                raise InvalidRequest(
                    f"Invalid value for '{path}': a message of role 'tool' must answer one of the 'tool_calls' of the "
                    "assistant's message before it.",
                    path,
                )
            del waiting[message.tool_call_id]
            continue
        if waiting:
            raise InvalidRequest(
                f"Invalid value for '{path}': a message of role 'tool' must come first for each call of a tool; "
                f"there is none for {', '.join(map(repr, waiting))[:200]}.",
                path,
            )
        if message.role == "assistant":
            waiting = dict.fromkeys(call.id for call in message.tool_calls or ())
    if waiting:
        raise InvalidRequest(
            f"Invalid value for 'messages': there is no message of role 'tool' for the calls "
            f"{', '.join(map(repr, waiting))[:200]} at its end.",
            "messages",
        )


def _message(message: MessageBody, path: str) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        known = ", ".join(_ROLES)
        raise InvalidRequest(
            f"Invalid value for '{path}.role': {message.role[:50]!r}; supported: {known}.", f"{path}.role"
        )
    if message.audio:
        raise UnsupportedParameter("Replies of sound cannot be sent back to this model.", f"{path}.audio")
    if message.tool_calls and role != "assistant":
        raise InvalidRequest(f"'{path}.tool_calls' is for assistants.", f"{path}.tool_calls")
    if role == "tool":
        return _tool_result(message, path)
    if role == "assistant":
        return _assistant(message, path)
    if message.content is None:
        raise InvalidRequest(f"Missing required parameter: '{path}.content'.", f"{path}.content")
    if isinstance(message.content, str):
        return Message(role, message.content, message.name)
    return Message(role, _parts(message.content, role, f"{path}.content"), message.name)


def _assistant(message: MessageBody, path: str) -> Message:
    parts: list[Part] = []
    if message.reasoning_content:
        parts.append(Thinking(message.reasoning_content))
    calls = bool(message.tool_calls or message.function_call)
    if isinstance(message.content, str):
        if not (parts or calls or message.refusal):
            return Message("assistant", message.content, message.name)
        if message.content:
            parts.append(Text(message.content))
    elif message.content:
        parts.extend(_parts(message.content, "assistant", f"{path}.content"))
    elif not (calls or message.refusal or parts):
        raise InvalidRequest(f"Missing required parameter: '{path}.content'.", f"{path}.content")
    if message.refusal:
        parts.append(Refusal(message.refusal))
    parts.extend(_call(call, f"{path}.tool_calls[{number}]") for number, call in enumerate(message.tool_calls or ()))
    if message.function_call:
        parts.append(ToolCall(message.function_call.name, message.function_call.name, message.function_call.arguments))
    return Message("assistant", tuple(parts) or "", message.name)


def _call(call: _ToolCall, path: str) -> ToolCall:
    if call.type == "custom" and call.custom is not None and call.custom.name:
        found = ToolCall(call.id, call.custom.name, custom_arguments(call.custom.input))
    elif call.function is not None and call.function.name:
        found = ToolCall(call.id, call.function.name, call.function.arguments)
    else:
        raise UnsupportedParameter("Only calls of functions and custom tools are supported.", path)
    if not call.id:
        raise InvalidRequest(f"Missing required parameter: '{path}.id'.", f"{path}.id")
    return found


def _tool_result(message: MessageBody, path: str) -> Message:
    call_id = message.name if message.role == "function" else message.tool_call_id
    if not call_id:
        field = "name" if message.role == "function" else "tool_call_id"
        raise InvalidRequest(f"Missing required parameter: '{path}.{field}'.", f"{path}.{field}")
    content: tuple[Text | Image | File, ...] = ()
    if isinstance(message.content, str):
        content = (Text(message.content),)
    elif message.content is None:
        raise InvalidRequest(f"Missing required parameter: '{path}.content'.", f"{path}.content")
    else:
        parts = _parts(message.content, "tool", f"{path}.content")
        content = tuple(part for part in parts if isinstance(part, Text | Image | File))
    return Message("tool", (ToolResult(call_id, content, name=message.name),))


def _parts(parts: list[_Part], role: Role, path: str) -> tuple[Part, ...]:
    if not parts:
        raise InvalidRequest(f"Invalid value for '{path}': an empty list.", path)
    return tuple(_part(part, role, f"{path}[{number}]") for number, part in enumerate(parts))


def _part(part: _Part, role: Role, path: str) -> Part:
    if part.type not in _KNOWN:
        raise UnsupportedParameter(
            f"Content of type {part.type[:50]!r} is not supported by this model; send text.", f"{path}.type"
        )
    if part.type not in _KINDS[role]:
        known = ", ".join(_KINDS[role])
        raise InvalidRequest(
            f"Invalid value for '{path}.type': a message of role '{role}' holds {known}, not {part.type}.",
            f"{path}.type",
        )
    if part.type in _TEXTS:
        return Text(_given(part.text, f"{path}.text"))
    if part.type == "refusal":
        return Refusal(_given(part.refusal, f"{path}.refusal"))
    if part.type == "image_url":
        return _image(part.image_url, f"{path}.image_url")
    if part.type == "file":
        return _file(_given(part.file, f"{path}.file"), f"{path}.file")
    return _sound(_given(part.input_audio, f"{path}.input_audio"), f"{path}.input_audio")


def _given(value: T | None, path: str) -> T:
    if value is None:
        raise InvalidRequest(f"Missing required parameter: '{path}'.", path)
    return value


def _image(image: _Url | str | None, path: str) -> Image:
    if image is None:
        raise InvalidRequest(f"Missing required parameter: '{path}'.", path)
    url, where = (image, path) if isinstance(image, str) else (image.url, f"{path}.url")
    detail = None if isinstance(image, str) else image.detail
    if detail is not None and detail not in _DETAILS:
        known = ", ".join(_DETAILS)
        raise InvalidRequest(
            f"Invalid value for '{path}.detail': {detail[:50]!r}; supported: {known}.", f"{path}.detail"
        )
    if _WEB_URL.match(url):
        return Image(url=url, detail=detail)
    match = _DATA_URL.match(url)
    if match is None:
        raise InvalidRequest(
            f"Invalid value for '{where}': an image is an http(s) URL, or a data URL in base64.", where
        )
    media_type = match[1].lower() or "image/png"
    if not media_type.startswith("image/"):
        raise InvalidRequest(f"Invalid value for '{where}': {media_type[:50]!r} is no type of image.", where)
    return Image(data=_base64(url[match.end() :], where), media_type=media_type, detail=detail)


def _file(given: _File, path: str) -> File:
    if given.file_id is not None and given.file_data is not None:
        raise InvalidRequest(f"'{path}.file_id' and '{path}.file_data' cannot be combined.", f"{path}.file_id")
    if given.file_id:
        return File(file_id=given.file_id, name=given.filename)
    data, where = _given(given.file_data, f"{path}.file_data"), f"{path}.file_data"
    if match := _DATA_URL.match(data):
        media_type = match[1].lower() or "application/pdf"
        encoded = _base64(data[match.end() :], where)
        held = _decoded(encoded, where) if media_type == "text/plain" else encoded
        return File(data=held, media_type=media_type, name=given.filename)
    return File(data=_base64(data, where), name=given.filename)


def _sound(given: _Sound, path: str) -> Audio:
    if given.format not in _SOUNDS:
        known = ", ".join(_SOUNDS)
        raise InvalidRequest(
            f"Invalid value for '{path}.format': {given.format[:50]!r}; supported: {known}.", f"{path}.format"
        )
    return Audio(_base64(given.data, f"{path}.data"), given.format)


def _decoded(encoded: str, path: str) -> str:
    """The text of a plain text file."""
    try:
        return base64.b64decode(encoded).decode("utf-8")
    except ValueError:
        raise InvalidRequest(f"Invalid value for '{path}': the data is no UTF-8 text in base64.", path) from None


def _base64(text: str, path: str) -> str:
    """The text, which must look like base64; that is told without decoding it, for it may be large."""
    if not text or not text.isascii() or text.encode("ascii").translate(None, _BASE64) != b"":
        raise InvalidRequest(f"Invalid value for '{path}': the data is not base64.", path)
    return text
