"""Faults of the connection, the head and the status."""

from __future__ import annotations

import asyncio
import email.utils
import time

import msgspec
from faults.fault import PLAIN, Fault
from faults.replies import completion, failure
from faults.upstreams import Behaviour, Exchange, bomb, refusing, right, unanswered

CONNECTION = (502, 503)
TIME_OUT = (504,)


async def _reset(exchange: Exchange) -> None:
    exchange.reset()


async def _hang_up(exchange: Exchange) -> None:
    """FIN without a byte."""


async def _reset_after_head(exchange: Exchange) -> None:
    await exchange.stream_head() if exchange.asked.stream else await exchange.head("200 OK", ("Content-Length", "500"))
    await asyncio.sleep(0.01)  # else the RST overtakes the head
    exchange.reset()


async def _blackhole(exchange: Exchange) -> None:
    await exchange.until_gone()


async def _slow_headers(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    for number in range(10_000):
        await exchange.send(b"X-Slow-%d: 1\r\n" % number)
        await asyncio.sleep(0.1)


async def _banner(exchange: Exchange) -> None:
    await exchange.send(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n")


async def _bad_status_line(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 OK 200\r\nContent-Length: 2\r\n\r\n{}")


async def _header_bomb(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-Bomb-%d: %b\r\n" % (n, b"x" * 1000) for n in range(3000)))
    await exchange.send(b"Content-Length: 2\r\n\r\n{}")


async def _endless_header(exchange: Exchange) -> None:
    await exchange.send(b"HTTP/1.1 200 OK\r\nX-Endless: ")
    while True:
        await exchange.send(b"x" * 65536)


async def _informational_flood(exchange: Exchange) -> None:
    while True:
        await exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" * 100)
        await asyncio.sleep(0.01)


async def _two_lengths(exchange: Exchange) -> None:
    body = msgspec.json.encode(completion(exchange.asked))
    await exchange.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nContent-Length: 7\r\n\r\n"
        % len(body)
    )
    await exchange.send(body)


def _redirect(status: str) -> Behaviour:
    async def behave(exchange: Exchange) -> None:
        # Back to this very server: following it would show as further requests.
        await exchange.whole(b"", status, (("Location", f"{exchange.upstream.url}/chat/completions"),))

    return behave


def status(
    line: str, error: bytes | None = None, *headers: tuple[str, str], kind: str = "application/json"
) -> Behaviour:
    """Answers every request with this status."""

    async def behave(exchange: Exchange) -> bool:
        body = msgspec.json.encode(failure(f"scripted {line}")) if error is None else error
        await exchange.whole(body, line, headers, kind)
        return True

    return behave


def _limited(retry_after: str | None) -> Behaviour:
    told = (("Retry-After", retry_after),) if retry_after is not None else ()
    return status("429 Too Many Requests", None, *told)


async def _limited_until_a_date(exchange: Exchange) -> bool:
    date = email.utils.formatdate(time.time() + 7, usegmt=True)
    await exchange.whole(
        msgspec.json.encode(failure("slow down", "requests", "rate_limit_exceeded")),
        "429 Too Many Requests",
        (("Retry-After", date),),
    )
    return True


async def _failing_bomb(exchange: Exchange) -> bool:
    await exchange.whole(bomb(), "500 Oops", (("Content-Encoding", "gzip"),))
    return True


_QUOTA = msgspec.json.encode(failure("You exceeded your current quota", "insufficient_quota", "insufficient_quota"))
_CONTEXT = msgspec.json.encode(
    failure("This model's maximum context length is 10 tokens.", "invalid_request_error", "context_length_exceeded")
)
_BAD = msgspec.json.encode(failure("'frobnicate' is not a parameter", "invalid_request_error", "unknown_parameter"))
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
_KEY = (401, 403, 502, 503)
"""What a refused key may look like to the caller when there is nobody else to ask."""

FAULTS = (
    Fault("refused", "connection", "before", right, statuses=CONNECTION, serve=refusing),
    Fault("reset at accept", "connection", "before", right, statuses=CONNECTION, reset_at_accept=True),
    Fault("reset after the request", "connection", "before", _reset, statuses=CONNECTION),
    Fault("hang-up without a byte", "connection", "before", _hang_up, statuses=CONNECTION),
    Fault("reset after the head", "connection", "before", _reset_after_head, statuses=CONNECTION),
    Fault("blackhole", "connection", "before", _blackhole, statuses=TIME_OUT, slow=True),
    Fault("unanswered SYN", "connection", "before", right, statuses=TIME_OUT, serve=unanswered, slow=True),
    Fault("slow headers", "head", "before", _slow_headers, statuses=TIME_OUT, slow=True),
    Fault("SSH banner", "head", "before", _banner),
    Fault("bad status line", "head", "before", _bad_status_line),
    Fault("header bomb", "head", "before", _header_bomb),
    Fault("endless header", "head", "before", _endless_header),
    Fault("flood of 103", "head", "before", _informational_flood, statuses=(502, 504)),
    Fault("two content lengths", "head", "before", _two_lengths),
    Fault("redirect 301", "redirect", "before", _redirect("301 Moved Permanently")),
    Fault("redirect 307", "redirect", "before", _redirect("307 Temporary Redirect")),
    Fault("400", "refusal", "refusal", status("400 Bad Request", _BAD), statuses=(400,)),
    Fault("400 context", "refusal", "refusal", status("400 Bad Request", _CONTEXT), statuses=(400,)),
    Fault("413", "refusal", "refusal", status("413 Content Too Large"), statuses=(413,)),
    Fault("422", "refusal", "refusal", status("422 Unprocessable Content"), statuses=(422,)),
    Fault("401", "status", "before", status("401 Unauthorized"), statuses=_KEY),
    Fault("403", "status", "before", status("403 Forbidden"), statuses=_KEY),
    Fault("404", "status", "before", status("404 Not Found"), statuses=(404, 502)),
    Fault("404 in HTML", "status", "before", status("404 Not Found", _HTML, kind="text/html"), statuses=(404, 502)),
    Fault("408", "status", "before", status("408 Request Timeout"), statuses=(502, 503, 504)),
    Fault("409", "refusal", "refusal", status("409 Conflict"), statuses=(409,)),
    Fault("429", "limit", "before", _limited(None), statuses=(429,)),
    Fault("429 for seconds", "limit", "before", _limited("7"), statuses=(429,)),
    Fault("429 until a date", "limit", "before", _limited_until_a_date, statuses=(429,)),
    Fault("429 for 31 years", "limit", "before", _limited("999999999"), statuses=(429,)),
    Fault("429 for -5 seconds", "limit", "before", _limited("-5"), statuses=(429,)),
    Fault("429 for nonsense", "limit", "before", _limited("soon"), statuses=(429,)),
    Fault("429 quota", "limit", "before", status("429 Too Many Requests", _QUOTA), statuses=(429, 402, 502, 503)),
    Fault("500", "status", "before", status("500 Internal Server Error"), statuses=(500, 502, 503)),
    Fault("500 in HTML", "status", "before", status("500 Oops", _HTML, kind="text/html"), statuses=(500, 502, 503)),
    Fault("502", "status", "before", status("502 Bad Gateway", _HTML, kind="text/html"), statuses=(502, 503)),
    Fault("503 empty", "status", "before", status("503 Service Unavailable", b""), statuses=(502, 503)),
    Fault("504", "status", "before", status("504 Gateway Timeout"), statuses=(502, 503, 504)),
    Fault("529", "status", "before", status("529 Overloaded"), statuses=(502, 503, 529)),
    Fault(
        "gzip bomb in a 500",
        "size",
        "before",
        _failing_bomb,
        PLAIN,
        statuses=(500, 502, 503),
    ),
)
