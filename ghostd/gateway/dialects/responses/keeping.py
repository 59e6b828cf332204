"""What is kept of a response once it is there, and how it is shown again."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import msgspec

from ghostd.errors import StoreError
from ghostd.gateway.dialects.responses.input import Asked, Said, kept_items
from ghostd.gateway.dialects.responses.thoughts import new_id
from ghostd.gateway.exchange import LARGE_BODY_BYTES
from ghostd.ports import ResponseStore
from ghostd.stored import Item, Page, StoredResponse

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT = msgspec.json.Decoder(str)
_SAID = (b'"completed"', b'"incomplete"')


class Keeper:
    """Keeps one response, unless it is not to be kept."""

    def __init__(self, store: ResponseStore | None, wanted: Asked, said: Said) -> None:
        self._store = store if wanted.store else None
        self._wanted = wanted
        self._input: tuple[Item, ...] | None = None
        self._own = list(said.own)
        self._in_conversation = said.unknown_conversation is None

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._store is not None

    async def keep(self, body: bytes, *, running: bool = False) -> bool:
        """Keep this response object; whether that was done. Where the disk takes nothing the log says so."""
        if self._store is None:
            return False
        size = len(body) + sum(map(len, self._own))
        try:
            if size > LARGE_BODY_BYTES:  # would hold up everybody else
                response = await asyncio.to_thread(self._stored, body, running)
            else:
                response = self._stored(body, running)
            await self._store.keep(response)
        except (StoreError, msgspec.DecodeError) as error:
            log.warning("a response is not kept: %s", error)
            return False
        return True

    def _stored(self, body: bytes, running: bool) -> StoredResponse:
        fields = _OBJECT.decode(body)
        output = tuple(map(_output_item, _ITEMS.decode(fields.get("output", b"[]"))))
        fields["output"] = msgspec.Raw(b"[]")
        if self._wanted.previous_id is not None:
            fields["previous_response_id"] = msgspec.Raw(_encode(self._wanted.previous_id))
        if self._input is None:
            self._input = kept_items(self._own)
        # What has failed is no part of a conversation.
        added = bytes(fields.get("status", b"")) in _SAID and self._in_conversation
        return StoredResponse(
            _identifier(fields) or new_id("resp"),
            time.time(),
            _encode(fields),
            output,
            self._input,
            self._wanted.previous_id,
            self._wanted.conversation_id if added else None,
            running,
        )


def _output_item(fields: dict[str, msgspec.Raw]) -> Item:
    item_id = _identifier(fields)
    if item_id is None:
        item_id = new_id("item")
        fields = {**fields, "id": msgspec.Raw(_encode(item_id))}
    return Item(item_id, _encode(fields))


def _identifier(fields: dict[str, msgspec.Raw]) -> str | None:
    """What an object of another service is called; None where it says nothing of use."""
    try:
        return _TEXT.decode(fields.get("id", b"null"))
    except msgspec.DecodeError:
        return None


def shown(response: StoredResponse) -> bytes:
    """The response object as it was given."""
    fields = _OBJECT.decode(response.body)
    fields["output"] = msgspec.Raw(b"[" + b",".join(item.body for item in response.output) + b"]")
    return _encode(fields)


def shown_page(page: Page) -> bytes:
    """A list of items."""
    listed: dict[str, Any] = {
        "object": "list",
        "data": [msgspec.Raw(item.body) for item in page.items],
        "first_id": page.items[0].id if page.items else None,
        "last_id": page.items[-1].id if page.items else None,
        "has_more": page.more,
    }
    return _encode(listed)
