"""Reading a request's body: bounded in size, time and nesting, then decoded into a struct, or refused with a path."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

import msgspec

from ghostd.errors import InvalidRequest
from ghostd.gateway.errors import HttpError, printable
from ghostd.gateway.guard import too_large
from ghostd.gateway.request import MalformedBody, Request

T = TypeVar("T")

_WHERE = re.compile(r"^(?P<reason>.*?)(?: - at (?:`key[^`]*` in )?`\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(\w+)`")
_UNKNOWN = re.compile(r"contains unknown field `(.*)`$", re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_SQUARE = bytes.maketrans(b"{}", b"[]")
_RUN = re.compile(rb"\[+|\]+")
_BLOCK_BYTES = 1024 * 1024
_PEELED = 8
"""Levels that `replace` takes away: faster than to look at each run of brackets while there are many short ones."""
_SHOWN_CHARS = 200
"""Of the name of a field that nobody knows."""
_SURROGATE = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])")


async def read_body(request: Request, max_bytes: int, timeout_s: float) -> bytes:
    """The whole body; raises BodyTooLarge, or HttpError when it does not come in time or is malformed."""
    if request.complete and request.received_bytes <= max_bytes:
        return request.taken()  # the usual case: it came in one packet with the head
    try:
        async with asyncio.timeout(timeout_s):
            while not request.complete and request.received_bytes <= max_bytes:
                await request.more()
    except TimeoutError:
        raise HttpError(
            408, "body_timeout", f"The request body did not arrive within {timeout_s:g} s (http.body_timeout_s)."
        ) from None
    except MalformedBody:
        raise _malformed() from None
    if request.received_bytes > max_bytes:
        raise too_large(f"at least {request.received_bytes}", max_bytes)
    return request.taken()


async def body_pieces(request: Request, patience_s: float) -> AsyncGenerator[bytes, None]:
    """The body as it comes; raises HttpError when nothing comes for so long, or when it is malformed."""
    try:
        async with aclosing(request.pieces(patience_s)) as pieces:
            async for piece in pieces:
                yield piece
    except TimeoutError:
        raise HttpError(
            408, "body_timeout", f"Nothing of the request body came for {patience_s:g} s (http.body_timeout_s)."
        ) from None
    except MalformedBody:
        raise _malformed() from None


def _malformed() -> HttpError:
    return HttpError(400, "malformed_http", "The request body is not valid HTTP.")


def decode(decoder: msgspec.json.Decoder[T], body: bytes, max_depth: int | None) -> T:
    """The body as the decoder's type; raises InvalidRequest with the path of the wrong field.

    `max_depth` None: the body has been decoded once before, so that its nesting and encoding are known to be good.
    """
    if not body:
        raise InvalidRequest("The request body is empty; a JSON object is needed.")
    try:
        if max_depth is not None:
            check_depth(body, max_depth)
            if not body.isascii():
                body.decode("utf-8")  # msgspec does not look into fields that it skips
        return decoder.decode(body)
    except RecursionError:  # only with a high http.max_json_depth
        raise InvalidRequest("The request body is nested too deeply.") from None
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"The request body is not UTF-8 text (byte {error.start}).") from None
    except msgspec.ValidationError as error:
        raise _invalid_field(str(error)) from None
    except msgspec.DecodeError as error:
        if _SURROGATE.search(body):
            raise InvalidRequest("The request body is not valid JSON: it has a lone surrogate (\\ud800…).") from None
        raise InvalidRequest(f"The request body is not valid JSON: {error}.") from None


def check_depth(body: bytes, limit: int) -> None:
    """Raise InvalidRequest for JSON nested deeper than `limit`, without recursion and in time linear in its size.

    Of a text that is not JSON it may say so, too.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return
    brackets = _brackets(body)
    depth = 0
    while b"[]" in brackets and depth < min(limit, _PEELED):
        brackets = brackets.replace(b"[]", b"")  # takes away the innermost level
        depth += 1
    for run in _RUN.finditer(brackets):
        size = run.end() - run.start()
        depth += size if run[0].startswith(b"[") else -size
        if depth > limit:
            raise InvalidRequest(
                f"The request body is nested deeper than {limit} levels (http.max_json_depth), or its brackets do "
                "not match."
            )


def _brackets(body: bytes) -> bytes:
    """The body's brackets outside of strings, all as square ones; by blocks, so that many strings take no memory."""
    text = body.replace(b"\\\\", b"").replace(b'\\"', b"").replace(b'""', b"")
    kept = []
    inside = 0
    for start in range(0, len(text), _BLOCK_BYTES):
        parts = text[start : start + _BLOCK_BYTES].split(b'"')
        kept.append(b"".join(parts[inside::2]).translate(_SQUARE, _NOT_BRACKETS))
        inside ^= (len(parts) - 1) & 1
    return b"".join(kept)


def _invalid_field(text: str) -> InvalidRequest:
    """msgspec's message with its path taken out: `reason - at `$.messages[0].content``."""
    match = _WHERE.match(text)
    reason, path = (match["reason"], match["path"] or "") if match else (text, "")
    if missing := _MISSING.search(reason):
        path = f"{path}.{missing[1]}" if path else missing[1]
        return InvalidRequest(f"Missing required parameter: '{path}'.", path)
    if unknown := _UNKNOWN.search(reason):
        name = printable(unknown[1], _SHOWN_CHARS)
        path = f"{path}.{name}" if path else name
        return InvalidRequest(f"Unknown parameter: '{path}'.", path)
    if not path:
        return InvalidRequest(f"{reason}.")
    return InvalidRequest(f"Invalid value for '{path}': {reason}.", path)
