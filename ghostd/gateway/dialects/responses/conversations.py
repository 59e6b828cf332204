"""`/v1/conversations`: conversations and their items."""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from ghostd.errors import InvalidRequest
from ghostd.gateway.body import decode
from ghostd.gateway.dialects.responses.errors import no_conversation, no_item, not_kept
from ghostd.gateway.dialects.responses.input import kept_items
from ghostd.gateway.dialects.responses.items import read_items
from ghostd.gateway.dialects.responses.keeping import shown_page
from ghostd.gateway.dialects.responses.request import check_metadata
from ghostd.gateway.dialects.responses.stored import paging, unknown_url
from ghostd.gateway.dialects.responses.thoughts import new_id
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ResponseStore
from ghostd.stored import Item, Page, StoredConversation

PREFIX = "/v1/conversations/"
_MOST_ADDED = 20
"""Items that one request may add, by the OpenAI API reference."""
_encode = msgspec.json.Encoder().encode


class NewConversation(msgspec.Struct):
    """The body that begins one."""

    items: list[msgspec.Raw] | None = None
    metadata: dict[str, str] | None = None


class Description(msgspec.Struct):
    """The body that changes one."""

    metadata: dict[str, str] | None


class NewItems(msgspec.Struct):
    """The body that adds to one."""

    items: list[msgspec.Raw]


class ConversationChange(msgspec.Struct):
    """Either of them, as the OpenAPI document tells it: one path serves both, and each ignores the other's member."""

    metadata: dict[str, str] | None = None
    items: msgspec.Raw = msgspec.Raw(b"null")


_NEW = msgspec.json.Decoder(NewConversation)
_DESCRIPTION = msgspec.json.Decoder(Description)
_ITEMS = msgspec.json.Decoder(NewItems)


class Conversations:
    """The handlers. `store` None: nothing is kept."""

    def __init__(self, store: ResponseStore | None) -> None:
        self._store = store

    @property
    def _kept(self) -> ResponseStore:
        if self._store is None:
            raise not_kept()
        return self._store

    async def create(self, exchange: Exchange) -> Response:
        """Begin a conversation."""
        store = self._kept
        raw = await exchange.body()
        body = decode(_NEW, raw, exchange.config.max_json_depth) if raw.strip() else NewConversation()
        check_metadata(body.metadata)
        items = _read(body.items or ())
        conversation = StoredConversation(new_id("conv"), int(time.time()), body.metadata or {})
        await store.begin_conversation(conversation, items)
        return exchange.json(_shown(conversation))

    async def serve(self, exchange: Exchange) -> Response:
        """Whatever lies below `/v1/conversations/`."""
        store = self._kept
        conversation_id, _, below = exchange.path.removeprefix(PREFIX).partition("/")
        method = "GET" if exchange.request.method == "HEAD" else exchange.request.method
        if not below:
            return await self._one(store, method, conversation_id, exchange)
        part, _, item_id = below.partition("/")
        if part != "items":
            raise unknown_url(exchange)
        conversation = await store.conversation(conversation_id)
        if conversation is None:
            raise no_conversation(conversation_id)
        match method, item_id:
            case "GET", "":
                return await self._list(store, conversation_id, exchange)
            case "POST", "":
                return await self._add(store, conversation_id, exchange)
            case "GET", _:
                item = await store.conversation_item(conversation_id, item_id)
                if item is None:
                    raise no_item(item_id)
                return exchange.json(item.body)
            case "DELETE", _ if item_id:
                if not await store.forget_item(conversation_id, item_id):
                    raise no_item(item_id)
                return exchange.json(_shown(conversation))
        raise unknown_url(exchange)

    async def _one(self, store: ResponseStore, method: str, conversation_id: str, exchange: Exchange) -> Response:
        if method == "DELETE":
            if not await store.forget_conversation(conversation_id):
                raise no_conversation(conversation_id)
            gone = {"id": conversation_id, "object": "conversation.deleted", "deleted": True}
            return exchange.json(_encode(gone))
        if method == "POST":
            metadata = (await exchange.read(_DESCRIPTION)).metadata
            check_metadata(metadata)
            found = await store.describe_conversation(conversation_id, metadata or {})
        else:
            found = await store.conversation(conversation_id)
        if found is None:
            raise no_conversation(conversation_id)
        return exchange.json(_shown(found))

    async def _list(self, store: ResponseStore, conversation_id: str, exchange: Exchange) -> Response:
        limit, order, after = paging(exchange)
        page = await store.conversation_items(conversation_id, limit, order, after)
        if page is None:
            raise no_item(after) if after is not None else no_conversation(conversation_id)
        return exchange.json(shown_page(page))

    async def _add(self, store: ResponseStore, conversation_id: str, exchange: Exchange) -> Response:
        items = _read((await exchange.read(_ITEMS)).items)
        if not await store.add_items(conversation_id, items):
            raise no_conversation(conversation_id)
        return exchange.json(shown_page(Page(tuple(items), more=False)))


def _read(given: Sequence[msgspec.Raw]) -> Sequence[Item]:
    """Items to keep; raises InvalidRequest."""
    if len(given) > _MOST_ADDED:
        raise InvalidRequest(f"Invalid value for 'items': at most {_MOST_ADDED} at a time.", "items")
    raw = [bytes(item) for item in given]
    for path, item in read_items(raw, member="items"):
        if item.type == "message" and (item.role is None or item.content is None):
            missing = f"{path}.{'role' if item.role is None else 'content'}"
            raise InvalidRequest(f"Missing required parameter: '{missing}'.", missing)
    return kept_items(raw)


def _shown(conversation: StoredConversation) -> bytes:
    return _encode(
        {
            "id": conversation.id,
            "object": "conversation",
            "created_at": int(conversation.created_s),
            "metadata": conversation.metadata,
        }
    )
