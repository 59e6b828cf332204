"""Passing on a reply of whatever type it has: JSON or text whole, events one by one, sound as it comes."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing

from ghostd.engine import Engine
from ghostd.errors import GhostdError
from ghostd.gateway.answering import passed_headers, relayed
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response, StreamedResponse
from ghostd.routing.call import Call, Item
from ghostd.types import Relayed

log = logging.getLogger(__name__)


async def pass_back(engine: Engine, exchange: Exchange, call: Call) -> Response | None:
    """The reply to a call that is only passed on. Nothing is sent before its first piece has come.

    A reply that is no stream of events has no way to tell of an error in its midst: then the connection breaks.
    """
    async with aclosing(engine.serve(call)) as items:
        first = await _next(items)
        if first.last:
            return relayed(exchange, call, [first.data], first)
        if _is_events(first):
            await _events(exchange, first, items)
            return None
        if not call.stream:
            return await _whole(exchange, call, first, items)
        await _bytes(exchange, first, items)
        return None


async def _next(items: AsyncGenerator[Item, None]) -> Relayed:
    item = await anext(items)
    assert isinstance(item, Relayed), "what is passed on is never put into other words"
    return item


async def _events(exchange: Exchange, first: Relayed, items: AsyncGenerator[Item, None]) -> None:
    async with exchange.open_stream() as events:
        await events.send(first.data)
        while not (item := await _next(items)).last:
            await events.send(item.data)
        await events.close(item.data)


async def _whole(exchange: Exchange, call: Call, first: Relayed, items: AsyncGenerator[Item, None]) -> Response:
    pieces = [first.data]
    while not (item := await _next(items)).last:
        pieces.append(item.data)
    pieces.append(item.data)
    return relayed(exchange, call, pieces, first)


async def _bytes(exchange: Exchange, first: Relayed, items: AsyncGenerator[Item, None]) -> None:
    reply = StreamedResponse(exchange.request, passed_headers(exchange.headers(), first))
    await reply.write(first.data)
    try:
        while not (item := await _next(items)).last:
            await reply.write(item.data)
    except GhostdError as error:
        log.info("a reply broke off: %s", error)
        exchange.request.connection.abort()
        raise ConnectionResetError("the reply broke off") from None
    await reply.write(item.data, last=True)


def _is_events(piece: Relayed) -> bool:
    return piece.content_type.partition(";")[0].strip().lower() == "text/event-stream"
