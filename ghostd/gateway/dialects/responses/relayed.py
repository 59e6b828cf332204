"""Watching a response go by that another service makes: what is kept of it, and what its ids must say."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode
_NUMBER = re.compile(rb'"sequence_number"\s*:\s*(\d+)')
_NO_PREVIOUS = re.compile(rb'"previous_response_id"\s*:\s*null')
_NO_CONVERSATION = re.compile(rb'"conversation"\s*:\s*null')
"""Members that say nothing; within a JSON string their quotes would be escaped."""
_ENDINGS = (b"response.completed", b"response.incomplete", b"response.failed")


class _Event(msgspec.Struct):
    type: str = ""
    response: msgspec.Raw = msgspec.Raw(b"")


_EVENT = msgspec.json.Decoder(_Event)


class Watched:
    """One reply in pieces. Where a history was put into the request's body, the reply says again what it continues."""

    def __init__(self, previous_id: str | None, conversation_id: str | None) -> None:
        self._previous = None if previous_id is None else b'"previous_response_id":' + _encode(previous_id)
        self._conversation = None
        if conversation_id is not None:
            self._conversation = b'"conversation":' + _encode({"id": conversation_id})
        self.response = b""
        """The response object, once it has come."""
        self.created = b""
        """The same as it began."""
        self._last = b""

    def event(self, data: bytes) -> bytes:
        """Whole events of a stream; what to pass on of them."""
        data = self.told(data)
        if not self.created:
            self.created = _response_in(data, (b"response.created",))
        if any(kind in data for kind in _ENDINGS):
            self.response = _response_in(data, _ENDINGS) or self.response
        self._last = data or self._last
        return data

    def told(self, data: bytes) -> bytes:
        """The same for a whole reply."""
        if self._previous is not None and b"previous_response_id" in data:
            data = _NO_PREVIOUS.sub(lambda _: self._previous or b"", data)
        if self._conversation is not None and b"conversation" in data:
            data = _NO_CONVERSATION.sub(lambda _: self._conversation or b"", data)
        return data

    def failed(self, error: dict[str, Any], otherwise: dict[str, Any]) -> bytes:
        """The events that end a stream amid which something broke; `otherwise` is the response if none has begun."""
        numbers = _NUMBER.findall(self._last)
        number = int(numbers[-1]) + 1 if numbers else 0
        told = {"code": error.get("code"), "message": error.get("message"), "param": error.get("param")}
        response = msgspec.json.decode(self.created) if self.created else otherwise
        response |= {
            "status": "failed",
            "error": {"code": told["code"] or "server_error", "message": told["message"]},
        }
        self.response = _encode(response)
        events = _event("error", number, {**told, "error": error})
        return events + _event("response.failed", number + 1, {"response": response})


def _event(kind: str, number: int, members: dict[str, Any]) -> bytes:
    data = _encode({"type": kind, "sequence_number": number, **members})
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), data)


def _response_in(events: bytes, kinds: tuple[bytes, ...]) -> bytes:
    """The response object that an event of one of these types carries; empty where there is none."""
    for event in events.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n\n"):
        if not any(kind in event for kind in kinds):
            continue
        lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
        try:
            found = _EVENT.decode(b"\n".join(lines))
        except msgspec.DecodeError:
            continue
        if found.type.encode() in kinds and bytes(found.response).startswith(b"{"):
            return bytes(found.response)
    return b""
