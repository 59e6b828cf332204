"""What is kept of a response once it is there, and how it is shown again."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec

from ghostd.errors import StoreError
from ghostd.gateway.dialects.responses_input import Asked, Said, kept_items
from ghostd.gateway.dialects.responses_thoughts import new_id
from ghostd.ports import ResponseStore
from ghostd.stored import Item, Page, StoredResponse

log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ITEMS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_TEXT = msgspec.json.Decoder(str)


class Keeper:
    """Keeps one response, unless it is not to be kept."""

    def __init__(self, store: ResponseStore | None, wanted: Asked, said: Said) -> None:
        self._store = store if wanted.store else None
        self._wanted = wanted
        self._input: tuple[Item, ...] | None = None
        self._said = said

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._store is not None

    async def keep(self, body: bytes, *, running: bool = False) -> None:
        """Keep this response object. Where the disk takes nothing the reply is given all the same; the log says so."""
        if self._store is None:
            return
        try:
            await self._store.keep(self._stored(body, running=running))
        except (StoreError, msgspec.DecodeError) as error:
            log.warning("a response is not kept: %s", error)

    def _stored(self, body: bytes, *, running: bool) -> StoredResponse:
        fields = _OBJECT.decode(body)
        output = tuple(map(_output_item, _ITEMS.decode(fields.get("output", b"[]"))))
        fields["output"] = msgspec.Raw(b"[]")
        if self._wanted.previous_id is not None:
            fields["previous_response_id"] = msgspec.Raw(_encode(self._wanted.previous_id))
        if self._input is None:
            self._input = kept_items(self._said.own)
        known = self._said.unknown_conversation is None
        return StoredResponse(
            _TEXT.decode(fields["id"]) if "id" in fields else new_id("resp"),
            time.time(),
            _encode(fields),
            output,
            self._input,
            self._wanted.previous_id,
            self._wanted.conversation_id if known else None,
            running,
        )


def _output_item(fields: dict[str, msgspec.Raw]) -> Item:
    if "id" not in fields:
        fields = {"id": msgspec.Raw(_encode(new_id("item"))), **fields}
    return Item(_TEXT.decode(fields["id"]), _encode(fields))


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
