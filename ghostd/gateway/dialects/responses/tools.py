"""Tools of the Responses API as functions, which every model knows, and the way back for the model's calls.

Functions stay what they are; those in a namespace get a name that holds both. A custom tool (free text instead of
JSON, as Codex's `apply_patch`) becomes a function with the one argument `input`. A tool search that the client runs
is a function, too. What only OpenAI's servers can run is refused, or left out where `responses.hosted_tools` says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from ghostd.conversation import NamedTool, Tool, ToolChoice, Tools
from ghostd.errors import InvalidRequest, UnsupportedParameter

Kind = Literal["function", "custom", "tool_search"]
HostedTools = Literal["default", "refuse", "drop"]

TOOL_SEARCH = "tool_search"
_LONGEST_NAME = 64
"""Of a function, by the OpenAI API reference; other services allow at least as much."""
_DISPENSABLE = ("web_search", "image_generation", TOOL_SEARCH)
"""Hosted tools, by the beginning of their type, that agents offer to every model and that it need not use."""
_CUSTOM_PARAMETERS = (
    '{"type":"object","properties":{"input":{"type":"string","description":"The whole input of the tool, as plain '
    'text."}},"required":["input"],"additionalProperties":false}'
)
_CHOICES: dict[str, ToolChoice] = {"auto": "auto", "none": "none", "required": "required"}


class _Format(msgspec.Struct):
    type: str = "text"
    syntax: str | None = None
    definition: str | None = None


class WireTool(msgspec.Struct):
    """A member of `tools`."""

    type: str = ""
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = msgspec.Raw(b"")
    strict: bool | None = None
    format: _Format | None = None
    tools: list[WireTool] | None = None
    execution: str | None = None


class _Named(msgspec.Struct):
    type: str
    name: str | None = None
    namespace: str | None = None


class WireChoice(msgspec.Struct):
    """`tool_choice` where it is an object."""

    type: str
    name: str | None = None
    namespace: str | None = None
    mode: str | None = None
    tools: list[_Named] | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What a function was in the client's request."""

    kind: Kind
    name: str
    namespace: str | None = None

    @property
    def function(self) -> str:
        """The function's name."""
        return flat_name(self.name, self.namespace)


@dataclass(slots=True)
class ToolBook:
    """The functions that stand for a request's tools."""

    hosted: HostedTools = "default"
    tools: dict[str, Tool] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """Types of the tools that are not offered to the model."""
    _refused: UnsupportedParameter | None = None

    def add(self, wire: Sequence[WireTool], path: str, *, again: bool = False) -> None:
        """Add tools; raises InvalidRequest or UnsupportedParameter with the path of the tool.

        `again`: one that is there already may come once more.
        """
        for number, tool in enumerate(wire):
            self._add(tool, f"{path}[{number}]", None, again=again)

    def settle(self) -> None:
        """All are added: raises UnsupportedParameter for a hosted tool that is not to be left out."""
        if self._refused is not None and not self.tools:
            raise self._refused

    def origin(self, function: str) -> Origin:
        """What a called function stands for; a name that was not offered stands for itself."""
        return self.origins.get(function) or Origin("function", function)

    def _add(self, tool: WireTool, path: str, namespace: str | None, *, again: bool) -> None:
        if tool.type == "namespace" and namespace is None:
            name = _name(tool, path)
            for number, inner in enumerate(tool.tools or ()):
                self._add(inner, f"{path}.tools[{number}]", name, again=again)
        elif tool.type == "function":
            origin = Origin("function", _name(tool, path), namespace)
            offer = Tool(origin.function, tool.description or "", _parameters(tool, path), tool.strict)
            self._offer(origin, offer, path, again=again)
        elif tool.type == "custom":
            origin = Origin("custom", _name(tool, path), namespace)
            self._offer(origin, Tool(origin.function, _custom_description(tool), _CUSTOM_PARAMETERS), path, again=again)
        elif tool.type == TOOL_SEARCH and tool.execution == "client":
            offer = Tool(TOOL_SEARCH, tool.description or "", _parameters(tool, path))
            self._offer(Origin("tool_search", TOOL_SEARCH), offer, path, again=again)
        else:
            self._leave_out(tool, path)

    def _offer(self, origin: Origin, tool: Tool, path: str, *, again: bool) -> None:
        if tool.name not in self.tools:
            self.tools[tool.name] = tool
            self.origins[tool.name] = origin
        elif not again:
            where = f"{path}.name"
            raise InvalidRequest(f"Invalid value for '{where}': two tools are called {tool.name!r}.", where)

    def _leave_out(self, tool: WireTool, path: str) -> None:
        refusal = UnsupportedParameter(
            f"Tools of type {tool.type[:50]!r} are run by OpenAI's servers, and this model is asked elsewhere; send "
            "tools of type function or custom (the setting responses.hosted_tools can leave others out).",
            f"{path}.type",
        )
        if self.hosted == "refuse" or (self.hosted == "default" and not tool.type.startswith(_DISPENSABLE)):
            raise refusal
        self.left_out.append(tool.type)
        if self.hosted == "default":
            self._refused = self._refused or refusal


def flat_name(name: str, namespace: str | None) -> str:
    """A function's name that holds its namespace, short enough for every service."""
    if namespace is None:
        return name
    whole = f"{namespace}__{name}"
    if len(whole) <= _LONGEST_NAME:
        return whole
    digest = hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{whole[: _LONGEST_NAME - 9]}_{digest}"


def chosen(book: ToolBook, choice: str | WireChoice | None, parallel: bool | None) -> Tools:
    """The request's tools; raises InvalidRequest or UnsupportedParameter for a choice that they do not allow."""
    offered = tuple(book.tools.values())
    if choice is None or isinstance(choice, str):
        wanted = None if choice is None else _mode(choice, "tool_choice", ("none", "auto", "required"))
        if wanted == "required" and not offered:
            raise InvalidRequest("'tool_choice' needs 'tools'.", "tool_choice")
        return Tools(offered, wanted if offered else None, parallel if offered else None)
    if choice.type in ("function", "custom"):
        return Tools(offered, NamedTool(_offered(book, choice, "tool_choice")), parallel)
    if choice.type == "allowed_tools":
        mode = _mode(choice.mode or "auto", "tool_choice.mode", ("auto", "required"))
        allowed = {
            _offered(book, tool, f"tool_choice.tools[{number}]") for number, tool in enumerate(choice.tools or ())
        }
        if not allowed:
            raise InvalidRequest("Invalid value for 'tool_choice.tools': an empty list.", "tool_choice.tools")
        return Tools(tuple(tool for tool in offered if tool.name in allowed), mode, parallel)
    raise UnsupportedParameter(
        f"A 'tool_choice' of type {choice.type[:50]!r} is not supported by this model; supported: function, custom, "
        "allowed_tools.",
        "tool_choice.type",
    )


def _mode(mode: str, path: str, known: Sequence[str]) -> ToolChoice:
    if mode not in known:
        raise InvalidRequest(f"Invalid value for '{path}': {mode[:50]!r}; supported: {', '.join(known)}.", path)
    return _CHOICES[mode]


def _offered(book: ToolBook, choice: WireChoice | _Named, path: str) -> str:
    if choice.name is None:
        raise InvalidRequest(f"Missing required parameter: '{path}.name'.", f"{path}.name")
    function = flat_name(choice.name, choice.namespace)
    if function not in book.tools:
        shown = repr(choice.name[:64])
        raise InvalidRequest(f"Invalid value for '{path}.name': there is no tool {shown} in 'tools'.", f"{path}.name")
    return function


def _name(tool: WireTool, path: str) -> str:
    if not tool.name:
        raise InvalidRequest(f"Missing required parameter: '{path}.name'.", f"{path}.name")
    return tool.name


def _parameters(tool: WireTool, path: str) -> str:
    raw = bytes(tool.parameters)
    if raw in (b"", b"null"):
        return '{"type":"object","properties":{}}'
    if not raw.startswith(b"{"):
        where = f"{path}.parameters"
        raise InvalidRequest(f"Invalid value for '{where}': a JSON schema is an object.", where)
    return raw.decode("utf-8")


def _custom_description(tool: WireTool) -> str:
    said = tool.description or ""
    if tool.format is not None and tool.format.type == "grammar" and tool.format.definition:
        syntax = tool.format.syntax or "lark"
        said += f"\n\nThe argument `input` must follow this grammar ({syntax}):\n{tool.format.definition}"
    return said.strip()
