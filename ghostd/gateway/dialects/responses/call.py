"""From a Responses request to a Call that any deployment can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from ghostd.config.responses import ResponsesConfig
from ghostd.engine import Engine
from ghostd.errors import GhostdError, RequestError
from ghostd.gateway.calls import ABSENT, estimated_tokens, number, optional_text, part_features, read_call
from ghostd.gateway.dialects.responses.errors import OPERATION
from ghostd.gateway.dialects.responses.frame import Frame
from ghostd.gateway.dialects.responses.input import Asked, Said, asked, read_input, relayed_fields
from ghostd.gateway.dialects.responses.request import ENCRYPTED, LOGPROBS, Translated, translated
from ghostd.gateway.dialects.responses.thoughts import new_id
from ghostd.gateway.dialects.responses.truncation import is_too_long, shorten
from ghostd.gateway.dialects.responses.writer import ResponseWriter
from ghostd.gateway.exchange import LARGE_BODY_BYTES, Exchange
from ghostd.ports import ResponseStore
from ghostd.routing.call import Call, Job, Trace, new_request_id
from ghostd.types import Feature


class _Effort(msgspec.Struct):
    effort: str | None = None


class _Format(msgspec.Struct):
    type: str = "text"


class _Text(msgspec.Struct):
    format: _Format | None = None


_EFFORT = msgspec.json.Decoder(_Effort | None)
_TEXT = msgspec.json.Decoder(_Text | None)


@dataclass(slots=True)
class Work:
    """One request for a response, and what is needed to answer it in its own dialect."""

    call: Call
    wanted: Asked
    said: Said
    fields: dict[str, bytes]
    """The request's members, as they came."""
    config: ResponsesConfig
    stored: bool
    body: bytes
    response_id: str = field(default_factory=lambda: new_id("resp"))
    translated: Translated | None = None

    def decode(self) -> Sequence[Job]:
        """The request in ghostd's vocabulary; raises RequestError."""
        self.translated = found = translated(self.fields, self.said.items, self.said.own_from, self.config.hosted_tools)
        if left_out := found.book.left_out:
            self.call.trace.reason += f"without the tools {', '.join(sorted(set(left_out)))}; "
        return (Job(found.request),)

    def shortened(self, error: GhostdError) -> bool:
        """Make a call anew that leaves out what was said first, where the request allows that; whether it did."""
        allowed = self.fields.get("truncation") == b'"auto"' and is_too_long(error)
        if not allowed or not shorten(self.said, error):
            return False
        self.call = msgspec.structs.replace(
            self.call, body=self.body, decode=self.decode, id=new_request_id(), trace=Trace()
        )
        rewrite(self.call, self.fields, self.said)
        return True

    def frame(self) -> Frame:
        """The response object without its output."""
        left_out = self.translated.book.left_out if self.translated is not None else ()
        frame = Frame(self.response_id, self.fields, stored=self.stored, left_out=left_out)
        frame.model = self.call.model
        frame.previous_id = self.wanted.previous_id
        frame.conversation_id = self.wanted.conversation_id
        return frame

    def writer(self) -> ResponseWriter:
        """What puts deltas into the dialect."""
        assert self.translated is not None, "deltas come for a request that was decoded"
        logprobs = LOGPROBS in self.wanted.include or bool(self.translated.body.top_logprobs)
        return ResponseWriter(
            self.frame(),
            self.translated.book,
            streams=self.call.stream,
            keeps_thoughts=self.stored or ENCRYPTED in self.wanted.include,
            logprobs=logprobs,
        )


async def read_work(engine: Engine, exchange: Exchange, store: ResponseStore | None, config: ResponsesConfig) -> Work:
    """Read a request, and what was said before it. Raises RequestError, StoreError or HttpError."""
    call = await read_call(engine, exchange, OPERATION, "chat", _undecoded, glance)
    try:
        fields = dict(call.fields)
        wanted = asked(fields)
        said = await read_input(fields, wanted, store, config.max_history_bytes)
    except RequestError as error:
        engine.refused(call, error)
        raise
    stored = wanted.store and store is not None
    work = Work(call, wanted, said, fields, config, stored, call.body)
    call.decode = work.decode
    if sum(map(len, said.items)) > LARGE_BODY_BYTES:  # would hold up everybody else
        await asyncio.to_thread(rewrite, call, fields, said)
    else:
        rewrite(call, fields, said)
    if said.unknown_previous is not None or said.unknown_conversation is not None:
        call.passed_only = call.relayable = True
    return work


def rewrite(call: Call, fields: Mapping[str, bytes], said: Said) -> None:
    """Put all that is said into the call."""
    call.fields = relayed_fields(fields, said)
    if said.rewritten:
        glance(call)


def _undecoded(body: bytes) -> Sequence[Job]:
    raise AssertionError("replaced once the request has been read")


def glance(call: Call) -> None:
    """What the router wants to know of the request."""
    fields = call.fields
    said = fields.get("input", b"")
    found: set[Feature] = set(part_features(said))
    if fields.get("tools") not in ABSENT:
        found.add("tools")
    if _format(fields.get("text", b"null")) != "text":
        found.add("json")
    call.features = frozenset(found)
    more = len(fields.get("tools", b"")) + len(fields.get("instructions", b""))
    call.prompt_tokens = estimated_tokens(said) + more // 4
    call.max_tokens = number(fields, "max_output_tokens")
    call.effort = _effort(fields.get("reasoning", b"null"))
    call.user = optional_text(fields, "safety_identifier") or optional_text(fields, "user")
    call.with_usage = True


def _format(raw: bytes) -> str:
    """For hints only: whoever decodes it says what is wrong."""
    try:
        text = _TEXT.decode(raw)
    except msgspec.DecodeError:
        return "text"
    return text.format.type if text is not None and text.format is not None else "text"


def _effort(raw: bytes) -> str:
    try:
        reasoning = _EFFORT.decode(raw)
    except msgspec.DecodeError:
        return ""
    return (reasoning.effort or "") if reasoning is not None else ""
