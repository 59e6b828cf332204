"""A reply on its way to the client: its head, and its body whole or piece by piece."""

from __future__ import annotations

import time
from collections.abc import Mapping
from email.utils import formatdate
from http import HTTPStatus

from ghostd.gateway.dialect import OPENAI
from ghostd.gateway.errors import HttpError, problem
from ghostd.gateway.headers import choose_request_id, reply_headers
from ghostd.gateway.request import Request

_ONE_WRITE_BYTES = 64 * 1024
"""A body up to this size is joined to its head; a larger one is not copied."""
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}

FIXED = {"Server": "ghostd", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""Headers of every reply, besides Date."""
_FIXED_LINES = "".join(f"{name}: {value}\r\n" for name, value in FIXED.items())


class _Clock:
    """The header lines of every reply; Date changes with the second."""

    def __init__(self) -> None:
        self._second = 0
        self._lines = ""

    def lines(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._lines = f"{_FIXED_LINES}Date: {formatdate(second, usegmt=True)}\r\n"
        return self._lines


_CLOCK = _Clock()


def head_bytes(status: int, headers: Mapping[str, str], framing: str) -> bytes:
    """A reply's head. `framing` are whole header lines; raises ValueError for a line break in a header."""
    lines = "\r\n".join(map(": ".join, headers.items()))
    if lines.count("\n") != len(headers) - 1 or lines.count("\r") != len(headers) - 1:
        raise ValueError("a header of the reply holds a line break")
    return f"{_status_line(status)}{_CLOCK.lines()}{lines}\r\n{framing}\r\n".encode("utf-8", "surrogateescape")


def _status_line(status: int) -> str:
    return _STATUS_LINES.get(status) or f"HTTP/1.1 {status} \r\n"  # an upstream's own


class Response:
    """A whole reply. `close` ends the connection after it."""

    __slots__ = ("body", "close", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.close = False

    async def send(self, request: Request) -> None:
        """Send it; waits while the client reads more slowly than it is sent to. Raises ConnectionError."""
        if self.close:
            request.keep_alive = False
        body = self.body
        framing = f"Content-Length: {len(body)}\r\n{_connection_line(request)}"
        head = head_bytes(self.status, self.headers, framing)
        connection = request.connection
        request.replied = True
        if request.method == "HEAD":
            connection.write(head)
        elif len(body) <= _ONE_WRITE_BYTES:
            connection.write(head + body)
        else:
            connection.write(head, body)
        if connection.writing_paused:
            await connection.drained()


class StreamedResponse:
    """A reply in pieces: chunked, or for HTTP/1.0 up to the end of the connection, or of a `length` that is known.

    Its head goes out together with its first piece.
    """

    __slots__ = ("_chunked", "_head", "_request")

    def __init__(
        self, request: Request, headers: Mapping[str, str], *, length: int | None = None, status: int = 200
    ) -> None:
        self._request = request
        self._chunked = length is None and not request.http_1_0
        if length is None and request.http_1_0:
            request.keep_alive = False
        framing = "Transfer-Encoding: chunked\r\n" if self._chunked else ""
        if length is not None:
            framing = f"Content-Length: {length}\r\n"
        self._head = head_bytes(status, headers, framing + _connection_line(request))

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Send a piece; waits while the client reads more slowly than it is sent to. Raises ConnectionError."""
        if self._chunked:
            if data:
                data = b"%x\r\n%b\r\n" % (len(data), data)
            if last:
                data += b"0\r\n\r\n"
        if self._head:
            data = self._head + data
            self._head = b""
            self._request.replied = True
        connection = self._request.connection
        connection.write(data)
        if connection.writing_paused:
            await connection.drained()


def error_response(error: HttpError) -> Response:
    """The reply for an error outside of any handler's reach."""
    found = problem(error)
    request_id = choose_request_id(None)
    headers = reply_headers(request_id, 0)
    headers["Content-Type"] = "application/json"
    return Response(found.status, {**headers, **found.headers}, OPENAI.error(found, request_id))


def raw_error(error: HttpError) -> bytes:
    """A whole reply for a connection that has no request."""
    response = error_response(error)
    framing = f"Content-Length: {len(response.body)}\r\nConnection: close\r\n"
    return head_bytes(response.status, response.headers, framing) + response.body


def _connection_line(request: Request) -> str:
    if request.keep_alive:
        return "Connection: keep-alive\r\n" if request.http_1_0 else ""
    return "" if request.http_1_0 else "Connection: close\r\n"
