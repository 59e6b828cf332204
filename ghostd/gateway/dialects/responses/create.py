"""`POST /v1/responses` in front of every provider."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec

from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.errors import (
    ContextTooLong,
    GhostdError,
    InvalidRequest,
    NoCandidate,
    StoreError,
    UpstreamModelMissing,
    UpstreamRejected,
)
from ghostd.gateway.answering import relayed, with_metadata
from ghostd.gateway.dialect import OPENAI
from ghostd.gateway.dialects.responses.background import Background
from ghostd.gateway.dialects.responses.call import Work, read_work
from ghostd.gateway.dialects.responses.errors import PreviousNotFound, in_own_names, no_conversation
from ghostd.gateway.dialects.responses.events import EventLog
from ghostd.gateway.dialects.responses.frame import replaced
from ghostd.gateway.dialects.responses.keeping import Keeper
from ghostd.gateway.dialects.responses.relayed import Watched
from ghostd.gateway.dialects.responses.writer import ResponseWriter
from ghostd.gateway.errors import INTERNAL, Problem, problem
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ResponseStore
from ghostd.routing.call import Item
from ghostd.types import Delta, Relayed

_MOST_SHORTENED = 4
"""How often a conversation is shortened that a model says is too long."""
log = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode


class _ErrorBody(msgspec.Struct):
    error: dict[str, Any]


class _Identified(msgspec.Struct):
    id: str


_ERROR = msgspec.json.Decoder(_ErrorBody)
_ID = msgspec.json.Decoder(_Identified)


class Responses:
    """The handler. `store` None: nothing is kept."""

    def __init__(
        self, engine: Engine, store: ResponseStore | None, config: ResponsesConfig, background: Background
    ) -> None:
        self._engine = engine
        self._store = store
        self._config = config
        self._background = background

    async def create(self, exchange: Exchange) -> Response | None:
        """Make a response: whole, as a stream, or in the background."""
        try:
            work = await read_work(self._engine, exchange, self._store, self._config)
            keeper = Keeper(self._store, work.wanted, work.said)
            if work.wanted.background:
                return await self._later(exchange, work, keeper)
            for _ in range(_MOST_SHORTENED):
                try:
                    return await self._answer(exchange, work, keeper)
                except (ContextTooLong, UpstreamRejected) as error:
                    if not work.shortened(error):
                        raise
                    exchange.call = work.call
            return await self._answer(exchange, work, keeper)
        except GhostdError as error:
            in_own_names(error)
            raise

    async def _answer(self, exchange: Exchange, work: Work, keeper: Keeper) -> Response | None:
        items = self._engine.serve(work.call)
        try:
            if not work.call.stream:
                return await _whole(exchange, work, items, keeper)
            await _stream(exchange, work, items, keeper)
        except (NoCandidate, UpstreamModelMissing) as error:
            raise _explained(work, error) from None
        return None

    async def _later(self, exchange: Exchange, work: Work, keeper: Keeper) -> Response | None:
        """Begin to make it, and say so."""
        if not keeper.keeps:
            error = InvalidRequest(
                "Responses can be made in the background only where they are stored ('store').", "background"
            )
            self._engine.refused(work.call, error)
            raise error
        self._background.check_room()
        work.call.interactive = False
        if work.call.stream:
            events = EventLog()
            self._background.start(work.response_id, lambda: self._tell(work, keeper, events))
            await follow(exchange, events)
            return None
        queued = _encode(work.frame().response("queued"))
        if not await keeper.keep(queued, running=True):
            raise StoreError("The response cannot be stored, and so not be made in the background.")
        self._background.start(work.response_id, lambda: self._make(work, keeper))
        exchange.call = None  # nothing is known yet of where it goes
        return exchange.json(queued)

    async def _make(self, work: Work, keeper: Keeper) -> None:
        await keeper.keep(_encode(work.frame().response("in_progress")), running=True)
        watched = Watched(work.wanted.previous_id, work.wanted.conversation_id)
        try:
            body = await _made(work, self._engine.serve(work.call), watched)
        except Exception as error:
            told = _told(_explained(work, error))
            failed = {"code": told.code or "server_error", "message": told.message}
            body = _encode(work.frame().response("failed", error=failed))
        own = {"id": work.response_id, "background": True, "store": True}
        await keeper.keep(replaced(body, own))

    async def _tell(self, work: Work, keeper: Keeper, events: EventLog) -> None:
        """Make it, and tell of it in events. Its id is known with its first event: a service gives its own."""
        stream, begun = _Stream(work), False
        try:
            async with aclosing(self._engine.serve(work.call)) as items:
                async for item in items:
                    events.add(stream.events(item))
                    if not begun:
                        begun = True
                        self._background.listen(stream.response_id, events)
                        await keeper.keep(_in_background(stream.begun), running=True)
            end = stream.end()
            await keeper.keep(_in_background(stream.ended))
            events.add(end)
        except Exception as error:
            events.add(stream.failed(OPENAI.error(_told(_explained(work, error)), "")))
            await keeper.keep(_in_background(stream.failure))
        finally:
            events.end()


def _told(error: Exception) -> Problem:
    """What is told of a failure that no client waits for."""
    if isinstance(error, GhostdError):
        in_own_names(error)
        return problem(error)
    log.error("a response in the background failed", exc_info=error)
    return problem(INTERNAL)


async def follow(exchange: Exchange, events: EventLog, after: int = -1) -> None:
    """Stream the events behind the one of this number."""
    async with exchange.open_stream() as stream, aclosing(events.follow(after)) as pieces:
        async for data in pieces:
            await stream.send(data)
        await stream.close(b"")


def _in_background(body: bytes) -> bytes:
    return replaced(body, {"background": True})


async def _made(work: Work, items: AsyncGenerator[Item, None], watched: Watched) -> bytes:
    """The whole response object."""
    async with aclosing(items):
        return (await _collected(work, items, watched))[0]


async def _collected(work: Work, items: AsyncGenerator[Item, None], watched: Watched) -> tuple[bytes, Relayed | None]:
    """The whole response object, and its last piece where it was relayed."""
    writer: ResponseWriter | None = None
    pieces: list[bytes] = []
    async for item in items:
        if isinstance(item, Relayed):
            pieces.append(item.data)
            if item.last:
                return watched.told(b"".join(pieces)), item
        else:
            assert isinstance(item, Delta)
            writer = writer or work.writer()
            writer.add(item)
    assert writer is not None, "the router gives a last item or raises"
    writer.end(work.call.trace.usage)
    return _encode(writer.finished), None


async def _whole(exchange: Exchange, work: Work, items: AsyncGenerator[Item, None], keeper: Keeper) -> Response:
    watched = Watched(work.wanted.previous_id, work.wanted.conversation_id)
    async with aclosing(items):
        body, last = await _collected(work, items, watched)
    await keeper.keep(body)
    if last is not None:
        return relayed(exchange, work.call, [body], last)
    return exchange.json(with_metadata(body, work.call) if exchange.wants_metadata else body)


async def _stream(exchange: Exchange, work: Work, items: AsyncGenerator[Item, None], keeper: Keeper) -> None:
    stream = _Stream(work)
    exchange.dialect = replace(exchange.dialect, error_event=stream.failed)
    async with exchange.open_stream() as events, aclosing(items):
        try:
            held = b""
            async for item in items:
                data = stream.events(item)
                if isinstance(item, Relayed) and item.last:
                    held = data
                elif data:
                    await events.send(data)
            held += stream.end()
            if stream.ended:
                await keeper.keep(stream.ended)
            await events.close(held)
        except GhostdError as error:
            if not events.begun:
                raise
            in_own_names(error)
            await events.fail(exchange.dialect.error(problem(error), exchange.request_id))
            if stream.failure:
                await keeper.keep(stream.failure)


class _Stream:
    """One streamed reply, whoever writes it."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._writer: ResponseWriter | None = None
        self._watched = Watched(work.wanted.previous_id, work.wanted.conversation_id)
        self.failure = b""
        """The response object of a reply that broke off."""

    def events(self, item: Item) -> bytes:
        """What to send for an item; may be empty."""
        if isinstance(item, Relayed):
            return self._watched.event(item.data)
        assert isinstance(item, Delta)
        if self._writer is None:
            self._writer = self._work.writer()
        return self._writer.add(item)

    def end(self) -> bytes:
        """What to send at the end, if it was not ghostd that passed it on."""
        return b"" if self._writer is None else self._writer.end(self._work.call.trace.usage)

    @property
    def begun(self) -> bytes:
        """The response object as it began."""
        if self._writer is None:
            return self._watched.created or _encode(self._work.frame().response("in_progress"))
        return _encode(self._writer.frame.response("in_progress"))

    @property
    def ended(self) -> bytes:
        """The response object as it ended; empty where a service has not told it."""
        return self._watched.response if self._writer is None else _encode(self._writer.finished)

    @property
    def response_id(self) -> str:
        """Of the response that has begun."""
        return _ID.decode(self.begun).id

    def failed(self, error_object: bytes) -> bytes:
        """The last events of a stream that breaks off; see Dialect.error_event."""
        try:
            error = _ERROR.decode(error_object).error
        except msgspec.DecodeError:  # an upstream's own, in a shape of its own
            error = {"message": "The service broke off its reply."}
        if self._writer is None:
            events = self._watched.failed(error, self._work.frame().response("failed"))
            self.failure = self._watched.response
            return events
        events = self._writer.fail(error)
        self.failure = _encode(self._writer.finished)
        return events


def _explained(work: Work, error: Exception) -> Exception:
    """Why nobody can go on from a response or a conversation that is not kept here; other errors as they are."""
    if isinstance(error, NoCandidate | UpstreamModelMissing):
        if work.said.unknown_previous is not None:
            return PreviousNotFound(work.said.unknown_previous)
        if work.said.unknown_conversation is not None:
            return no_conversation(work.said.unknown_conversation)
    return error
