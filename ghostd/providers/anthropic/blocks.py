"""Messages as Anthropic's content blocks."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypedDict

import msgspec

from ghostd.conversation import Audio, File, Image, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from ghostd.errors import InvalidRequest
from ghostd.providers.unsupported import Unsupported

Block = dict[str, object]

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TOOL_ID = re.compile(r"[a-zA-Z0-9_-]+")
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)


class Turn(TypedDict):
    """All that one side says until the other one speaks."""

    role: str
    content: list[Block]


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request's messages in this dialect."""

    system: list[Block]
    messages: list[Turn]
    uses_files: bool
    """Whether uploaded files are referred to, which wants a beta header."""

    @property
    def in_bare_loop(self) -> bool:
        """Whether it ends with the results of calls that were made without thoughts, or whose thoughts are lost."""
        if len(self.messages) < 2:
            return False
        (*_, calls, results) = ([block["type"] for block in turn["content"]] for turn in self.messages)
        return results[0] == "tool_result" and calls[0] not in ("thinking", "redacted_thinking")


def conversation(messages: Sequence[Message], unsupported: Unsupported) -> Conversation:
    """The system blocks, and turns that alternate between user and assistant, tool results first in theirs.

    Raises UnsupportedParameter for a part that the dialect has no block for, InvalidRequest when nothing is said.
    """
    system: list[Block] = []
    turns: list[tuple[str, list[Block]]] = []
    for number, message in enumerate(messages):
        blocks = list(_blocks(message, f"messages[{number}]", unsupported))
        if message.role in ("system", "developer"):
            if any(block["type"] != "text" for block in blocks):
                raise unsupported.refuse_part(f"messages[{number}]", "system messages are text only.")
            system.extend(blocks)
            continue
        role = "assistant" if message.role == "assistant" else "user"
        if not blocks:
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        else:
            turns.append((role, blocks))
    if not turns:
        raise InvalidRequest(
            "Invalid value for 'messages': no message of a user or assistant says anything.", "messages"
        )
    return Conversation(
        system,
        [{"role": role, "content": _results_first(blocks)} for role, blocks in turns],
        any(isinstance(part, File) and part.file_id for message in messages for part in _nested(message.parts)),
    )


def tool_id(identifier: str) -> str:
    """The id of a tool call as the API takes it, the same for the call and its result."""
    if _TOOL_ID.fullmatch(identifier):
        return identifier
    return "toolu_" + hashlib.sha256(identifier.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def cache_control(ttl: str) -> Block:
    """A cache breakpoint; five minutes are the API's default."""
    return {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}


def _nested(parts: Iterable[Part]) -> Iterable[Part]:
    for part in parts:
        if isinstance(part, ToolResult):
            yield from part.content
        else:
            yield part


def _results_first(blocks: list[Block]) -> list[Block]:
    return sorted(blocks, key=lambda block: block["type"] != "tool_result")


def _blocks(message: Message, path: str, unsupported: Unsupported) -> Iterable[Block]:
    for number, part in enumerate(message.parts):
        block = _block(part, path if isinstance(message.content, str) else f"{path}.content[{number}]", unsupported)
        if block is None:
            continue
        ttl = getattr(part, "cache_ttl", None)
        if ttl is not None:
            block["cache_control"] = cache_control(ttl)
        yield block


def _block(part: Part, path: str, unsupported: Unsupported) -> Block | None:  # noqa: PLR0911 (one for each kind)
    match part:
        case Text() | Refusal():
            # The API refuses text blocks without a visible character.
            return {"type": "text", "text": part.text} if part.text.strip() else None
        case Image():
            return {"type": "image", "source": _image_source(part)}
        case File():
            return _document(part, path, unsupported)
        case Thinking():
            if part.redacted is not None:
                return {"type": "redacted_thinking", "data": part.redacted}
            # Thoughts that no Anthropic model has signed are refused; another model's are not part of the answer.
            if part.signature is None:
                return None
            return {"type": "thinking", "thinking": part.text, "signature": part.signature}
        case ToolCall():
            return {"type": "tool_use", "id": tool_id(part.id), "name": part.name, "input": _input(part.arguments)}
        case ToolResult():
            return _tool_result(part, path, unsupported)
        case Audio():
            raise unsupported.refuse_part(path, "the API takes no audio.")


def _image_source(image: Image) -> Block:
    if image.data is not None:
        return {"type": "base64", "media_type": image.media_type, "data": image.data}
    url = image.url or ""
    inline = _DATA_URL.match(url)
    if inline:
        return {"type": "base64", "media_type": inline[1] or image.media_type, "data": url[inline.end() :]}
    return {"type": "url", "url": url}


def _document(file: File, path: str, unsupported: Unsupported) -> Block:
    if file.media_type.startswith("image/") and file.file_id is None:
        return {"type": "image", "source": _image_source(Image(file.url, file.data, file.media_type))}
    block: Block = {"type": "document", "source": _document_source(file, path, unsupported)}
    if file.name is not None:
        block["title"] = file.name
    return block


def _document_source(file: File, path: str, unsupported: Unsupported) -> Block:
    if file.file_id is not None:
        return {"type": "file", "file_id": file.file_id}
    if file.url is not None:
        return {"type": "url", "url": file.url}
    data = file.data or ""
    if file.media_type == "application/pdf":
        return {"type": "base64", "media_type": file.media_type, "data": data}
    if (text := file.text) is not None:
        return {"type": "text", "media_type": "text/plain", "data": text}
    if file.media_type.startswith("text/"):
        raise InvalidRequest(f"Invalid value for '{path}': not UTF-8 text in base64.", path)
    raise unsupported.refuse_part(path, f"the API takes PDF and text files, not {file.media_type[:80]}.")


def _tool_result(result: ToolResult, path: str, unsupported: Unsupported) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": tool_id(result.call_id)}
    content = list(_blocks(Message("user", result.content), path, unsupported))
    if content:
        block["content"] = content
    if result.is_error:
        block["is_error"] = True
    return block


def _input(arguments: str) -> msgspec.Raw | Block:
    """The arguments as an object; text that is none is wrapped, in the way that Anthropic's guides recommend."""
    text = arguments.strip()
    if not text:
        return {}
    try:
        _OBJECT.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {"INVALID_JSON": arguments}
    return msgspec.Raw(text.encode())
