"""Content blocks as they come, and those of which each is one part of ghostd's vocabulary."""

from __future__ import annotations

import msgspec

from ghostd.conversation import Image, Text, ToolCall
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.gateway.dialects.anthropic.fields import CacheControl, cache_ttl, given
from ghostd.gateway.dialects.anthropic.tools import ToolFields, own_id

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")


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


def text_of(block: Block, path: str) -> Text:
    """The text; raises InvalidRequest."""
    return Text(given(block.text, f"{path}.text"), cache_ttl(block.cache_control, f"{path}.cache_control"))


def image_of(block: Block, path: str, ttl: str | None) -> Image:
    """The image; raises InvalidRequest or UnsupportedParameter."""
    source, where = block.source, f"{path}.source"
    if not isinstance(source, Source):
        raise InvalidRequest(f"Missing required parameter: '{where}'.", where)
    if source.type == "url":
        return Image(url=url_of(source, where), cache_ttl=ttl)
    if source.type == "base64":
        media_type = given(source.media_type, f"{where}.media_type")
        if media_type not in _IMAGE_TYPES:
            known = ", ".join(_IMAGE_TYPES)
            raise InvalidRequest(
                f"Invalid value for '{where}.media_type': {media_type[:50]!r}; supported: {known}.",
                f"{where}.media_type",
            )
        return Image(data=data_of(source, where), media_type=media_type, cache_ttl=ttl)
    if source.type == "file":
        raise UnsupportedParameter("This model knows no uploaded images; send them as base64 or by URL.", where)
    raise unknown_source(source, where)


def data_of(source: Source, path: str) -> str:
    """Base64 that is there; raises InvalidRequest."""
    data = given(source.data, f"{path}.data")
    if not data:
        raise InvalidRequest(f"Invalid value for '{path}.data': it is empty.", f"{path}.data")
    return data


def url_of(source: Source, path: str) -> str:
    """A URL of the web; raises InvalidRequest."""
    url = given(source.url, f"{path}.url")
    if not url.startswith(("https://", "http://")):
        raise InvalidRequest(f"Invalid value for '{path}.url': an http or https URL is needed.", f"{path}.url")
    return url


def unknown_source(source: Source, path: str) -> InvalidRequest:
    """The error for a source of another kind."""
    return InvalidRequest(f"Invalid value for '{path}.type': {source.type[:50]!r} is not known.", f"{path}.type")


def call_of(block: Block, path: str, proof: str | None) -> ToolCall:
    """The call of a tool, with what its provider wants back; raises InvalidRequest."""
    identifier, name = given(block.id, f"{path}.id"), given(block.name, f"{path}.name")
    arguments = bytes(block.input)
    if not arguments.startswith(b"{"):
        raise InvalidRequest(f"Invalid value for '{path}.input': a JSON object is needed.", f"{path}.input")
    ttl = cache_ttl(block.cache_control, f"{path}.cache_control")
    return ToolCall(own_id(identifier), name, arguments.decode("utf-8"), proof, ttl)


def unsupported(block: Block, path: str) -> UnsupportedParameter:
    """The error for a block that only Anthropic's own models know, or know elsewhere."""
    return UnsupportedParameter(
        f"Content of type {block.type[:50]!r} cannot be put into this model's API at this place.", f"{path}.type"
    )
