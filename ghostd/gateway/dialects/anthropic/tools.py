"""Tools of a Messages request in ghostd's vocabulary, and the ids of their calls."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping, Sequence

import msgspec

from ghostd.conversation import NamedTool, Tool, ToolChoice, Tools
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.anthropic.fields import CacheControl, cache_ttl

_ID = re.compile(r"[a-zA-Z0-9_-]+")
"""What the API takes for the id of a call."""
_WRAPPED = "toolu_ghostd_"
_ANY_OBJECT = '{"type":"object","properties":{}}'
_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "any": "required", "none": "none"}


class ToolFields(msgspec.Struct):
    """A tool: the caller's own, or one that the service runs or knows itself (`type`)."""

    name: str = ""
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = msgspec.Raw(b"")
    strict: bool | None = None
    defer_loading: bool | None = None
    cache_control: CacheControl | None = None


class ToolChoiceFields(msgspec.Struct):
    """`tool_choice`"""

    type: str
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


def tools_of(given: Sequence[ToolFields], choice: ToolChoiceFields | None, offered: Mapping[str, bool]) -> Tools:
    """The tools that the model is told of; `offered` are those that the conversation has fetched or taken away.

    Raises InvalidRequest, or UnsupportedParameter for tools that only Anthropic's own models have.
    """
    tools: list[Tool] = []
    for number, tool in enumerate(given):
        own = _tool(tool, f"tools[{number}]")
        # A deferred tool is shown to the model once a search has found it.
        if offered.get(tool.name, not tool.defer_loading):
            tools.append(own)
    # Client libraries set `strict` by themselves; they check the input all the same.
    optional = any(tool.strict for tool in tools)
    if choice is None:
        return Tools(tuple(tools), strict_optional=optional)
    parallel = False if choice.disable_parallel_tool_use else None
    return Tools(tuple(tools), _choice(choice, tools), parallel, strict_optional=optional)


def _tool(tool: ToolFields, path: str) -> Tool:
    if tool.type not in (None, "custom"):
        raise UnsupportedParameter(
            f"Tools of type '{tool.type[:80]}' are part of Anthropic's own service; only its models have them. Send "
            "tools with an 'input_schema', or ask an Anthropic model.",
            f"{path}.type",
        )
    if not tool.name:
        raise InvalidRequest(f"Missing required parameter: '{path}.name'.", f"{path}.name")
    schema = bytes(tool.input_schema)
    if not schema.startswith(b"{"):
        problem = "Missing required parameter: '" if schema in (b"", b"null") else "A JSON object is needed for '"
        raise InvalidRequest(f"{problem}{path}.input_schema'.", f"{path}.input_schema")
    return Tool(
        tool.name,
        tool.description or "",
        schema.decode("utf-8"),
        tool.strict,
        cache_ttl(tool.cache_control, f"{path}.cache_control"),
    )


def _choice(choice: ToolChoiceFields, tools: Sequence[Tool]) -> ToolChoice | NamedTool:
    if choice.type == "tool":
        if not choice.name:
            raise InvalidRequest("Missing required parameter: 'tool_choice.name'.", "tool_choice.name")
        if all(tool.name != choice.name for tool in tools):
            raise InvalidRequest(f"There is no tool of the name {choice.name[:100]!r}.", "tool_choice.name")
        return NamedTool(choice.name)
    found = _CHOICES.get(choice.type)
    if found is None:
        known = ", ".join((*_CHOICES, "tool"))
        raise InvalidRequest(
            f"Invalid value for 'tool_choice.type': {choice.type[:50]!r}; supported: {known}.", "tool_choice.type"
        )
    if found == "required" and not tools:
        raise InvalidRequest("'tool_choice' needs 'tools'.", "tool_choice")
    return found


def shown_id(identifier: str) -> str:
    """The id of a call as clients may see it: another service's that the API would not take is wrapped."""
    if _ID.fullmatch(identifier):
        return identifier
    if not identifier:
        return f"toolu_{os.urandom(12).hex()}"
    packed = base64.urlsafe_b64encode(identifier.encode("utf-8", "surrogatepass")).decode("ascii")
    return _WRAPPED + packed.rstrip("=")


def own_id(shown: str) -> str:
    """The id as its service has given it."""
    if not shown.startswith(_WRAPPED):
        return shown
    packed = shown.removeprefix(_WRAPPED)
    try:
        return base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode("utf-8", "surrogatepass")
    except (binascii.Error, ValueError):
        return shown
