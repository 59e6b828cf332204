"""Faults of replies that claim to be fine: their framing, their size, their shape."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from faults.fault import BOTH, PLAIN, STREAM, Fault
from faults.replies import DONE, completion, events, failure
from faults.upstreams import Behaviour, Exchange, bomb

_MB = 1 << 20
_HTML = b"<!DOCTYPE html><html><body>Welcome to our captive portal. Please log in.</body></html>"


def shaped(change: Callable[[dict[str, Any]], object]) -> Behaviour:
    """The right answer, changed in place, or what `change` returns instead."""

    async def behave(exchange: Exchange) -> bool:
        reply = completion(exchange.asked)
        replaced = change(reply)
        await exchange.whole(msgspec.json.encode(reply if replaced is None else replaced))
        return True

    return behave


def _message(**changes: object) -> Behaviour:
    return shaped(lambda reply: reply["choices"][0]["message"].update(changes))


def _field(**changes: object) -> Behaviour:
    return shaped(lambda reply: reply.update(changes))


def _body(body: bytes, kind: str = "application/json", *headers: tuple[str, str]) -> Behaviour:
    async def behave(exchange: Exchange) -> bool:
        await exchange.whole(body, headers=headers, kind=kind)
        return True

    return behave


def _encoded(exchange: Exchange) -> bytes:
    return msgspec.json.encode(completion(exchange.asked))


async def _nothing_of_500_bytes(exchange: Exchange) -> None:
    await exchange.head("200 OK", ("Content-Length", "500"))


async def _truncated(exchange: Exchange) -> bool:
    await exchange.whole(_encoded(exchange)[:-40])
    return True


async def _too_short(exchange: Exchange) -> None:
    body = _encoded(exchange)
    await exchange.head("200 OK", ("Content-Length", str(len(body) + 100)))
    await exchange.send(body)


async def _too_long(exchange: Exchange) -> bool:
    body = _encoded(exchange)
    await exchange.head("200 OK", ("Content-Length", str(len(body) - 30)))
    await exchange.send(body)
    return True


async def _poisoned(exchange: Exchange) -> bool:
    """A right answer, and behind it a second one that nobody asked for, to be taken for the next request's."""
    await exchange.right()
    body = msgspec.json.encode(completion(exchange.asked))
    await exchange.whole(body)
    return True


async def _cut_chunks(exchange: Exchange) -> None:
    body = _encoded(exchange)
    await exchange.head("200 OK", ("Transfer-Encoding", "chunked"))
    await exchange.chunks([body[:100], body[100:]], last=False)


async def _broken_chunks(exchange: Exchange) -> None:
    body = _encoded(exchange)
    await exchange.head("200 OK", ("Transfer-Encoding", "chunked"))
    await exchange.chunks([body[:100]], last=False)
    await exchange.send(b"zz\r\n" + body[100:] + b"\r\n0\r\n\r\n")


async def _stalled_body(exchange: Exchange) -> None:
    body = _encoded(exchange)
    await exchange.head("200 OK", ("Content-Length", str(len(body))))
    await exchange.send(body[: len(body) // 2])
    await exchange.until_gone()


async def _invalid_utf8(exchange: Exchange) -> bool:
    await exchange.whole(_encoded(exchange).replace("ö".encode(), b"\xf6"))
    return True


async def _huge(exchange: Exchange) -> None:
    await exchange.head("200 OK", ("Content-Length", str(200 * _MB)))
    for _ in range(200):
        await exchange.send(b" " * _MB)


async def _endless(exchange: Exchange) -> None:
    await exchange.head("200 OK", ("Transfer-Encoding", "chunked"))
    while True:
        await exchange.chunks([b" " * 65536], last=False)


async def _bomb(exchange: Exchange) -> bool:
    await exchange.whole(bomb(), headers=(("Content-Encoding", "gzip"),))
    return True


async def _json_for_a_stream(exchange: Exchange) -> bool:
    await exchange.whole(_encoded(exchange))
    return True


async def _error_for_a_stream(exchange: Exchange) -> bool:
    await exchange.whole(msgspec.json.encode(failure("The engine is overloaded", "overloaded")))
    return True


async def _stream_for_json(exchange: Exchange) -> bool:
    await exchange.stream_head()
    await exchange.chunks(events(exchange.asked))
    return True


async def _trickled_body(exchange: Exchange) -> bool:
    """Slow but alive: about half a second."""
    body = _encoded(exchange)
    await exchange.head("200 OK", ("Content-Length", str(len(body))))
    for start in range(0, len(body), 32):
        await exchange.send(body[start : start + 32])
        await asyncio.sleep(0.02)
    return True


FAULTS = (
    Fault("HTML with 200", "shape", "before", _body(_HTML, "text/html; charset=utf-8"), BOTH),
    Fault("HTML called JSON", "shape", "before", _body(_HTML), PLAIN),
    Fault("empty 200", "shape", "before", _body(b""), PLAIN),
    Fault("empty event stream", "shape", "before", _body(b"", "text/event-stream"), STREAM),
    Fault("nothing of 500 bytes", "framing", "before", _nothing_of_500_bytes, PLAIN),
    Fault("truncated JSON", "shape", "before", _truncated, PLAIN),
    Fault("fewer bytes than said", "framing", "before", _too_short, PLAIN),
    Fault("more bytes than said", "framing", "before", _too_long, PLAIN),
    Fault("chunks cut off", "framing", "before", _cut_chunks, PLAIN),
    Fault("broken chunk size", "framing", "before", _broken_chunks, PLAIN),
    Fault("stalled body", "framing", "before", _stalled_body, PLAIN, statuses=(502, 504), slow=True),
    Fault("invalid UTF-8", "shape", "before", _invalid_utf8, PLAIN),
    Fault("200 MB body", "size", "before", _huge, PLAIN),
    Fault("endless body", "size", "before", _endless, PLAIN),
    Fault("gzip bomb", "size", "before", _bomb, PLAIN),
    Fault("broken gzip", "shape", "before", _body(_HTML, "application/json", ("Content-Encoding", "gzip")), PLAIN),
    Fault("unknown encoding", "shape", "before", _body(_HTML, "application/json", ("Content-Encoding", "x-lz")), PLAIN),
    Fault("no choices", "shape", "before", _field(choices=[]), PLAIN),
    Fault("choices missing", "shape", "before", shaped(lambda reply: reply.pop("choices") and None), PLAIN),
    Fault("choices of a wrong type", "shape", "before", _field(choices="none today"), PLAIN),
    Fault("choices of null", "shape", "before", _field(choices=None), PLAIN),
    Fault("a message of a wrong type", "shape", "before", shaped(lambda r: r["choices"][0].update(message=7)), PLAIN),
    Fault("content of null", "shape", "before", _message(content=None), PLAIN),
    Fault("content of a wrong type", "shape", "before", _message(content=42), PLAIN),
    Fault("JSON array", "shape", "before", shaped(lambda _: [1, 2, 3]), PLAIN),
    Fault("JSON null", "shape", "before", _body(b"null"), PLAIN),
    Fault("error with 200", "shape", "before", shaped(lambda _: failure("The engine is overloaded")), PLAIN),
    Fault("error with 200 for a stream", "shape", "before", _error_for_a_stream, STREAM),
    Fault("JSON for a stream", "shape", "before", _json_for_a_stream, STREAM),
    Fault("a stream for JSON", "shape", "before", _stream_for_json, PLAIN),
    Fault("only [DONE]", "shape", "before", _body(DONE, "text/event-stream"), STREAM),
    Fault("an unasked second answer", "framing", "odd", _poisoned, BOTH),
    Fault("trickled body", "framing", "odd", _trickled_body, PLAIN),
)
