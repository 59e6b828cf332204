"""`POST /api/chat`."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.gateway.answering import answer
from ghostd.gateway.calls import decoded, read_call
from ghostd.gateway.dialects.ollama.fields import (
    Common,
    checked,
    generation_glance,
    max_tokens,
    reasoning,
    sampling,
    stops,
)
from ghostd.gateway.dialects.ollama.lines import Lines, chat_content
from ghostd.gateway.dialects.ollama.messages import MessageBody, ToolBody, messages_of, tools_of
from ghostd.gateway.dialects.ollama.names import resolved
from ghostd.gateway.dialects.ollama.residence import Residence
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.ports import ModelStore
from ghostd.routing.call import Job
from ghostd.types import ChatRequest


class ChatBody(Common, kw_only=True):
    """The body of `/api/chat`."""

    messages: list[MessageBody] | None = None
    tools: list[ToolBody] | None = None


_DECODER = msgspec.json.Decoder(ChatBody)


async def chat(engine: Engine, store: ModelStore, exchange: Exchange) -> Response | None:
    """Answer a conversation, or load or unload the model where there is none."""
    call = await read_call(engine, exchange, "ollama.chat", "chat", _jobs, generation_glance, streams=True)
    call.model = resolved(engine, store, call.model)
    residence = Residence(engine, store, exchange, call)
    if not call.fields.get("messages", b"null").removeprefix(b"null").strip(b"[] \t\r\n"):
        checked(engine, call, _DECODER)
        return await residence.settle(chat_content(""))
    with residence.kept():
        return await answer(engine, exchange, call, Lines(exchange, chat_content))


def _jobs(body: bytes) -> Sequence[Job]:
    fields = decoded(_DECODER, body)
    messages = messages_of(fields.messages or ())
    if not messages:
        raise InvalidRequest("Invalid value for 'messages': an empty list.", "messages")
    return [
        Job(
            ChatRequest(
                model=fields.model,
                messages=messages,
                sampling=sampling(fields),
                max_tokens=max_tokens(fields.options),
                stop=stops(fields.options),
                tools=tools_of(fields.tools or ()),
                reasoning=reasoning(fields.think),
            )
        )
    ]
