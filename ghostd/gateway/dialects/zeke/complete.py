"""`POST /v1/zeke/code/complete`: the text at a cursor, whole, as a stream, or better and better."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ghostd.engine import Engine
from ghostd.errors import InvalidRequest
from ghostd.gateway.answering import Reply, answer
from ghostd.gateway.calls import decoded, estimated_tokens, number, read_call
from ghostd.gateway.dialects.openai.fields import check_ranges
from ghostd.gateway.dialects.zeke.events import TextEvent, event, pieces
from ghostd.gateway.doc import Doc
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.gateway.sse import DONE
from ghostd.routing.call import Call, Job
from ghostd.suggestions.service import SuggestionService
from ghostd.suggestions.suggestion import Ask
from ghostd.types import Delta, FillRequest, OpenDocument, Trigger

RANGES: Mapping[str, tuple[float, float]] = {"max_tokens": (0, 2**31 - 1)}
_PATH = "/v1/zeke/code/complete"
_ENCODER = msgspec.json.Encoder()
_SHORT = Annotated[str, msgspec.Meta(max_length=4096)]


class CompleteBody(msgspec.Struct, kw_only=True):
    """What is asked: the text before the cursor as `prefix`, `code` or `prompt`, the first that there is."""

    prefix: str | None = None
    code: str | None = None
    prompt: str | None = None
    suffix: str | None = None
    """The text behind the cursor."""
    context: str | None = None
    """Other text that may help."""
    language: _SHORT | None = None
    """LSP's or Zeke's name for it; absent: by the path."""
    file_path: _SHORT | None = None
    """Absolute, or relative to an indexed folder."""
    task: str | None = None
    """Accepted, and not needed here."""
    model: _SHORT | None = None
    """Absent: the setting completion.model."""
    max_tokens: int | None = None
    stream: bool | None = None
    incremental: bool | None = None
    """Whether each event of the stream holds the whole text so far, and may replace it by a better one."""
    trigger: Literal["automatic", "manual"] | None = None
    """"automatic" while the user types: what is not worth its time is not asked."""
    session: _SHORT | None = None
    """The editor's, where there are several: what was suggested is remembered for each."""


class CompleteReply(msgspec.Struct, kw_only=True):
    """The text, in both vocabularies."""

    type: str = "code_completion"
    content: str
    completion: str
    timestamp: int
    """Seconds since the epoch."""
    status: str = "success"
    provider: str
    model: str


_DECODER = msgspec.json.Decoder(CompleteBody)
DOC = Doc(
    "Complete code at a cursor",
    "Zeke",
    "With `incremental`, events of a stream replace one another; else their texts follow one another.",
    body=CompleteBody,
    reply=CompleteReply,
    streams="text/event-stream",
    event=TextEvent,
    ranges=RANGES,
)


def routes(engine: Engine, suggestions: SuggestionService) -> Sequence[Route]:
    """The one route."""
    return (Route("POST", _PATH, partial(complete, engine, suggestions), doc=DOC),)


async def complete(engine: Engine, suggestions: SuggestionService, exchange: Exchange) -> Response | None:
    """Answer; a client that hangs up ends the work."""
    model = engine.registry.config.completion.model
    call = await read_call(engine, exchange, "zeke.complete", "fill", _jobs, _glance, default_model=model)
    if call.fields.get("incremental") != b"true":
        return await answer(engine, exchange, call, _Encoder(engine))
    exchange.call = None  # each model that is asked has a row of its own in the ledger
    body = decoded(_DECODER, call.body)
    request = _request(body, call.model)
    return await _incremental(engine, suggestions, exchange, body, request)


async def _incremental(
    engine: Engine, suggestions: SuggestionService, exchange: Exchange, body: CompleteBody, request: FillRequest
) -> Response | None:
    document = body.file_path or ("untitled:" if body.session else "")
    ask = Ask(request, document, incremental=bool(body.stream))
    found = suggestions.suggest(ask)
    if not body.stream:
        async with aclosing(found):
            best = [suggestion async for suggestion in found][-1:]
        text, model = (best[0].text, best[0].model) if best else ("", "")
        response = exchange.json(_ENCODER.encode(_reply(engine, text, model)))
        if best:
            response.headers["x-ghostd-id"] = best[0].id
        return response
    async with exchange.open_stream() as events, aclosing(found):
        text, call_id = "", ""
        async for suggestion in found:
            text, call_id = suggestion.text, suggestion.id
            if not suggestion.final:
                await events.send(event(text, final=False, call_id=call_id))
        await events.close(event(text, final=True, call_id=call_id) + DONE)
    return None


def _glance(call: Call) -> None:
    call.prompt_tokens = sum(estimated_tokens(call.fields.get(name, b"")) for name in ("prefix", "code", "prompt"))
    call.several = True  # a text longer than the context is cut to what stands around the hole
    call.max_tokens = number(call.fields, "max_tokens")


def _jobs(body: bytes) -> list[Job]:
    fields = decoded(_DECODER, body)
    return [Job(_request(fields, fields.model or "", whole=not fields.stream))]


def _request(fields: CompleteBody, model: str, *, whole: bool = False) -> FillRequest:
    check_ranges(fields, RANGES)
    before = next((text for text in (fields.prefix, fields.code, fields.prompt) if text is not None), None)
    if before is None:
        raise InvalidRequest("One of 'prefix', 'code' and 'prompt' is needed.", "prefix")
    if fields.file_path is not None and "\0" in fields.file_path:
        raise InvalidRequest("Invalid value for 'file_path': a path has no NUL character.", "file_path")
    path = Path(fields.file_path.removeprefix("file://")) if fields.file_path else None
    trigger: Trigger = fields.trigger or "manual"
    return FillRequest(
        model=model,
        prefix=before,
        suffix=fields.suffix or "",
        path=path,
        language=fields.language.lower() if fields.language else None,
        max_tokens=fields.max_tokens,
        trigger=trigger,
        session=fields.session or "",
        open_documents=(OpenDocument(Path("context"), fields.context),) if fields.context else (),
        quote_documents=True,
        tidy=whole,
        halt=True,
    )


def _reply(engine: Engine, text: str, model: str) -> CompleteReply:
    known = next((info for info in engine.models() if info.id == model), None)
    provider = known.owned_by if known is not None else ""
    return CompleteReply(content=text, completion=text, timestamp=int(time.time()), provider=provider, model=model)


class _Encoder:
    """Deltas as Zeke's replies."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def whole(self, call: Call, model: str, replies: list[Reply]) -> bytes:
        """The body of a reply that is not streamed."""
        text = "".join(replies[0].text) if replies else ""
        return _ENCODER.encode(_reply(self._engine, text, model))

    def begin(self, call: Call, model: str) -> None:
        """A stream begins."""

    def events(self, delta: Delta) -> bytes:
        """The pieces of a delta."""
        return pieces(delta.text)

    def end(self, call: Call) -> bytes:
        """The last event and the end marker."""
        return event("", final=True) + DONE
