"""Tools of an OpenAI chat body, and which of them must or may be called → Tools.

A custom tool, whose input is a plain text, becomes a function with one text parameter; its calls are turned back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from ghostd.conversation import NamedTool, Tool, ToolChoice, Tools
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.openai.fields import GenerationFields, json_object

MAX_TOOLS = 128
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "none": "none", "required": "required"}
_NO_PARAMETERS = '{"type":"object","properties":{}}'
_CUSTOM_INPUT = "input"
_CUSTOM_PARAMETERS = (
    '{"type":"object","properties":{"input":{"type":"string","description":"The input of the tool, as it is."}},'
    '"required":["input"],"additionalProperties":false}'
)
_Input = msgspec.json.Decoder(dict[str, Any])


class FunctionTool(msgspec.Struct):
    """`tools[].function`, and one of the older `functions`."""

    name: str
    description: str | None = None
    parameters: msgspec.Raw = msgspec.field(default_factory=msgspec.Raw)
    strict: bool | None = None


class _CustomFormat(msgspec.Struct):
    type: str = "text"


class CustomTool(msgspec.Struct):
    """`tools[].custom`."""

    name: str
    description: str | None = None
    format: _CustomFormat | None = None


class ToolBody(msgspec.Struct):
    """One of `tools`."""

    type: str
    function: FunctionTool | None = None
    custom: CustomTool | None = None


class NamedBody(msgspec.Struct):
    """A tool by its name, in `tool_choice` and `function_call`."""

    name: str


class _AllowedTool(msgspec.Struct):
    type: str
    function: NamedBody | None = None
    custom: NamedBody | None = None


class _AllowedTools(msgspec.Struct):
    mode: str
    tools: list[_AllowedTool]


class ChoiceBody(msgspec.Struct):
    """`tool_choice`, where it is an object."""

    type: str = "function"
    function: NamedBody | None = None
    custom: NamedBody | None = None
    allowed_tools: _AllowedTools | None = None


class ToolFields(GenerationFields, kw_only=True):
    """What a chat body says of tools."""

    tools: list[ToolBody] | None = None
    tool_choice: str | ChoiceBody | None = None
    parallel_tool_calls: bool | None = None
    functions: list[FunctionTool] | None = None
    function_call: str | NamedBody | None = None


def tools_of(body: ToolFields) -> Tools:
    """The tools; raises InvalidRequest or UnsupportedParameter."""
    given: Sequence[ToolBody] = body.tools or ()
    functions = tuple(
        _function(function, f"functions[{number}]") for number, function in enumerate(body.functions or ())
    )
    if given and functions:
        raise InvalidRequest("'functions' and 'tools' cannot be combined.", "functions")
    for param, tools in (("tools", given), ("functions", functions)):
        if len(tools) > MAX_TOOLS:
            raise InvalidRequest(f"Invalid value for '{param}': {len(tools)} tools; at most {MAX_TOOLS}.", param)
    found = tuple(_tool(tool, f"tools[{number}]") for number, tool in enumerate(given)) or functions
    param = "tool_choice" if body.tool_choice is not None else "function_call"
    choice, allowed = _choice(body)
    if not found:
        if choice not in (None, "none", "auto") or allowed is not None:
            raise InvalidRequest(f"'{param}' needs 'tools'.", param)
        if body.parallel_tool_calls is not None:
            raise InvalidRequest("'parallel_tool_calls' needs 'tools'.", "parallel_tool_calls")
    names = {tool.name for tool in found}
    wanted = allowed if allowed is not None else (choice.name,) if isinstance(choice, NamedTool) else ()
    for name in wanted:
        if name not in names:
            raise InvalidRequest(f"Invalid value for '{param}': {name[:64]!r} is none of the tools.", param)
    if allowed is not None:
        found = tuple(tool for tool in found if tool.name in allowed)
    # Client libraries set `strict` by themselves; they check arguments all the same.
    optional = any(tool.strict for tool in found)
    return Tools(found, choice, body.parallel_tool_calls, strict_optional=optional)


def custom_names(body: ToolFields) -> frozenset[str]:
    """The names of the custom tools."""
    return frozenset(tool.custom.name for tool in body.tools or () if tool.custom is not None)


def custom_arguments(text: str) -> str:
    """The input of a custom tool as the arguments of the function that stands for it."""
    return msgspec.json.encode({_CUSTOM_INPUT: text}).decode()


def custom_input(arguments: str) -> str:
    """The input in the arguments of such a function; arguments that are something else are it themselves."""
    try:
        found = _Input.decode(arguments).get(_CUSTOM_INPUT)
    except (msgspec.DecodeError, RecursionError):
        return arguments
    return found if isinstance(found, str) else arguments


def _tool(tool: ToolBody, path: str) -> Tool:
    if tool.type == "function":
        if tool.function is None:
            raise InvalidRequest(f"Missing required parameter: '{path}.function'.", f"{path}.function")
        return _function(tool.function, f"{path}.function")
    if tool.type == "custom":
        if tool.custom is None:
            raise InvalidRequest(f"Missing required parameter: '{path}.custom'.", f"{path}.custom")
        return _custom(tool.custom, f"{path}.custom")
    raise UnsupportedParameter(
        f"Tools of type {tool.type[:50]!r} are not supported; send functions or custom tools.", path
    )


def _function(function: FunctionTool, path: str) -> Tool:
    _check_name(function.name, f"{path}.name")
    schema = bytes(function.parameters)
    parameters = _NO_PARAMETERS if schema in (b"", b"null") else json_object(schema, f"{path}.parameters")
    return Tool(function.name, function.description or "", parameters, function.strict)


def _custom(custom: CustomTool, path: str) -> Tool:
    _check_name(custom.name, f"{path}.name")
    if custom.format is not None and custom.format.type != "text":
        raise UnsupportedParameter(
            f"A custom tool's format of type {custom.format.type[:50]!r} is not supported by this model; send text.",
            f"{path}.format",
        )
    return Tool(custom.name, custom.description or "", _CUSTOM_PARAMETERS)


def _check_name(name: str, path: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"Invalid value for '{path}': {name[:64]!r}; 1 to 64 of the characters a-z, A-Z, 0-9, _ and - are allowed.",
            path,
        )


def _choice(body: ToolFields) -> tuple[ToolChoice | NamedTool | None, tuple[str, ...] | None]:
    """The choice, and the names of the tools that may be called where it says that."""
    if body.tool_choice is None:
        given = body.function_call
        if isinstance(given, NamedBody):
            return NamedTool(given.name), None
        return (None if given is None else _mode(given, "function_call", ("none", "auto"))), None
    if isinstance(body.tool_choice, str):
        return _mode(body.tool_choice, "tool_choice", tuple(_CHOICES)), None
    chosen = body.tool_choice
    if chosen.type == "allowed_tools":
        if chosen.allowed_tools is None:
            raise InvalidRequest("Missing required parameter: 'tool_choice.allowed_tools'.", "tool_choice")
        mode = _mode(chosen.allowed_tools.mode, "tool_choice.allowed_tools.mode", ("auto", "required"))
        return mode, _allowed(chosen.allowed_tools)
    named = {"function": chosen.function, "custom": chosen.custom}
    if chosen.type not in named:
        known = "function, custom, allowed_tools"
        raise InvalidRequest(
            f"Invalid value for 'tool_choice.type': {chosen.type[:50]!r}; supported: {known}.", "tool_choice.type"
        )
    if (name := named[chosen.type]) is None:
        path = f"tool_choice.{chosen.type}"
        raise InvalidRequest(f"Missing required parameter: '{path}'.", path)
    return NamedTool(name.name), None


def _mode(given: str, path: str, known: tuple[str, ...]) -> ToolChoice:
    if given not in known:
        raise InvalidRequest(f"Invalid value for '{path}': {given[:50]!r}; supported: {', '.join(known)}.", path)
    return _CHOICES[given]


def _allowed(allowed: _AllowedTools) -> tuple[str, ...]:
    names = []
    for number, tool in enumerate(allowed.tools):
        named = tool.function if tool.type == "function" else tool.custom
        if named is None:
            path = f"tool_choice.allowed_tools.tools[{number}]"
            raise InvalidRequest(f"Invalid value for '{path}': it names no function and no custom tool.", path)
        names.append(named.name)
    if not names:
        path = "tool_choice.allowed_tools.tools"
        raise InvalidRequest(f"Invalid value for '{path}': an empty list.", path)
    return tuple(names)
