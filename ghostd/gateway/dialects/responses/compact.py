"""`POST /v1/responses/compact`: a conversation in short, for clients that run out of context."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import msgspec

from ghostd.config.responses import ResponsesConfig
from ghostd.conversation import Message, Tools
from ghostd.engine import Engine
from ghostd.errors import GhostdError, InvalidRequest
from ghostd.gateway.dialects.responses.call import Work, read_work
from ghostd.gateway.dialects.responses.errors import PreviousNotFound, in_own_names, no_conversation
from ghostd.gateway.dialects.responses.frame import usage_fields
from ghostd.gateway.dialects.responses.input import kept_items
from ghostd.gateway.dialects.responses.thoughts import new_id, seal_summary
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ResponseStore
from ghostd.routing.call import Job
from ghostd.types import ChatRequest, Delta, Usage

_TASK = (
    "Write a summary of this conversation so far, for yourself: you will go on from it without seeing the conversation "
    "again. Keep what was asked, what was decided and why, what was done and with what result (names of files, "
    "commands, errors, values, as they are), and what remains to be done. Write only the summary."
)
_encode = msgspec.json.Encoder().encode


class Compaction:
    """The handler."""

    def __init__(self, engine: Engine, store: ResponseStore | None, config: ResponsesConfig) -> None:
        self._engine = engine
        self._store = store
        self._config = config

    async def compact(self, exchange: Exchange) -> Response:
        """Have the model write the summary; an item holds it that the next request may begin with."""
        try:
            work = await read_work(self._engine, exchange, self._store, self._config)
            _check(work)
            work.call.stream = work.call.relayable = False
            work.call.decode = lambda: _jobs(work)
            summary = await self._summary(work)
        except GhostdError as error:
            in_own_names(error)
            raise
        return exchange.json(_encode(_shown(work, summary)))

    async def _summary(self, work: Work) -> str:
        pieces: list[str] = []
        async with aclosing(self._engine.serve(work.call)) as items:
            async for item in items:
                assert isinstance(item, Delta), "the call is not relayed"
                pieces.append(item.text)
        return "".join(pieces)


def _check(work: Work) -> None:
    if work.wanted.background:
        raise InvalidRequest("A conversation cannot be compacted in the background.", "background")
    if work.said.unknown_previous is not None:
        raise PreviousNotFound(work.said.unknown_previous)
    if work.said.unknown_conversation is not None:
        raise no_conversation(work.said.unknown_conversation)


def _jobs(work: Work) -> Sequence[Job]:
    (job,) = work.decode()
    request = job.request
    assert isinstance(request, ChatRequest)
    messages = (*request.messages, Message("user", _TASK))
    tools = replace(request.tools, choice="none") if request.tools.tools else Tools()
    return (Job(replace(request, messages=messages, tools=tools)),)


def _shown(work: Work, summary: str) -> dict[str, Any]:
    """What users said stays as it is; a summary stands for the rest."""
    said = [
        msgspec.Raw(item.body)
        for item in kept_items(work.said.items)
        if msgspec.json.decode(item.body, type=_Said).by_user
    ]
    item = {"id": new_id("cmp"), "type": "compaction", "encrypted_content": seal_summary(summary)}
    return {
        "id": new_id("resp"),
        "object": "response.compaction",
        "created_at": int(time.time()),
        "output": [*said, item],
        "usage": usage_fields(work.call.trace.usage or Usage(0, 0)),
    }


class _Said(msgspec.Struct):
    type: str = "message"
    role: str | None = None

    @property
    def by_user(self) -> bool:
        return self.type == "message" and self.role == "user"
