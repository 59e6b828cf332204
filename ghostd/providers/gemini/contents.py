"""Messages as Gemini's contents."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec

from ghostd.conversation import Audio, File, Image, Message, Part, Refusal, Text, Thinking, ToolCall, ToolResult
from ghostd.errors import InvalidRequest
from ghostd.media_types import media_type_of
from ghostd.providers.unsupported import Unsupported

Fields = dict[str, object]

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)
_NO_SIGNATURE = "skip_thought_signature_validator"
"""What Google's guide on thought signatures wants in their place for calls that another model has made."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A request's messages in this dialect."""

    system: list[Fields]
    """Parts."""
    contents: list[Fields]


def contents(messages: Sequence[Message], unsupported: Unsupported, *, needs_signatures: bool) -> Contents:
    """System parts, and turns that alternate between user and model.

    Raises UnsupportedParameter for a part that the dialect cannot hold, InvalidRequest when nothing is said or a tool
    result answers no call.
    """
    writer = _Writer(messages, unsupported)
    system: list[Fields] = []
    turns: list[tuple[str, list[Fields]]] = []
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        if message.role in ("system", "developer"):
            system.extend(writer.system(message, path))
            continue
        role = "model" if message.role == "assistant" else "user"
        parts = list(writer.parts(message, path))
        if needs_signatures and role == "model":
            _sign_first_call(parts)
        if not parts:
            continue
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(parts)
        else:
            turns.append((role, parts))
    if not turns:
        raise InvalidRequest(
            "Invalid value for 'messages': no message of a user or assistant says anything.", "messages"
        )
    return Contents(system, [{"role": role, "parts": parts} for role, parts in turns])


def _sign_first_call(parts: list[Fields]) -> None:
    """The first of parallel calls carries the signature for all of them."""
    calls = [part for part in parts if "functionCall" in part]
    if calls and not any("thoughtSignature" in call for call in calls):
        calls[0]["thoughtSignature"] = _NO_SIGNATURE


class _Writer:
    def __init__(self, messages: Sequence[Message], unsupported: Unsupported) -> None:
        self._unsupported = unsupported
        self._names = {
            part.id: part.name for message in messages for part in message.parts if isinstance(part, ToolCall)
        }

    def system(self, message: Message, path: str) -> Iterable[Fields]:
        for part in message.parts:
            if not isinstance(part, Text):
                raise self._unsupported.refuse_part(path, "system instructions are text only.")
            if part.text:
                yield {"text": part.text}

    def parts(self, message: Message, path: str) -> Iterable[Fields]:
        for number, part in enumerate(message.parts):
            written = self._part(part, path if isinstance(message.content, str) else f"{path}.content[{number}]")
            if written is not None:
                yield written

    def _part(self, part: Part, path: str) -> Fields | None:
        match part:
            case Text() | Refusal():
                return {"text": part.text} if part.text else None
            case ToolCall():
                return _call(part)
            case ToolResult():
                return self._result(part, path)
            case Thinking():
                # Summaries of thoughts are not sent back; what the API wants back lies in the calls' signatures.
                return None
            case _:
                return _media(part)

    def _result(self, result: ToolResult, path: str) -> Fields:
        name = self._names.get(result.call_id) or result.name
        if name is None:
            raise InvalidRequest(f"Invalid value for '{path}': no call has the id of this tool result.", path)
        response: Fields = {"id": result.call_id, "name": name, "response": _response(result)}
        media = [_media(part) for part in result.content if not isinstance(part, Text)]
        if media:
            response["parts"] = media
        return {"functionResponse": response}


def _call(call: ToolCall) -> Fields:
    fields: Fields = {"id": call.id, "name": call.name, "args": _arguments(call.arguments)}
    part: Fields = {"functionCall": fields}
    if call.signature is not None:
        part["thoughtSignature"] = call.signature
    return part


def _arguments(text: str) -> msgspec.Raw | Fields:
    """The arguments as an object; text that is none is wrapped, so that the model sees what it wrote."""
    stripped = text.strip()
    if not stripped:
        return {}
    try:
        _OBJECT.decode(stripped)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {"INVALID_JSON": text}
    return msgspec.Raw(stripped.encode())


def _response(result: ToolResult) -> Fields:
    """The API wants an object: "output" holds what a function said, "error" what went wrong."""
    text = "\n".join(part.text for part in result.content if isinstance(part, Text))
    return {"error" if result.is_error else "output": text}


def _media(part: Image | File | Audio | Text) -> Fields:
    match part:
        case Audio():
            return {"inlineData": {"mimeType": f"audio/{part.format}", "data": part.data}}
        case Image():
            return _from(part.url, part.data, part.media_type)
        case File():
            if part.file_id is not None:
                return {"fileData": {"fileUri": part.file_id, "mimeType": part.media_type}}
            if part.data is not None and part.media_type == "text/plain":
                data = base64.b64encode(part.data.encode()).decode()
                return {"inlineData": {"mimeType": "text/plain", "data": data}}
            return _from(part.url, part.data, part.media_type)
        case Text():
            return {"text": part.text}


def _from(url: str | None, data: str | None, media_type: str) -> Fields:
    if data is not None:
        return {"inlineData": {"mimeType": media_type, "data": data}}
    place = url or ""
    inline = _DATA_URL.match(place)
    if inline:
        return {"inlineData": {"mimeType": inline[1] or media_type, "data": place[inline.end() :]}}
    fields: Fields = {"fileUri": place}
    guessed = media_type_of(urlsplit(place).path)
    if guessed is not None:
        fields["mimeType"] = guessed
    return {"fileData": fields}
