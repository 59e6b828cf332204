"""Messages and their parts in OpenAI's chat dialect.

Source: the OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ghostd.conversation import Audio, File, Image, Message, Refusal, Text, Thinking, ToolCall, ToolResult
from ghostd.errors import InvalidRequest
from ghostd.providers.openai.quirks import Quirks
from ghostd.providers.openai.turns import strict_turns
from ghostd.providers.unsupported import Unsupported

Json = dict[str, Any]


def wire_messages(messages: Sequence[Message], quirks: Quirks, unsupported: Unsupported) -> list[Json]:
    """The member `messages`; raises InvalidRequest or UnsupportedParameter.

    Images and files that tools gave, where their results may hold none, follow in a message of the user's, once all
    results of the turn have been told.
    """
    wire: list[Json] = []
    shown: list[Json] = []
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        if message.role == "tool":
            wire += _tool_results(message, path, shown, quirks, unsupported)
            continue
        if shown:
            wire.append({"role": "user", "content": shown})
            shown = []
        if message.role == "assistant":
            wire.append(_assistant(message, path, quirks))
        else:
            wire.append(_said(message, path, quirks, unsupported))
    if shown:
        wire.append({"role": "user", "content": shown})
    return strict_turns(wire) if quirks.strict_turns else wire


def _said(message: Message, path: str, quirks: Quirks, unsupported: Unsupported) -> Json:
    role = "system" if message.role == "developer" and not quirks.developer else message.role
    content: str | list[Json]
    if isinstance(message.content, str):
        content = message.content
    else:
        parts = [
            _part(part, f"{path}.content[{number}]", quirks, unsupported) for number, part in enumerate(message.content)
        ]
        content = _simplest(parts)
    return _named(message, {"role": role, "content": content})


def _assistant(message: Message, path: str, quirks: Quirks) -> Json:
    if isinstance(message.content, str):
        return _named(message, {"role": "assistant", "content": message.content})
    parts: list[Json] = []
    calls: list[Json] = []
    thoughts: list[str] = []
    for number, part in enumerate(message.content):
        if isinstance(part, Text):
            parts.append({"type": "text", "text": part.text})
        elif isinstance(part, Refusal):
            kind = "refusal" if quirks.refusals else "text"
            parts.append({"type": kind, kind: part.text})
        elif isinstance(part, ToolCall):
            function = {"name": part.name, "arguments": part.arguments or "{}"}
            calls.append({"id": part.id, "type": "function", "function": function})
        elif isinstance(part, Thinking):
            thoughts.append(part.text)
        else:
            where = f"{path}.content[{number}]"
            raise InvalidRequest(f"Invalid value for '{where}': an assistant's message holds no such part.", where)
    wire: Json = {"role": "assistant", "content": _simplest(parts) if parts else None}
    if not parts and not calls:
        wire["content"] = ""
    if calls:
        wire["tool_calls"] = calls
    if quirks.thoughts is not None and (text := "".join(thoughts)):
        wire[quirks.thoughts] = text
    return _named(message, wire)


def _tool_results(
    message: Message, path: str, shown: list[Json], quirks: Quirks, unsupported: Unsupported
) -> list[Json]:
    """The results; what they cannot hold is added to `shown`."""
    wire: list[Json] = []
    for number, result in enumerate(message.parts):
        where = f"{path}.content[{number}]"
        if not isinstance(result, ToolResult):
            raise InvalidRequest(f"Invalid value for '{where}': a tool's message holds results only.", where)
        parts: list[Json] = []
        for inner, part in enumerate(result.content):
            if isinstance(part, Text) or (isinstance(part, Image) and quirks.tool_images):
                parts.append(_part(part, f"{where}.content[{inner}]", quirks, unsupported))
            elif isinstance(part, File) and (text := part.text) is not None:
                parts.append({"type": "text", "text": text})
            else:
                shown.append({"type": "text", "text": f"The tool call {result.call_id} gave this:"})
                shown.append(_part(part, f"{where}.content[{inner}]", quirks, unsupported))
                parts = parts or [{"type": "text", "text": "See the next message of the user."}]
        wire.append({"role": "tool", "tool_call_id": result.call_id, "content": _simplest(parts)})
    return wire


def _part(part: object, path: str, quirks: Quirks, unsupported: Unsupported) -> Json:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        url = part.url or f"data:{part.media_type};base64,{part.data}"
        return {"type": "image_url", "image_url": {"url": url, **({"detail": part.detail} if part.detail else {})}}
    if isinstance(part, Audio):
        if not quirks.audio:
            raise unsupported.refuse_part(path, "it takes no sound.")
        return {"type": "input_audio", "input_audio": {"data": part.data, "format": part.format}}
    if isinstance(part, File):
        return _file(part, path, quirks, unsupported)
    raise InvalidRequest(f"Invalid value for '{path}': such a part belongs to another role.", path)


def _file(file: File, path: str, quirks: Quirks, unsupported: Unsupported) -> Json:
    if (text := file.text) is not None:
        return {"type": "text", "text": text}
    if not quirks.files:
        raise unsupported.refuse_part(path, "it takes no files.")
    if file.file_id is not None:
        return {"type": "file", "file": {"file_id": file.file_id}}
    if file.url is not None and not quirks.file_urls:
        raise unsupported.refuse_part(path, "it takes the content of files, not their URL.")
    data = file.url or f"data:{file.media_type};base64,{file.data}"
    return {"type": "file", "file": {"filename": file.name or _file_name(file.media_type), "file_data": data}}


def _file_name(media_type: str) -> str:
    """OpenAI wants a name and looks at its ending."""
    ending = media_type.rpartition("/")[2]
    return f"document.{ending if ending.isalnum() and len(ending) <= 8 else 'bin'}"


def _simplest(parts: list[Json]) -> str | list[Json]:
    """A single text is sent as a string, which every server understands."""
    if not parts:
        return ""
    if len(parts) == 1 and parts[0]["type"] == "text":
        return str(parts[0]["text"])
    return parts


def _named(message: Message, wire: Json) -> Json:
    if message.name is not None:
        wire["name"] = message.name
    return wire
