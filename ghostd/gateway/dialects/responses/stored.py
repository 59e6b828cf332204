"""`/v1/responses/{id}`: stored responses, shown, listed, deleted, cancelled."""

from __future__ import annotations

import re

import msgspec

from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.responses.background import Background
from ghostd.gateway.dialects.responses.create import follow
from ghostd.gateway.dialects.responses.errors import no_item, no_response, not_kept
from ghostd.gateway.dialects.responses.keeping import shown, shown_page
from ghostd.gateway.errors import HttpError, printable
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ResponseStore
from ghostd.stored import Order

PREFIX = "/v1/responses/"
_MOST_ITEMS, _USUAL_ITEMS = 100, 20


class StoredResponses:
    """The handlers. `store` None: nothing is kept."""

    def __init__(self, store: ResponseStore | None, background: Background) -> None:
        self._store = store
        self._background = background

    async def serve(self, exchange: Exchange) -> Response | None:
        """Whatever lies below `/v1/responses/`."""
        if self._store is None:
            raise not_kept()
        response_id, _, below = exchange.path.removeprefix(PREFIX).partition("/")
        method = "GET" if exchange.request.method == "HEAD" else exchange.request.method
        match method, below:
            case "GET", "":
                return await self._show(self._store, response_id, exchange)
            case "DELETE", "":
                return await self._delete(self._store, response_id, exchange)
            case "GET", "input_items":
                return await self._input_items(self._store, response_id, exchange)
            case "POST", "cancel":
                return await self._cancel(self._store, response_id, exchange)
        raise unknown_url(exchange)

    async def _show(self, store: ResponseStore, response_id: str, exchange: Exchange) -> Response | None:
        found = await store.response(response_id)
        if found is None:
            raise no_response(response_id)
        if exchange.parameter("stream").lower() not in ("true", "1"):
            return exchange.json(shown(found))
        log = self._background.log(response_id)
        if log is None:
            raise InvalidRequest(
                "Only a response that is made with 'background' and 'stream' can be streamed again, and for some "
                "minutes after its end.",
                "stream",
            )
        await follow(exchange, log, _after(exchange))
        return None

    async def _delete(self, store: ResponseStore, response_id: str, exchange: Exchange) -> Response:
        await self._background.stop(response_id)
        if not await store.forget(response_id):
            raise no_response(response_id)
        return exchange.json(msgspec.json.encode({"id": response_id, "object": "response", "deleted": True}))

    async def _input_items(self, store: ResponseStore, response_id: str, exchange: Exchange) -> Response:
        limit, order, after = paging(exchange)
        page = await store.input_items(response_id, limit, order, after)
        if page is None:
            if after is None or await store.response(response_id) is None:
                raise no_response(response_id)
            raise no_item(after)
        return exchange.json(shown_page(page))

    async def _cancel(self, store: ResponseStore, response_id: str, exchange: Exchange) -> Response:
        found = await store.response(response_id)
        if found is None:
            raise no_response(response_id)
        if b'"background":true' not in found.body:
            raise InvalidRequest("Only responses that were made in the background can be cancelled.", "response_id")
        found = await self._background.cancel(response_id)
        if found is None:
            raise no_response(response_id)
        return exchange.json(shown(found))


def _after(exchange: Exchange) -> int:
    """`starting_after` of the query, a sequence number; raises InvalidRequest."""
    given = exchange.parameter("starting_after") or "-1"
    if not re.fullmatch("-1|[0-9]{1,15}", given):
        raise InvalidRequest(f"Invalid value for 'starting_after': {given[:20]!r} is no number.", "starting_after")
    return int(given)


def paging(exchange: Exchange) -> tuple[int, Order, str | None]:
    """`limit`, `order` and `after` of the query; raises InvalidRequest."""
    limit = exchange.parameter("limit") or str(_USUAL_ITEMS)
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 5 and 1 <= int(limit) <= _MOST_ITEMS):
        raise InvalidRequest(
            f"Invalid value for 'limit': {limit[:20]!r} is not a number from 1 to {_MOST_ITEMS}.", "limit"
        )
    order = exchange.parameter("order") or "desc"
    if order not in ("asc", "desc"):
        raise InvalidRequest(f"Invalid value for 'order': {order[:20]!r}; supported: asc, desc.", "order")
    return int(limit), "asc" if order == "asc" else "desc", exchange.parameter("after") or None


def unknown_url(exchange: Exchange) -> HttpError:
    """There is no such path."""
    shown_path = printable(f"{exchange.request.method} {exchange.path}", 200)
    return HttpError(404, "unknown_url", f"Unknown request URL: {shown_path}. docs/http-api.md lists what there is.")
