"""What a Responses request says together with what was said before it.

The history of `previous_response_id`, of `conversation` and of item references is put before the request's own input,
so that any deployment can go on where another one has stopped; one that takes the request as it came gets the history
in its body, since it knows no id of ghostd's, nor of another service.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.responses.thoughts import MARK, is_own_id, new_id, opened_summary
from ghostd.gateway.exchange import LARGE_BODY_BYTES
from ghostd.ports import ResponseStore
from ghostd.stored import Item

T = TypeVar("T")

_PREFIXES: Mapping[str, str] = {
    "message": "msg",
    "reasoning": "rs",
    "function_call": "fc",
    "function_call_output": "fco",
    "custom_tool_call": "ctc",
    "custom_tool_call_output": "ctco",
}
_LONGEST_ID = 256
_INPUT = msgspec.json.Decoder(str | list[msgspec.Raw] | None)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class _Head(msgspec.Struct):
    type: str = "message"
    id: str | None = None
    role: str | None = None
    content: msgspec.Raw = msgspec.Raw(b"null")
    encrypted_content: str | None = None


_HEAD = msgspec.json.Decoder(_Head)
_FLAG = msgspec.json.Decoder(bool | None)
_ID = msgspec.json.Decoder(str | None)
_WORDS = msgspec.json.Decoder(list[str] | None)


class ConversationId(msgspec.Struct):
    """`conversation` where it is an object."""

    id: str


_CONVERSATION = msgspec.json.Decoder(str | ConversationId | None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What ghostd itself does about a request, whoever answers it."""

    store: bool
    background: bool
    previous_id: str | None
    conversation_id: str | None
    include: frozenset[str]


def asked(fields: Mapping[str, bytes]) -> Asked:
    """Read it; raises InvalidRequest with the field."""
    previous = _value(fields, "previous_response_id", _ID)
    conversation = _value(fields, "conversation", _CONVERSATION)
    if previous is not None and conversation is not None:
        raise InvalidRequest("'previous_response_id' cannot be combined with 'conversation'.", "previous_response_id")
    conversation_id = conversation.id if isinstance(conversation, ConversationId) else conversation
    store = _value(fields, "store", _FLAG)
    background = bool(_value(fields, "background", _FLAG))
    include = _value(fields, "include", _WORDS)
    return Asked(store is not False, background, previous, conversation_id, frozenset(include or ()))


@dataclass(slots=True)
class Said:
    """All that the model is to be told."""

    items: list[bytes] = field(default_factory=list)
    own_from: int = 0
    """Where in `items` this request's own begin."""
    rewritten: bool = False
    """Whether a deployment that takes the request as it came needs another `input`."""
    unknown_previous: str | None = None
    """A response that is not kept here; only the service that made it can go on from it."""
    unknown_conversation: str | None = None

    @property
    def own(self) -> Sequence[bytes]:
        """This request's items."""
        return self.items[self.own_from :]


async def read_input(fields: Mapping[str, bytes], wanted: Asked, store: ResponseStore | None, max_bytes: int) -> Said:
    """Read the input, and what was said before it from the store. Raises InvalidRequest or StoreError."""
    raw = fields.get("input", b"null")
    own, named = await asyncio.to_thread(_own, raw) if len(raw) > LARGE_BODY_BYTES else _own(raw)
    said = Said()
    if wanted.previous_id is not None:
        said.unknown_previous = wanted.previous_id
        if store is not None:
            history = await store.history(wanted.previous_id, max_bytes)
            said.unknown_previous = history.unknown_id
            said.items.extend(item.body for item in history.items)
    if wanted.conversation_id is not None:
        if store is None or await store.conversation(wanted.conversation_id) is None:
            said.unknown_conversation = wanted.conversation_id
        else:
            said.items.extend(item.body for item in await store.said(wanted.conversation_id, max_bytes))
            said.rewritten = True
    said.rewritten |= said.unknown_previous != wanted.previous_id
    said.own_from = len(said.items)
    said.items.extend(await _resolved(own, named, said, store))
    if not said.rewritten and (MARK.encode() in raw or b"_gh" in raw):
        said.rewritten = True
    return said


def _own(raw: bytes) -> tuple[list[bytes], Mapping[int, str]]:
    """The request's items, and ids of those that only name something, by their place."""
    try:
        given = _INPUT.decode(raw)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"Invalid value for 'input': {error}.", "input") from None
    if given is None:
        return [], {}
    if isinstance(given, str):
        return [_encode({"type": "message", "role": "user", "content": given})], {}
    own = [bytes(item) for item in given]
    named: dict[int, str] = {}
    for number, item in enumerate(own):
        head = _head(item, number)
        if head.type == "item_reference" or (head.type == "reasoning" and head.encrypted_content is None):
            if head.id is not None:
                named[number] = head.id
            elif head.type == "item_reference":
                raise InvalidRequest(f"Missing required parameter: 'input[{number}].id'.", f"input[{number}].id")
    return own, named


async def _resolved(own: list[bytes], named: Mapping[int, str], said: Said, store: ResponseStore | None) -> list[bytes]:
    """The items, references replaced by what they name, and thoughts by what was kept of them."""
    if not named or store is None:
        return own
    found = await store.find(list(named.values()))
    for number, item_id in named.items():
        if item_id in found:
            own[number] = found[item_id].body
            said.rewritten = True
    return own


def _head(raw: bytes, number: int) -> _Head:
    try:
        return _HEAD.decode(raw)
    except msgspec.DecodeError as error:
        reason, _, place = str(error).partition(" - at `$")
        path = f"input[{number}]{place.rstrip('`')}"
        raise InvalidRequest(f"Invalid value for '{path}': {reason}.", path) from None


def relayed_fields(fields: Mapping[str, bytes], said: Said) -> dict[str, bytes]:
    """The request's members for a deployment that takes it as it came."""
    relayed = dict(fields)
    relayed.pop("background", None)  # ghostd waits itself
    if not said.rewritten:
        return relayed
    items = [item for number, raw in enumerate(said.items) if (item := _for_others(raw, before=number < said.own_from))]
    relayed["input"] = b"[" + b",".join(items) + b"]"
    if said.unknown_previous is None:
        relayed.pop("previous_response_id", None)
    else:
        relayed["previous_response_id"] = _encode(said.unknown_previous)
    if said.unknown_conversation is None:
        relayed.pop("conversation", None)
    return relayed


def _for_others(raw: bytes, *, before: bool) -> bytes | None:
    """An item for a service that may not have seen it; None for thoughts that it could not read.

    Without its id: OpenAI would look for the thoughts before it, by its own record of what it has said.
    """
    head = _HEAD.decode(raw)
    sealed = head.encrypted_content or ""
    own = sealed.startswith(MARK) or (head.id is not None and is_own_id(head.id))
    if head.type == "compaction" and sealed.startswith(MARK):
        return _encode({"type": "message", "role": "user", "content": opened_summary(sealed)})
    if head.type == "reasoning" and (own or (before and not sealed)):
        return None
    if not (own or before) or head.id is None:
        return raw
    fields = _OBJECT.decode(raw)
    del fields["id"]
    return _encode(fields)


def kept_items(raw: Sequence[bytes]) -> tuple[Item, ...]:
    """Items as they are kept and listed: each with an id, messages in their full form."""
    return tuple(_kept(item) for item in raw)


def _kept(raw: bytes) -> Item:
    head = _HEAD.decode(raw)
    fields: dict[str, Any] = dict(_OBJECT.decode(raw))
    item_id = head.id if head.id and len(head.id) <= _LONGEST_ID else new_id(_PREFIXES.get(head.type, "item"))
    fields = {**fields, "id": item_id, "type": head.type}
    if head.type == "message":
        fields.setdefault("status", "completed")
        if bytes(head.content).startswith(b'"'):
            kind = "output_text" if head.role == "assistant" else "input_text"
            part: dict[str, Any] = {"type": kind, "text": head.content}
            fields["content"] = [part | ({"annotations": []} if kind == "output_text" else {})]
    return Item(item_id, _encode(fields))


def _value(fields: Mapping[str, bytes], name: str, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(fields.get(name, b"null"))
    except msgspec.DecodeError as error:
        reason, _, place = str(error).partition(" - at `$")
        path = name + place.rstrip("`")
        raise InvalidRequest(f"Invalid value for '{path}': {reason}.", path) from None
