"""An OpenAI chat body → ChatRequest, for deployments that speak another dialect.

Fields by the OpenAI API reference ("Create chat completion"), and de-facto extensions of local servers.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from ghostd.conversation import (
    Audio,
    File,
    Image,
    Message,
    NamedTool,
    Part,
    Reasoning,
    ReasoningEffort,
    Refusal,
    Role,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Tools,
)
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.openai_fields import GenerationFields, check_ranges, sampling, stops
from ghostd.types import ChatRequest

T = TypeVar("T")

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}
_EFFORTS: dict[str, ReasoningEffort] = {
    "none": "none",
    "minimal": "minimal",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "xhigh",
}
_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "none": "none", "required": "required"}
_DATA_URL = re.compile(r"^data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)
_OWN_RANGES = {"max_completion_tokens": (1, 2**31 - 1), "top_logprobs": (0, 20)}


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


class _ToolCall(msgspec.Struct):
    function: _Function | None = None
    id: str = ""
    type: str = "function"


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: _Function | None = None
    reasoning_content: str | None = None
    audio: Any = None


class _FunctionTool(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"")
    strict: bool | None = None


class _Tool(msgspec.Struct):
    type: str
    function: _FunctionTool | None = None


class _NamedFunction(msgspec.Struct):
    name: str


class _NamedChoice(msgspec.Struct):
    function: _NamedFunction
    type: str = "function"


class ChatBody(GenerationFields, kw_only=True):
    """The body, as far as it can be translated; other fields are ignored."""

    messages: list[_Message]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[_Tool] | None = None
    tool_choice: str | _NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    functions: list[_FunctionTool] | None = None
    function_call: str | _NamedFunction | None = None
    reasoning_effort: str | None = None
    user: str | None = None
    modalities: list[str] | None = None
    audio: Any = None


def chat_request(body: ChatBody) -> ChatRequest:
    """The request; raises InvalidRequest or UnsupportedParameter with the path of the field."""
    check_ranges(body)
    check_ranges(body, _OWN_RANGES)
    if body.modalities and body.modalities != ["text"]:
        raise UnsupportedParameter("This model replies with text only.", "modalities")
    if body.audio:
        raise UnsupportedParameter("This model replies with text only.", "audio")
    if not body.messages:
        raise InvalidRequest("Invalid value for 'messages': an empty list.", "messages")
    logprobs = None
    if body.logprobs:
        logprobs = body.top_logprobs or 0
    elif body.top_logprobs is not None:
        raise InvalidRequest("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
    wanted = body.response_format.json_schema if body.response_format else None
    return ChatRequest(
        model=body.model,
        messages=tuple(_message(message, f"messages[{number}]") for number, message in enumerate(body.messages)),
        sampling=sampling(body, logprobs),
        max_tokens=body.max_tokens if body.max_completion_tokens is None else body.max_completion_tokens,
        stop=stops(body),
        tools=_tools(body),
        reasoning=_reasoning(body),
        user=body.user,
        schema_name=(wanted.name if wanted else None) or "reply",
        schema_strict=wanted.strict if wanted else None,
    )


def _reasoning(body: ChatBody) -> Reasoning:
    if body.reasoning_effort is None:
        return Reasoning()
    effort = _EFFORTS.get(body.reasoning_effort)
    if effort is None:
        known = ", ".join(_EFFORTS)
        shown = repr(body.reasoning_effort[:50])
        raise InvalidRequest(f"Invalid value for 'reasoning_effort': {shown}; supported: {known}.", "reasoning_effort")
    return Reasoning(effort)


def _tools(body: ChatBody) -> Tools:
    tools = tuple(_tool(tool, f"tools[{number}]") for number, tool in enumerate(body.tools or ()))
    functions = tuple(_function(function) for function in body.functions or ())
    if tools and functions:
        raise InvalidRequest("'functions' and 'tools' cannot be combined.", "functions")
    choice = _choice(body)
    if not (tools or functions) and choice not in (None, "none", "auto"):
        raise InvalidRequest("'tool_choice' needs 'tools'.", "tool_choice")
    return Tools(tools or functions, choice, body.parallel_tool_calls)


def _tool(tool: _Tool, path: str) -> Tool:
    if tool.type != "function" or tool.function is None:
        raise UnsupportedParameter(f"Tools of type {tool.type[:50]!r} are not supported; send functions.", path)
    return _function(tool.function)


def _function(function: _FunctionTool) -> Tool:
    schema = bytes(function.parameters)
    parameters = schema.decode("utf-8") if schema not in (b"", b"null") else '{"type":"object","properties":{}}'
    return Tool(function.name, function.description or "", parameters, function.strict)


def _choice(body: ChatBody) -> ToolChoice | NamedTool | None:
    given = body.tool_choice if body.tool_choice is not None else body.function_call
    if given is None:
        return None
    if isinstance(given, _NamedChoice):
        return NamedTool(given.function.name)
    if isinstance(given, _NamedFunction):
        return NamedTool(given.name)
    choice = _CHOICES.get(given)
    if choice is None:
        known = ", ".join(_CHOICES)
        raise InvalidRequest(f"Invalid value for 'tool_choice': {given[:50]!r}; supported: {known}.", "tool_choice")
    return choice


def _message(message: _Message, path: str) -> Message:
    role = _ROLES.get(message.role)
    if role is None:
        known = ", ".join(_ROLES)
        raise InvalidRequest(
            f"Invalid value for '{path}.role': {message.role[:50]!r}; supported: {known}.", f"{path}.role"
        )
    if message.audio:
        raise UnsupportedParameter("Replies of sound cannot be sent back to this model.", f"{path}.audio")
    if role == "tool":
        return _tool_result(message, path)
    if role == "assistant":
        return _assistant(message, path)
    if message.content is None:
        raise InvalidRequest(f"Missing required parameter: '{path}.content'.", f"{path}.content")
    if isinstance(message.content, str):
        return Message(role, message.content, message.name)
    return Message(role, _parts(message.content, f"{path}.content"), message.name)


def _assistant(message: _Message, path: str) -> Message:
    parts: list[Part] = []
    if message.reasoning_content:
        parts.append(Thinking(message.reasoning_content))
    if isinstance(message.content, str):
        if not (parts or message.tool_calls or message.function_call or message.refusal):
            return Message("assistant", message.content, message.name)
        if message.content:
            parts.append(Text(message.content))
    elif message.content is not None:
        parts.extend(_parts(message.content, f"{path}.content"))
    if message.refusal:
        parts.append(Refusal(message.refusal))
    for number, call in enumerate(message.tool_calls or ()):
        if call.function is None or not call.function.name:
            where = f"{path}.tool_calls[{number}]"
            raise UnsupportedParameter("Only calls of functions are supported.", where)
        parts.append(ToolCall(call.id or f"call_{number}", call.function.name, call.function.arguments))
    if message.function_call:
        parts.append(ToolCall(message.function_call.name, message.function_call.name, message.function_call.arguments))
    return Message("assistant", tuple(parts) or "", message.name)


def _tool_result(message: _Message, path: str) -> Message:
    call_id = message.tool_call_id or message.name  # the older "function" messages have a name only
    if call_id is None:
        raise InvalidRequest(f"Missing required parameter: '{path}.tool_call_id'.", f"{path}.tool_call_id")
    content: tuple[Text | Image | File, ...] = ()
    if isinstance(message.content, str):
        content = (Text(message.content),)
    elif message.content is not None:
        parts = _parts(message.content, f"{path}.content")
        content = tuple(part for part in parts if isinstance(part, Text | Image | File))
    return Message("tool", (ToolResult(call_id, content, name=message.name),))


def _parts(parts: list[_Part], path: str) -> tuple[Part, ...]:
    return tuple(_part(part, f"{path}[{number}]") for number, part in enumerate(parts))


def _part(part: _Part, path: str) -> Part:
    if part.type in ("text", "input_text"):
        return Text(_given(part.text, f"{path}.text"))
    if part.type == "refusal":
        return Refusal(_given(part.refusal, f"{path}.refusal"))
    if part.type == "image_url":
        return _image(_given(part.image_url, f"{path}.image_url"))
    if part.type == "file":
        return _file(_given(part.file, f"{path}.file"), f"{path}.file")
    if part.type == "input_audio":
        sound = _given(part.input_audio, f"{path}.input_audio")
        return Audio(sound.data, sound.format)
    raise UnsupportedParameter(
        f"Content of type {part.type[:50]!r} is not supported by this model; send text.", f"{path}.type"
    )


def _given(value: T | None, path: str) -> T:
    if value is None:
        raise InvalidRequest(f"Missing required parameter: '{path}'.", path)
    return value


def _image(given: Any) -> Image:
    assert isinstance(given, str | _Url)
    url, detail = (given, None) if isinstance(given, str) else (given.url, given.detail)
    if match := _DATA_URL.match(url):
        return Image(data=url[match.end() :], media_type=match[1] or "image/png", detail=detail)
    return Image(url=url, detail=detail)


def _file(given: _File, path: str) -> File:
    if given.file_id:
        return File(file_id=given.file_id, name=given.filename)
    data = _given(given.file_data, f"{path}.file_data")
    if match := _DATA_URL.match(data):
        return File(data=data[match.end() :], media_type=match[1] or "application/pdf", name=given.filename)
    return File(data=data, name=given.filename)
