"""Faults of event streams, and oddities that are none."""

from __future__ import annotations

import asyncio
import gzip
import itertools
from collections.abc import Callable, Iterable

import msgspec
from faults.fault import BOTH, STREAM, Fault, Phase
from faults.replies import DONE, Asked, chunk, completion, contents, ending, event, events, failure, finish, role
from faults.upstreams import PAUSE, Behaviour, Exchange

_BLOCK = b"x" * 65536


def sends(script: Callable[[Asked], Iterable[bytes]], *, last: bool = True) -> Behaviour:
    """A stream of these events, each a chunk of its own; without `last` the connection ends before the last chunk."""

    async def behave(exchange: Exchange) -> bool:
        await exchange.stream_head()
        await exchange.chunks(script(exchange.asked), last=last)
        return last

    return behave


def _then_reset(script: Callable[[Asked], Iterable[bytes]]) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunks(script(exchange.asked), last=False)
        await asyncio.sleep(0.01)  # else the RST overtakes the events
        exchange.reset()

    return behave


def _then_silence(script: Callable[[Asked], Iterable[bytes]]) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        await exchange.stream_head()
        await exchange.chunks(script(exchange.asked), last=False)
        await exchange.until_gone()

    return behave


def _half(asked: Asked) -> list[bytes]:
    return [role(asked), *contents(asked)[:6], PAUSE]


def _half_event(asked: Asked) -> list[bytes]:
    return [*_half(asked), contents(asked)[6][:40]]


def _without_done(asked: Asked) -> list[bytes]:
    return [*events(asked)[:-1], PAUSE]


def _twice(asked: Asked) -> list[bytes]:
    twice = [block for block in events(asked) for _ in range(2)]
    return [twice[0], PAUSE, *twice[1:]]


def _again(asked: Asked) -> list[bytes]:
    return [*events(asked)[:-1], PAUSE, *events(asked)]


def _two_finishes(asked: Asked) -> list[bytes]:
    return [role(asked), *contents(asked), finish(asked), PAUSE, *ending(asked)]


def _with(middle: Callable[[Asked], list[bytes]]) -> Callable[[Asked], list[bytes]]:
    return lambda asked: [*_half(asked), *middle(asked), *contents(asked)[6:], *ending(asked)]


def _bad_utf8(asked: Asked) -> list[bytes]:
    whole = [block.replace("ö".encode(), b"\xf6") for block in events(asked)]
    return [*whole[:4], PAUSE, *whole[4:]]


def _endless(asked: Asked) -> Iterable[bytes]:
    return itertools.chain(_half(asked), itertools.repeat(chunk(asked, {"content": ""}) * 100))


async def _endless_comments(exchange: Exchange) -> None:
    await exchange.stream_head()
    while True:
        await exchange.chunks([b": still thinking\n\n"], last=False)
        await asyncio.sleep(0.05)


def _endless_line(start: Callable[[Asked], list[bytes]]) -> Callable[[Asked], Iterable[bytes]]:
    return lambda asked: itertools.chain(start(asked), [b"data: "], itertools.repeat(_BLOCK))


def _later_shape(asked: Asked) -> list[bytes]:
    return [event({"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": {"delta": "none"}})]


FAULTS = (
    Fault("cut before the first event", "cut", "before", sends(lambda _: [], last=False), STREAM),
    Fault("ended before the first event", "cut", "before", sends(lambda _: []), STREAM),
    Fault("reset before the first event", "cut", "before", _then_reset(lambda _: []), STREAM, statuses=(502, 503)),
    Fault(
        "silence before the first event", "silence", "before", _then_silence(lambda _: []), STREAM, (504,), slow=True
    ),
    Fault("endless comments", "silence", "before", _endless_comments, STREAM, (504, 502), slow=True),
    Fault("garbage first", "shape", "before", sends(lambda _: [b"data: {not json\n\n"]), STREAM),
    Fault("error first", "error", "before", sends(lambda _: [event(failure("overloaded"))]), STREAM, (500, 502, 503)),
    Fault(
        "error event first",
        "error",
        "before",
        sends(lambda _: [b"event: error\n" + event(failure("overloaded"))]),
        STREAM,
        (500, 502, 503),
    ),
    Fault("choices of a wrong type first", "shape", "before", sends(_later_shape), STREAM),
    Fault("an endless first line", "size", "before", sends(_endless_line(lambda _: []), last=False), STREAM),
    Fault("HTML as events", "shape", "before", sends(lambda _: [b"<html>\n<body>Log in</body>\n</html>\n\n"]), STREAM),
    Fault("cut after the role", "cut", "during", sends(lambda a: [role(a), PAUSE], last=False), STREAM),
    Fault("cut in the middle", "cut", "during", sends(_half, last=False), STREAM),
    Fault("reset in the middle", "cut", "during", _then_reset(_half), STREAM),
    Fault("cut inside an event", "cut", "during", sends(_half_event, last=False), STREAM),
    Fault("ended in the middle", "end", "during", sends(_half), STREAM),
    Fault("ended inside an event", "end", "during", sends(_half_event), STREAM),
    Fault("[DONE] in the middle", "end", "during", sends(lambda a: [*_half(a), DONE]), STREAM),
    Fault("no [DONE]", "end", "during", sends(_without_done), STREAM),
    Fault("no [DONE], cut", "end", "during", sends(_without_done, last=False), STREAM),
    Fault("no [DONE], silent", "end", "during", _then_silence(_without_done), STREAM, slow=True),
    Fault("silence in the middle", "silence", "during", _then_silence(_half), STREAM, slow=True),
    Fault("garbage in the middle", "shape", "during", sends(_with(lambda _: [b"data: {not json\n\n"])), STREAM),
    Fault("a wrong shape in the middle", "shape", "during", sends(_with(_later_shape)), STREAM),
    Fault("error in the middle", "error", "during", sends(lambda a: [*_half(a), event(failure("boom"))]), STREAM),
    Fault("error, then [DONE]", "error", "during", sends(lambda a: [*_half(a), event(failure("b")), DONE]), STREAM),
    Fault("invalid UTF-8 in a stream", "shape", "during", sends(_bad_utf8), STREAM),
    Fault("endless stream", "size", "during", sends(_endless), STREAM),
    Fault("an endless line", "size", "during", sends(_endless_line(_half), last=False), STREAM),
    Fault("only empty choices", "shape", "during", sends(lambda a: [event(_hollow(a))] * 3 + [DONE]), STREAM),
    Fault("duplicated events", "double", "during", sends(_twice), STREAM, own_text=False),
    Fault("the whole stream twice", "double", "during", sends(_again), STREAM, own_text=False),
    Fault("a finish twice", "double", "during", sends(_two_finishes), STREAM),
)


def _hollow(asked: Asked) -> dict[str, object]:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": asked.nonce, "choices": []}


async def _by_bytes(exchange: Exchange) -> bool:
    """Every byte a chunk of its own."""
    await exchange.stream_head()
    await exchange.chunks([bytes([byte]) for byte in b"".join(events(exchange.asked))])
    return True


async def _in_one_block(exchange: Exchange) -> bool:
    await exchange.stream_head()
    await exchange.chunks([b"".join(events(exchange.asked))])
    return True


def _written(change: Callable[[list[bytes]], Iterable[bytes]]) -> Behaviour:
    return sends(lambda asked: change(events(asked)))


async def _until_closed(exchange: Exchange) -> None:
    """No framing: the end of the connection ends the reply, as HTTP/1.0 has it."""
    kind = "text/event-stream" if exchange.asked.stream else "application/json"
    await exchange.send(b"HTTP/1.0 200 OK\r\nContent-Type: %b\r\n\r\n" % kind.encode())
    whole = events(exchange.asked) if exchange.asked.stream else [msgspec.json.encode(completion(exchange.asked))]
    await exchange.send(b"".join(whole))


async def _early_hints(exchange: Exchange) -> bool:
    await exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    return await exchange.right()


async def _closes_after_each(exchange: Exchange) -> None:
    """Promises to keep the connection and closes it, as servers with a short keep-alive do."""
    await exchange.right()


async def _packed(exchange: Exchange) -> bool:
    if not exchange.asked.stream:
        body = gzip.compress(msgspec.json.encode(completion(exchange.asked)))
        await exchange.whole(body, headers=(("Content-Encoding", "gzip"),))
        return True
    await exchange.stream_head(("Content-Encoding", "gzip"))
    await exchange.chunks([gzip.compress(b"".join(events(exchange.asked)))])
    return True


async def _extended_chunks(exchange: Exchange) -> bool:
    """Chunk extensions and trailers, which RFC 9112 allows (7.1.1, 7.1.2)."""
    await exchange.stream_head()
    body = b"".join(events(exchange.asked))
    await exchange.send(b"%X;note=fine\r\n%b\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(body), body))
    return True


def _odd(name: str, behave: Behaviour, phase: Phase = "odd") -> Fault:
    return Fault(name, "odd", phase, behave, STREAM)


ODDITIES = (
    _odd("a byte at a time", _by_bytes),
    _odd("all in one block", _in_one_block),
    _odd("lines that end in CRLF", _written(lambda e: [block.replace(b"\n", b"\r\n") for block in e])),
    _odd("no blank behind data:", _written(lambda e: [block.replace(b"data: ", b"data:", 1) for block in e])),
    _odd("comments between events", _written(lambda e: itertools.chain(*([b": ping\n\n", block] for block in e)))),
    _odd("event ids and retry", _written(lambda e: [b"retry: 10\n\n", *(b"id: 1\n" + block for block in e)])),
    _odd("a byte order mark", _written(lambda e: [b"\xef\xbb\xbf" + e[0], *e[1:]])),
    _odd("empty choices first", sends(lambda a: [event(_hollow_first(a)), *events(a)])),
    _odd("chunk extensions and a trailer", _extended_chunks),
    Fault("no framing but the end", "odd", "odd", _until_closed, BOTH),
    Fault("103 first", "odd", "odd", _early_hints, BOTH),
    Fault("closes after each reply", "odd", "odd", _closes_after_each, BOTH),
    Fault("packed by gzip", "odd", "odd", _packed, BOTH),
)


def _hollow_first(asked: Asked) -> dict[str, object]:
    """Azure's first event: what its filter thinks of the prompt."""
    return {
        "id": f"chatcmpl-{asked.nonce}",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "scripted",
        "choices": [],
        "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}],
    }
