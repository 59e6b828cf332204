"""Streams of a dialect, read or passed on: whatever cuts the bytes into messages and whatever understands them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from typing import Protocol

from ghostd.config.providers import UpstreamConfig
from ghostd.errors import RequestError, UpstreamError
from ghostd.providers.http.client import HttpResponse
from ghostd.providers.http.failures import headed
from ghostd.providers.ndjson import LineSplitter
from ghostd.providers.sse import EventSplitter, payloads
from ghostd.types import Delta, Relayed, Timeouts, Usage


class ReplyReader(Protocol):
    """Understands the messages of one reply and holds them to their dialect."""

    @property
    def begun(self) -> bool:
        """Whether something has come that shows that the model works."""
        ...

    @property
    def ended(self) -> bool:
        """Whether the reply has told that it is complete."""
        ...

    @property
    def stop_reason(self) -> str | None:
        """Why it ended, in the upstream's words."""
        ...

    def usage(self) -> Usage:
        """The tokens so far."""
        ...

    def read(self, data: bytes) -> Iterable[Delta]:
        """What one message says. Raises UpstreamError: it breaks the dialect, or tells an error."""
        ...

    def watch(self, data: bytes) -> None:
        """As strict as `read`, for a reply that is passed on: nobody wants to know what it says."""
        ...

    def end(self) -> Delta:
        """The last delta, once the body is complete. Raises UpstreamMalformed if the reply is not."""
        ...


class Splitter(Protocol):
    """Cuts a body into pieces that hold whole messages."""

    def feed(self, block: bytes) -> tuple[bytes, Sequence[bytes]]:
        """The piece that this block completes, and the messages in it."""
        ...

    def finish(self) -> tuple[bytes, Sequence[bytes]]:
        """What is left at the body's end."""
        ...


class EventPieces:
    """Server-sent events."""

    def __init__(self, limits: UpstreamConfig, upstream: str) -> None:
        self._splitter = EventSplitter(limits, upstream)

    def feed(self, block: bytes) -> tuple[bytes, Sequence[bytes]]:
        """The events that this block completes."""
        piece = self._splitter.feed(block)
        return piece, payloads(piece) if piece else ()

    def finish(self) -> tuple[bytes, Sequence[bytes]]:
        """An event that lacks its empty line."""
        piece = self._splitter.finish()
        return piece, payloads(piece) if piece else ()


class LinePieces:
    """Lines of JSON."""

    def __init__(self, limits: UpstreamConfig, upstream: str) -> None:
        self._splitter = LineSplitter(limits, upstream)

    def feed(self, block: bytes) -> tuple[bytes, Sequence[bytes]]:
        """The lines that this block completes."""
        return _joined(self._splitter.feed(block))

    def finish(self) -> tuple[bytes, Sequence[bytes]]:
        """A line that lacks its end."""
        return _joined(self._splitter.finish())


def _joined(lines: list[bytes]) -> tuple[bytes, Sequence[bytes]]:
    return (b"\n".join((*lines, b"")), lines) if lines else (b"", lines)


def within(timeout_s: float) -> Timeouts:
    """For a check, whose whole reply must come in time. Call it on the event loop."""
    return Timeouts(min(timeout_s, 5.0), timeout_s, timeout_s, asyncio.get_running_loop().time() + timeout_s)


async def refusing(error: RequestError) -> AsyncGenerator[Delta, None]:
    """A stream of nothing but this error, for what a dialect does not offer."""
    none: tuple[Delta, ...] = ()
    for delta in none:
        yield delta
    raise error


async def read_deltas(
    response: HttpResponse, splitter: Splitter, reader: ReplyReader, upstream: str
) -> AsyncGenerator[Delta, None]:
    """The reply as deltas, the last one once its body is complete. `upstream` heads the messages of errors."""
    try:
        async for block in response.blocks():
            for data in splitter.feed(block)[1]:
                for delta in reader.read(data):
                    yield delta
        for data in splitter.finish()[1]:
            for delta in reader.read(data):
                yield delta
        yield reader.end()
    except UpstreamError as error:
        raise headed(error, upstream) from None
    finally:
        response.close()


async def pass_on(
    response: HttpResponse, splitter: Splitter, reader: ReplyReader, upstream: str, headers: Mapping[str, str]
) -> AsyncGenerator[Relayed, None]:
    """The reply as it came, in whole messages, once `reader` has seen that it has begun.

    What follows the message that ends it is awaited, since a reply that goes on after its end is broken.
    """
    content_type = response.headers.get("content-type", "")
    first = dict(headers)
    held: list[bytes] = []
    try:
        async for block in response.blocks():
            piece, messages = splitter.feed(block)
            if not piece:
                continue
            for data in messages:
                reader.watch(data)
            held.append(piece)
            if reader.begun and not reader.ended:
                yield Relayed(b"".join(held), content_type=content_type, headers=first)
                first = {}
                held.clear()
        piece, messages = splitter.finish()
        for data in messages:
            reader.watch(data)
        held.append(piece)
        reader.end()
        yield Relayed(
            b"".join(held),
            last=True,
            usage=reader.usage(),
            finish_reason=reader.stop_reason,
            content_type=content_type,
            headers=first,
        )
    except UpstreamError as error:
        raise headed(error, upstream) from None
    finally:
        response.close()


async def pass_whole_on(
    response: HttpResponse,
    check: Callable[[bytes], tuple[Usage | None, str | None]],
    upstream: str,
    headers: Mapping[str, str],
) -> Relayed:
    """A reply that is no stream, as it came. `check` gives its usage and why it ended, and raises UpstreamError."""
    try:
        body = await response.read()
        usage, reason = check(body)
    except UpstreamError as error:
        raise headed(error, upstream) from None
    finally:
        response.close()
    content_type = response.headers.get("content-type", "application/json")
    return Relayed(body, True, usage, reason, content_type, headers)


def kept_headers(headers: Mapping[str, str], names: frozenset[str], prefix: str = "\0") -> dict[str, str]:
    """Those of a reply's headers that are worth passing on."""
    return {name: value for name, value in headers.items() if name in names or name.startswith(prefix)}


def renamed(fields: Mapping[str, bytes], model: str | None, encode: Callable[[object], bytes]) -> bytes:
    """A JSON object of these members, the text of their values unchanged but for the model's name."""
    members = [encode(name) + b":" + value for name, value in fields.items() if name != "model"]
    if model is not None:
        members.insert(0, b'"model":' + encode(model))
    return b"{" + b",".join(members) + b"}"
