"""Making a model of Ollama call a tool. Its API has no tool choice, but it holds a reply to a JSON schema.

So the model is told of the tools in words, its reply must be a list of calls, and these are taken out of it.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator

import msgspec

from ghostd.conversation import NamedTool, Tool, ToolCallDelta, Tools
from ghostd.errors import InvalidRequest
from ghostd.types import Delta

_MAX_CALLS = 16
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class _Call(msgspec.Struct):
    name: str
    arguments: msgspec.Raw


class _Calls(msgspec.Struct):
    tool_calls: list[_Call]


_CALLS = msgspec.json.Decoder(_Calls)


def is_forced(tools: Tools) -> bool:
    """Whether a tool must be called."""
    return bool(tools.tools) and (tools.choice == "required" or isinstance(tools.choice, NamedTool))


def forced_format(tools: Tools) -> dict[str, object]:
    """The schema of a reply that does nothing but call these tools. Raises InvalidRequest, naming the tool."""
    calls = [
        {
            "type": "object",
            "properties": {"name": {"const": tool.name}, "arguments": _inner(tool)},
            "required": ["name", "arguments"],
        }
        for tool in _wanted(tools)
    ]
    single = tools.parallel is False or isinstance(tools.choice, NamedTool)
    listed = {
        "type": "array",
        "items": calls[0] if len(calls) == 1 else {"anyOf": calls},
        "minItems": 1,
        "maxItems": 1 if single else _MAX_CALLS,
    }
    found: dict[str, object] = {"type": "object", "properties": {"tool_calls": listed}, "required": ["tool_calls"]}
    if definitions := _definitions(tools):
        found["$defs"] = definitions
    return found


def instruction(tools: Tools) -> str:
    """What the model is told of them."""
    described = "\n".join(
        msgspec.json.encode(
            {"name": tool.name, "description": tool.description, "parameters": msgspec.Raw(tool.parameters.encode())}
        ).decode()
        for tool in _wanted(tools)
    )
    return (
        f"These are the functions that you can call:\n{described}\n"
        'Do not answer in words. Call what serves the request by a JSON object {"tool_calls": [{"name": the '
        'function\'s name, "arguments": an object of its parameters}]}.'
    )


async def calls_of(deltas: AsyncGenerator[Delta, None]) -> AsyncGenerator[Delta, None]:
    """The deltas of a reply that does nothing but call tools, with the calls as such; a cut reply stays text."""
    said: list[str] = []
    async for delta in deltas:
        if delta.text:
            said.append(delta.text)
        if delta.reasoning:
            yield Delta(reasoning=delta.reasoning)
        if delta.finish_reason is None:
            continue
        text = "".join(said)
        try:
            calls = _CALLS.decode(text).tool_calls
        except (msgspec.DecodeError, RecursionError):
            yield Delta(text)
            yield delta
            return
        yield Delta(
            tool_calls=tuple(
                ToolCallDelta(index, bytes(call.arguments).decode(), f"call_{os.urandom(12).hex()}", call.name)
                for index, call in enumerate(calls)
            )
        )
        yield Delta(finish_reason="tool_calls", usage=delta.usage)


def _wanted(tools: Tools) -> list[Tool]:
    if isinstance(tools.choice, NamedTool):
        return [tool for tool in tools.tools if tool.name == tools.choice.name]
    return list(tools.tools)


def _inner(tool: Tool) -> dict[str, msgspec.Raw]:
    """The parameters' schema without its definitions, to which references lead from the whole schema's root."""
    schema = _OBJECT.decode(tool.parameters)
    schema.pop("$defs", None)
    schema.pop("$schema", None)
    return schema


def _definitions(tools: Tools) -> dict[str, msgspec.Raw]:
    found: dict[str, msgspec.Raw] = {}
    for tool in _wanted(tools):
        given = _OBJECT.decode(tool.parameters).get("$defs")
        if given is None:
            continue
        try:
            found.update(_OBJECT.decode(given))
        except msgspec.ValidationError:
            told = f"Invalid value for 'tools': '$defs' in the schema of '{tool.name}' is no object."
            raise InvalidRequest(told, "tools") from None
    return found
