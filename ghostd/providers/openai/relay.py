"""Requests and replies of OpenAI's dialect that pass as they came, looked at only as far as it takes to trust them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Protocol

import msgspec

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import InvalidRequest, UpstreamError, UpstreamMalformed, UpstreamTimeout, UpstreamUnreachable
from ghostd.providers.http.client import HttpResponse
from ghostd.providers.http.failures import headed
from ghostd.providers.openai.types import WireChunk
from ghostd.providers.sse import EventSplitter, data_of, payloads
from ghostd.types import Relayed, RelayRequest, Usage

AFTER_END_S = 0.5
"""How long the end of the body may take once the stream has said that it is over."""
_encode = msgspec.json.Encoder().encode
_NO_RENAMES: Mapping[str, str] = {}
_NAMES: dict[str, bytes] = {}
"""Encoded names of members; only those of the API's own, so that it stays small."""
_MAX_NAMES = 512
_OPTIONS = msgspec.json.Decoder(dict[str, msgspec.Raw] | None)
_DONE_EVENT = b"data: [DONE]\n\n"


class EventCheck(Protocol):
    """Understands a stream's events, and holds them to their dialect."""

    done: bool
    """Whether the stream has said that it is over."""

    @property
    def holding(self) -> bool:
        """Whether nothing has come yet that shows that the model works."""
        ...

    @property
    def reason(self) -> str | None:
        """Why the reply finished, in the upstream's words."""
        ...

    def skim(self, events: bytes, start: int) -> int:
        """Where the first event at or behind `start` lies that is not so like an earlier one that it is good, too."""
        ...

    def take(self, data: bytes) -> object:
        """Look at the next event's data; raises UpstreamError."""
        ...

    def end(self) -> None:
        """The body is complete; raises UpstreamMalformed where the reply is not."""
        ...

    def counted(self) -> Usage | None:
        """The tokens, as far as they were told."""
        ...


def relay_body(request: RelayRequest, *, with_usage: bool, renames: Mapping[str, str] = _NO_RENAMES) -> bytes:
    """The client's JSON body with the upstream's name of the model; `with_usage` asks for the usage of a stream.

    `renames` are Quirks.renames; a member whose new name the client has given, too, is left out.
    """
    members = []
    fields = request.fields if not renames else _renamed(request.fields, renames)
    for name, value in fields.items():
        encoded = _NAMES.get(name)
        if encoded is None:
            encoded = _encode(name) + b":"
            if len(_NAMES) < _MAX_NAMES and len(name) < 64:
                _NAMES[name] = encoded
        if name == "model":
            value = _encode(request.model)  # noqa: PLW2901 - the one member that is ghostd's
        elif name == "stream_options" and with_usage:
            continue
        members.append(encoded + value)
    if "model" not in fields:
        members.append(b'"model":' + _encode(request.model))
    if with_usage:
        members.append(b'"stream_options":' + _options(fields.get("stream_options", b"null")))
    return b"{" + b",".join(members) + b"}"


def _renamed(fields: Mapping[str, bytes], renames: Mapping[str, str]) -> Mapping[str, bytes]:
    renamed: dict[str, bytes] = {}
    for name, value in fields.items():
        new = renames.get(name, name)
        if new == name or (new and new not in fields):
            renamed[new] = value
    return renamed


def _options(given: bytes) -> bytes:
    if given == b"null":
        return b'{"include_usage":true}'
    try:
        options = _OPTIONS.decode(given) or {}
    except msgspec.DecodeError:
        raise InvalidRequest("Invalid value for 'stream_options': it must be an object.", "stream_options") from None
    options["include_usage"] = msgspec.Raw(b"true")
    return _encode(options)


def multipart_body(body: bytes, content_type: str, model: str) -> bytes:
    """A multipart body (RFC 7578) with this name in its part "model"; raises InvalidRequest if it is none."""
    boundary = _boundary(content_type)
    mark = b"--" + boundary.encode("latin-1")
    at = 0 if body.startswith(mark) else body.find(b"\r\n" + mark) + 2
    if not body.startswith(mark, at):
        raise InvalidRequest("The body is not multipart/form-data with the boundary that its Content-Type names.")
    while True:
        start = body.find(b"\r\n", at + len(mark)) + 2
        head_end = body.find(b"\r\n\r\n", start)
        end = body.find(b"\r\n" + mark, start)
        if start < 2 or head_end < 0 or end < 0:
            raise InvalidRequest("Missing required parameter: 'model'.", "model")
        if head_end < end and _part_name(body[start:head_end]) == b"model":
            return body[: head_end + 4] + model.encode() + body[end:]
        at = end + 2


def _boundary(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "boundary" and value.strip('"'):
            return value.strip('"')
    raise InvalidRequest("The Content-Type multipart/form-data names no boundary.")


def _part_name(head: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field.strip().lower() != b"content-disposition":
            continue
        for parameter in value.split(b";")[1:]:
            name, _, text = parameter.strip().partition(b"=")
            if name.lower() == b"name":
                return text.strip(b'"')
    return b""


async def relay_events(
    response: HttpResponse,
    check: EventCheck,
    limits: UpstreamConfig,
    upstream: str,
    headers: Mapping[str, str],
    *,
    drop_usage: bool = False,
    done_mark: bool = False,
) -> AsyncGenerator[Relayed, None]:
    """The events as they came, one piece for each read of the socket.

    The first piece is given out once something has come that shows that the model works. With `drop_usage` the chunk
    that holds the usage alone is left out; with `done_mark` a stream that is complete but lacks `[DONE]` gets it.
    """
    splitter = EventSplitter(limits, upstream)
    content_type = response.headers.get("content-type", "text/event-stream")
    held: list[bytes] = []
    first: Mapping[str, str] = headers
    blocks = response.blocks()
    try:
        async for block in blocks:
            whole = splitter.feed(block)
            if not whole:
                continue
            whole = _taken(whole, check, drop_usage)
            if check.done:
                held.append(whole)
                if not whole.endswith(b"\n"):  # a line end of CR LF, cut in two, whose rest nobody waits for
                    held.append(b"\n")
                await to_end(response, blocks, splitter, check)
                break
            if check.holding or held:
                held.append(whole)
                if check.holding:
                    continue
                whole = b"".join(held)
                held.clear()
            if whole:
                yield Relayed(whole, False, None, None, content_type, first)
                first = {}
        else:
            if rest := splitter.finish():
                held.append(_taken(rest, check, drop_usage))
            check.end()
            if done_mark and not check.done:
                held.append(_DONE_EVENT)
        yield Relayed(b"".join(held), True, check.counted(), check.reason, content_type, first)
    except UpstreamError as error:
        raise headed(error, upstream) from None
    finally:
        response.close()


def _taken(whole: bytes, check: EventCheck, drop_usage: bool) -> bytes:
    """What is to be passed on of these events."""
    text = whole.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in whole else whole
    kept: list[bytes] = []
    since = start = 0
    while (end := text.find(b"\n\n", start := check.skim(text, start))) >= 0:
        if data := data_of(text[start:end]):
            taken = check.take(data)
            if drop_usage and isinstance(taken, WireChunk) and not taken.choices:
                kept.append(text[since:start])
                since = end + 2
        start = end + 2
    return whole if not since and not kept else b"".join((*kept, text[since:]))


def event_data(events: bytes) -> Sequence[bytes]:
    """As `payloads`; the commonest piece, a single event of one line, is cut at once."""
    if events.startswith(b"data: {") and events.count(b"\n") == 2 and events.endswith(b"}\n\n"):
        return (events[6:-2],)
    return payloads(events)


async def to_end(
    response: HttpResponse, blocks: AsyncIterator[bytes], splitter: EventSplitter, check: EventCheck
) -> None:
    """Wait a little for the body's end, so that the connection can be used again; raises if the stream goes on."""
    if not response.taken:
        try:
            async with asyncio.timeout(AFTER_END_S):
                async for block in blocks:
                    for data in payloads(splitter.feed(block)):
                        check.take(data)
        except (TimeoutError, UpstreamUnreachable, UpstreamTimeout):
            return  # the reply is complete; only its connection is of no more use
    for data in payloads(splitter.finish()):
        check.take(data)


async def relay_bytes(
    response: HttpResponse, upstream: str, headers: Mapping[str, str]
) -> AsyncGenerator[Relayed, None]:
    """A reply that is neither JSON nor events, such as sound, as it comes; it must not be empty. The last piece is."""
    content_type = response.headers.get("content-type", "")
    first: Mapping[str, str] | None = headers
    try:
        if content_type.partition(";")[0].strip().lower() in {"", "text/html", "application/xhtml+xml"}:
            raise UpstreamMalformed(f"it answers with {content_type[:100]!r}", upstream)
        async for block in response.blocks():
            yield Relayed(block, content_type=content_type, headers=first or {})
            first = None
        if first is not None:
            raise UpstreamMalformed("its reply is empty", upstream)
        yield Relayed(b"", True, content_type=content_type)
    except UpstreamError as error:
        raise headed(error, upstream) from None
    finally:
        response.close()
