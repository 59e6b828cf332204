"""Messages of the Messages API, and their content blocks, in ghostd's vocabulary.

Source: the reference of the Messages API and the types of the official SDKs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from ghostd.conversation import File, Image, Message, Part, Text, Thinking, ToolCall, ToolResult
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.anthropic_fields import CacheControl, cache_ttl, given
from ghostd.gateway.dialects.anthropic_signature import read
from ghostd.gateway.dialects.anthropic_tools import ToolFields, own_id

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_BILLING = "x-anthropic-billing-header:"
"""Claude Code's note to Anthropic's accounting, as a system block: it changes often and would spoil prompt caches."""
_SILENT = frozenset(("fallback", "mcp_tool_listing"))
"""Blocks that no model reads: where another model took over, and what a server of tools has listed."""


class Source(msgspec.Struct):
    """`source` of an image or a document."""

    type: str
    data: str | None = None
    media_type: str | None = None
    url: str | None = None
    file_id: str | None = None
    content: str | list[Block] | None = None


class ToolChange(msgspec.Struct):
    """`tool` of a block that offers a tool, or takes it away, in the midst of a conversation."""

    type: str
    name: str | None = None
    definition: ToolFields | None = None


class Block(msgspec.Struct):
    """A content block of any type; what a type does not have is None."""

    type: str
    text: str | None = None
    source: Source | str | None = None
    content: str | list[Block] | None = None
    title: str | None = None
    context: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"")
    tool_use_id: str | None = None
    is_error: bool | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    tool_name: str | None = None
    tool: ToolChange | None = None
    cache_control: CacheControl | None = None


class MessageFields(msgspec.Struct):
    """One of `messages`."""

    role: str
    content: str | list[Block]


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
                raise _unsupported(block, where)
            text = _text(block, where)
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
                yield _text(block, path)
            case "image":
                yield _image(block, path, ttl)
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
                yield Text(block.content if isinstance(block.content, str) else "", ttl)
            case _:
                raise _unsupported(block, path)

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
                yield File(data=_data(source, where), name=block.title, cache_ttl=ttl)
            case "url":
                yield File(url=_url(source, where), name=block.title, cache_ttl=ttl)
            case "file":
                yield File(file_id=given(source.file_id, f"{where}.file_id"), name=block.title, cache_ttl=ttl)
            case "text":
                text = given(source.data, f"{where}.data")
                yield Text("\n\n".join(filter(None, (block.title, block.context, text))), ttl)
            case "content":
                heading = "\n\n".join(filter(None, (block.title, block.context)))
                if heading:
                    yield Text(heading)
                content = given(source.content, f"{where}.content")
                if isinstance(content, str):
                    yield Text(content, ttl)
                    return
                for number, part in enumerate(content):
                    yield from self._said(part, f"{where}.content[{number}]")
            case _:
                raise _unknown_source(source, where)

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
                parts.append(_call(block, where, proof))
                proof = None
            elif block.type in ("text", "compaction"):
                parts.extend(self._said(block, where))
            elif block.type not in _SILENT and not self._tool_change(block, where):
                raise _unsupported(block, where)
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


_ROLES = {"user": "user", "assistant": "assistant", "system": "system"}


def _text(block: Block, path: str) -> Text:
    return Text(given(block.text, f"{path}.text"), cache_ttl(block.cache_control, f"{path}.cache_control"))


def _image(block: Block, path: str, ttl: str | None) -> Image:
    source, where = block.source, f"{path}.source"
    if not isinstance(source, Source):
        raise InvalidRequest(f"Missing required parameter: '{where}'.", where)
    if source.type == "url":
        return Image(url=_url(source, where), cache_ttl=ttl)
    if source.type == "base64":
        media_type = given(source.media_type, f"{where}.media_type")
        if media_type not in _IMAGE_TYPES:
            known = ", ".join(_IMAGE_TYPES)
            raise InvalidRequest(
                f"Invalid value for '{where}.media_type': {media_type[:50]!r}; supported: {known}.",
                f"{where}.media_type",
            )
        return Image(data=_data(source, where), media_type=media_type, cache_ttl=ttl)
    if source.type == "file":
        raise UnsupportedParameter("This model knows no uploaded images; send them as base64 or by URL.", where)
    raise _unknown_source(source, where)


def _data(source: Source, path: str) -> str:
    data = given(source.data, f"{path}.data")
    if not data:
        raise InvalidRequest(f"Invalid value for '{path}.data': it is empty.", f"{path}.data")
    return data


def _url(source: Source, path: str) -> str:
    url = given(source.url, f"{path}.url")
    if not url.startswith(("https://", "http://")):
        raise InvalidRequest(f"Invalid value for '{path}.url': an http or https URL is needed.", f"{path}.url")
    return url


def _unknown_source(source: Source, path: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{path}.type': {source.type[:50]!r} is not known.", f"{path}.type")


def _call(block: Block, path: str, proof: str | None) -> ToolCall:
    identifier, name = given(block.id, f"{path}.id"), given(block.name, f"{path}.name")
    arguments = bytes(block.input)
    if not arguments.startswith(b"{"):
        raise InvalidRequest(f"Invalid value for '{path}.input': a JSON object is needed.", f"{path}.input")
    ttl = cache_ttl(block.cache_control, f"{path}.cache_control")
    return ToolCall(own_id(identifier), name, arguments.decode("utf-8"), proof, ttl)


def _unsupported(block: Block, path: str) -> UnsupportedParameter:
    return UnsupportedParameter(
        f"Content of type {block.type[:50]!r} cannot be put into this model's API at this place.", f"{path}.type"
    )
