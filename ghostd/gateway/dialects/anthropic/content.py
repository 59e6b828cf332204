"""Messages of the Messages API, and their content blocks, in ghostd's vocabulary.

Source: the reference of the Messages API and the types of the official SDKs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from ghostd.conversation import File, Image, Message, Part, Role, Text, Thinking, ToolResult
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.anthropic.fields import cache_ttl, given
from ghostd.gateway.dialects.anthropic.parts import (
    Block,
    MessageFields,
    Source,
    call_of,
    data_of,
    image_of,
    text_of,
    unknown_source,
    unsupported,
    url_of,
)
from ghostd.gateway.dialects.anthropic.signature import read
from ghostd.gateway.dialects.anthropic.tools import ToolFields, own_id

_BILLING = "x-anthropic-billing-header:"
"""Claude Code's note to Anthropic's accounting, as a system block: it changes often and would spoil prompt caches."""
_SILENT = frozenset(("fallback", "mcp_tool_listing"))
"""Blocks that no model reads: where another model took over, and what a server of tools has listed."""


class Reader:
    """Reads one request's messages, and notes what they say of tools."""

    def __init__(self) -> None:
        self.offered: dict[str, bool] = {}
        """Tools that the conversation has fetched or taken away, by name."""
        self.defined: list[ToolFields] = []
        """Tools that messages define."""

    def system(self, content: str | list[Block] | None) -> Iterator[Message]:
        """The member `system` as a message, if it says anything."""
        if isinstance(content, str):
            if content:
                yield Message("system", content)
        elif content:
            parts = tuple(self._system_parts(content, "system"))
            if parts:
                yield Message("system", parts)

    def messages(self, given_messages: Sequence[MessageFields]) -> Iterator[Message]:
        """All of them; raises InvalidRequest or UnsupportedParameter with the path of the field."""
        readers: Mapping[str, Callable[[list[Block], str], Iterator[Message]]] = {
            "user": self._user,
            "assistant": self._assistant,
            "system": self._system,
        }
        for number, message in enumerate(given_messages):
            path = f"messages[{number}]"
            reader = readers.get(message.role)
            if reader is None:
                known = ", ".join(readers)
                raise InvalidRequest(
                    f"Invalid value for '{path}.role': {message.role[:50]!r}; supported: {known}.", f"{path}.role"
                )
            if isinstance(message.content, str):
                yield Message(_ROLES[message.role], message.content)
            else:
                yield from reader(message.content, f"{path}.content")

    def _system(self, blocks: list[Block], path: str) -> Iterator[Message]:
        parts = tuple(self._system_parts(blocks, path))
        if parts:
            yield Message("system", parts)

    def _system_parts(self, blocks: list[Block], path: str) -> Iterator[Part]:
        for number, block in enumerate(blocks):
            where = f"{path}[{number}]"
            if self._tool_change(block, where):
                continue
            if block.type != "text":
                raise unsupported(block, where)
            text = text_of(block, where)
            if not text.text.startswith(_BILLING):
                yield text

    def _user(self, blocks: list[Block], path: str) -> Iterator[Message]:
        """The results of tools, which every other API wants right behind their calls, then what else is said."""
        results: list[Part] = []
        said: list[Part] = []
        for number, block in enumerate(blocks):
            where = f"{path}[{number}]"
            if block.type == "tool_result":
                results.append(self._result(block, where))
            elif block.type not in _SILENT and not self._tool_change(block, where):
                said.extend(self._said(block, where))
        if results:
            yield Message("tool", tuple(results))
        if said:
            yield Message("user", tuple(said))

    def _result(self, block: Block, path: str) -> ToolResult:
        content: list[Text | Image | File] = []
        if isinstance(block.content, str):
            content.append(Text(block.content))
        else:
            for number, part in enumerate(block.content or ()):
                content.extend(self._said(part, f"{path}.content[{number}]"))
        identifier = own_id(given(block.tool_use_id, f"{path}.tool_use_id"))
        ttl = cache_ttl(block.cache_control, f"{path}.cache_control")
        return ToolResult(identifier, tuple(content), bool(block.is_error), cache_ttl=ttl)

    def _said(self, block: Block, path: str) -> Iterator[Text | Image | File]:
        """What a user, a tool or a document may say."""
        ttl = cache_ttl(block.cache_control, f"{path}.cache_control")
        match block.type:
            case "text":
                yield text_of(block, path)
            case "image":
                yield image_of(block, path, ttl)
            case "document":
                yield from self._document(block, path, ttl)
            case "search_result":
                parts = block.content if isinstance(block.content, list) else []
                texts = (given(part.text, f"{path}.content[{number}].text") for number, part in enumerate(parts))
                where = block.source if isinstance(block.source, str) else ""
                yield Text("\n".join(filter(None, (block.title, where, *texts))), ttl)
            case "tool_reference":
                name = given(block.tool_name, f"{path}.tool_name")
                self.offered[name] = True
                yield Text(f"The tool '{name}' can be called from now on.", ttl)
            case "compaction":
                if isinstance(block.content, str):  # else it has failed, and says nothing
                    yield Text(block.content, ttl)
            case _:
                raise unsupported(block, path)

    def _document(self, block: Block, path: str, ttl: str | None) -> Iterator[Text | Image | File]:
        source = block.source
        if not isinstance(source, Source):
            raise InvalidRequest(f"Missing required parameter: '{path}.source'.", f"{path}.source")
        where = f"{path}.source"
        match source.type:
            case "base64":
                if source.media_type not in (None, "application/pdf"):
                    raise InvalidRequest(
                        f"Invalid value for '{where}.media_type': documents in base64 are application/pdf.",
                        f"{where}.media_type",
                    )
                yield File(data=data_of(source, where), name=block.title, cache_ttl=ttl)
            case "url":
                yield File(url=url_of(source, where), name=block.title, cache_ttl=ttl)
            case "file":
                yield File(file_id=given(source.file_id, f"{where}.file_id"), name=block.title, cache_ttl=ttl)
            case "text":
                text = given(source.data, f"{where}.data")
                yield Text("\n\n".join(filter(None, (block.title, block.context, text))), ttl)
            case "content":
                heading = "\n\n".join(filter(None, (block.title, block.context)))
                if heading:
                    yield Text(heading)
                content = source.content
                if content is None:
                    raise InvalidRequest(f"Missing required parameter: '{where}.content'.", f"{where}.content")
                if isinstance(content, str):
                    yield Text(content, ttl)
                    return
                for number, part in enumerate(content):
                    yield from self._said(part, f"{where}.content[{number}]")
            case _:
                raise unknown_source(source, where)

    def _assistant(self, blocks: list[Block], path: str) -> Iterator[Message]:
        parts: list[Part] = []
        proof: str | None = None
        for number, block in enumerate(blocks):
            where = f"{path}[{number}]"
            if block.type == "thinking":
                kept = read(block.signature or "")
                if kept is None:
                    parts.append(Thinking(block.thinking or "", block.signature or None))
                    continue
                proof = kept.call or None
                if thoughts := block.thinking or kept.thoughts:
                    parts.append(Thinking(thoughts))
            elif block.type == "redacted_thinking":
                parts.append(Thinking(redacted=given(block.data, f"{where}.data")))
            elif block.type == "tool_use":
                parts.append(call_of(block, where, proof))
                proof = None
            elif block.type in ("text", "compaction"):
                parts.extend(self._said(block, where))
            elif block.type not in _SILENT and not self._tool_change(block, where):
                raise unsupported(block, where)
        if parts or not blocks:  # of what another model only wanted back nothing need be left
            yield Message("assistant", tuple(parts) or "")

    def _tool_change(self, block: Block, path: str) -> bool:
        """Whether the block is one that changes the tools on offer; notes what it says."""
        if block.type not in ("tool_addition", "tool_removal"):
            return False
        change = given(block.tool, f"{path}.tool")
        if change.type == "tool_reference":
            self.offered[given(change.name, f"{path}.tool.name")] = block.type == "tool_addition"
        elif change.type == "tool_definition" and block.type == "tool_addition":
            tool = given(change.definition, f"{path}.tool.definition")
            self.defined.append(tool)
            self.offered[tool.name] = True
        else:
            raise UnsupportedParameter(
                f"Tools of MCP servers that the service asks itself ('{change.type[:50]}') are only known to "
                "Anthropic's own models.",
                f"{path}.tool.type",
            )
        return True


_ROLES: Mapping[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}
