"""One request on its way through the gateway: its body, its reply, its stream."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import lru_cache
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec
from multidict import istr

from ghostd.config.http import HttpConfig
from ghostd.errors import GhostdError
from ghostd.gateway.attachments import MARK, Attachments
from ghostd.gateway.bodies import SMALL_BYTES, Bodies
from ghostd.gateway.body import body_pieces, decode, read_body
from ghostd.gateway.dialect import OPENAI, Dialect
from ghostd.gateway.errors import HttpError, problem
from ghostd.gateway.headers import (
    REQUEST_ID,
    add_limit_headers,
    add_routing_headers,
    choose_request_id,
    reply_headers,
)
from ghostd.gateway.request import Request
from ghostd.gateway.response import Response
from ghostd.gateway.sse import EventStream
from ghostd.routing.call import Call

T = TypeVar("T")

_USER_AGENT = istr("User-Agent")
_EXPECT = istr("Expect")
_CLIENT = istr("x-client")
_CONTENT_LENGTH = istr("Content-Length")
_METADATA = istr("x-ghostd-metadata")
LARGE_BODY_BYTES = 1024 * 1024
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ZIG_CLIENT = re.compile(r"^zig/.*\(std\.http\)")
_AGENT = re.compile(r"^[A-Za-z0-9._-]+")


@lru_cache(maxsize=256)
def _agent(user_agent: str) -> tuple[str, bool]:
    """The program's name without its version, and whether it is Zeke."""
    found = _AGENT.match(user_agent)
    return found[0] if found else "", _ZIG_CLIENT.match(user_agent) is not None


class Exchange:
    """A request and what answers it. Handlers return a response, or finish `open_stream()` and return None."""

    __slots__ = (
        "attachments",
        "bodies",
        "body_bytes",
        "call",
        "config",
        "dialect",
        "interactive",
        "passed",
        "path",
        "request",
        "request_id",
        "started",
        "stream",
    )

    def __init__(
        self,
        request: Request,
        config: HttpConfig,
        attachments: Attachments | None = None,
        bodies: Bodies | None = None,
    ) -> None:
        self.request = request
        self.config = config
        self.attachments = attachments
        self.bodies = bodies
        """The budget of what requests hold in memory; None: what asks is inside."""
        self.body_bytes = 0
        """What has been taken of it."""
        self.path = ""
        self.dialect: Dialect = OPENAI
        """In which errors are told and replies are streamed."""
        self.request_id = choose_request_id(request.headers.get(REQUEST_ID))
        self.started = time.monotonic()
        self.stream: EventStream | None = None
        self.call: Call | None = None
        """What the engine was asked, once that is known."""
        self.passed: Mapping[str, str] = {}
        """Headers of the upstream's reply that go with a stream, where ghostd has none of the name."""
        self.interactive = True
        """Whether somebody waits for the reply."""

    @property
    def user_agent(self) -> str:
        """The client program's name, without its version."""
        return _agent(self.request.headers.get(_USER_AGENT, ""))[0]

    @property
    def closed_schema(self) -> bool:
        """Whether the client fails on any key that it does not know (Zeke)."""
        headers = self.request.headers
        return _agent(headers.get(_USER_AGENT, ""))[1] or headers.get(_CLIENT) == "zeke"

    @property
    def wants_metadata(self) -> bool:
        """Whether the reply should say where it came from: by header, or because Zeke's `tags` were sent."""
        if self.call is not None and "tags" in self.call.fields:
            return True
        asked = self.request.headers.get(_METADATA)
        return asked is not None and asked.lower() in ("1", "true", "yes")

    async def read(self, decoder: msgspec.json.Decoder[T]) -> T:
        """The body as the decoder's type; raises InvalidRequest, BodyTooLarge or HttpError."""
        return (await self._read(decoder))[1]

    async def _read(self, decoder: msgspec.json.Decoder[T]) -> tuple[bytes, T]:
        body = await self.body()
        if len(body) > LARGE_BODY_BYTES:  # would hold up everybody else
            return body, await asyncio.to_thread(decode, decoder, body, self.config.max_json_depth)
        return body, decode(decoder, body, self.config.max_json_depth)

    async def body(self) -> bytes:
        """The body as it came; raises BodyTooLarge or HttpError."""
        request = self.request
        if self.bodies is not None and not (request.complete and request.received_bytes <= SMALL_BYTES):
            await self._take_room(self.bodies)
        self._expect_continue()
        return await read_body(request, self.config.max_body_bytes, self.config.body_timeout_s)

    async def _take_room(self, bodies: Bodies) -> None:
        """Have room for the body, before more of it is read; raises Overloaded."""
        request, most = self.request, self.config.max_body_bytes
        length = request.headers.get(_CONTENT_LENGTH)
        size = request.received_bytes if request.complete else most if length is None else min(int(length[-18:]), most)
        if size <= SMALL_BYTES or self.body_bytes:
            return
        if not bodies.take_now(size):
            request.connection.pause_reading()
            try:
                await bodies.take(size)
            finally:
                request.connection.resume_reading()
        self.body_bytes = size

    def end(self) -> None:
        """The request is over. What refers back to this is let go, so that all of it goes at once, body and reply."""
        self.call = self.stream = None
        if self.bodies is not None and self.body_bytes:
            self.bodies.give_back(self.body_bytes)
            self.body_bytes = 0

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, of any size, with http.body_timeout_s for each piece; raises HttpError."""
        self._expect_continue()
        async with aclosing(body_pieces(self.request, self.config.body_timeout_s)) as pieces:
            async for piece in pieces:
                yield piece

    def parameter(self, name: str) -> str:
        """A parameter of the target's query; "" where it is not there."""
        return next(iter(self.parameters(name)), "")

    def parameters(self, name: str) -> list[str]:
        """All values of a parameter that may be repeated."""
        target = self.request.raw_path
        query = target.partition("?")[2].partition("#")[0] if "?" in target else ""
        return [value for key, value in parse_qsl(query, keep_blank_values=True) if key == name] if query else []

    async def read_fields(self) -> tuple[bytes, dict[str, bytes]]:
        """The body and its top-level members, each value still JSON text; raises like `read`."""
        body, raw = await self._read(_FIELDS)
        fields = {name: bytes(value) for name, value in raw.items()}
        if self.attachments is not None and MARK in body:
            return await self.attachments.put_in(body, fields)
        return body, fields

    def _expect_continue(self) -> None:
        """Answer `Expect: 100-continue`, now that the guard and the route have accepted the head."""
        expected = self.request.headers.get(_EXPECT)
        if expected is None:
            return
        if expected.lower() != "100-continue":
            raise HttpError(417, "expectation_failed", "The only expectation that is met is 100-continue.")
        if not self.request.http_1_0:
            self.request.connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def json(self, body: bytes, status: int = 200) -> Response:
        """A reply with JSON that is encoded already."""
        headers = self.headers()
        headers["Content-Type"] = "application/json"
        return Response(status, headers, body)

    def error(self, error: GhostdError) -> Response:
        """The reply for an error; the connection ends where the rest of the body is not worth reading."""
        found = problem(error)
        response = self.json(self.dialect.error(found, self.request_id), self.dialect.status(found))
        response.headers.update(found.headers)
        if not self.request.complete:
            response.close = True
        return response

    def headers(self) -> dict[str, str]:
        """What every reply carries, and for a call that found a route where it went, or was tried."""
        dialect, call = self.dialect, self.call
        headers = reply_headers(self.request_id, self.age_ms())
        if dialect.request_id_header:
            headers[dialect.request_id_header] = self.request_id
        if call is not None and call.trace.route:
            add_routing_headers(headers, call)
            if call.trace.limits and dialect is OPENAI:
                add_limit_headers(headers, call.trace.limits, time.monotonic())
        if self.passed:
            for name, value in self.passed.items():
                headers.setdefault(name, value)
        return headers

    def age_ms(self) -> int:
        """Milliseconds since the head came."""
        return int((time.monotonic() - self.started) * 1000)

    def open_stream(self) -> EventStream:
        """The reply as a stream of events; nothing is sent before the first one."""
        self.stream = EventStream(self.request, self.headers, self.dialect)
        return self.stream
