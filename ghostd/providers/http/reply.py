"""Bytes from a server as a reply: its framing, checked strictly (RFC 9112 6.3), and the limits on it."""

from __future__ import annotations

import httptools

from ghostd.config.providers import UpstreamConfig

_MAX_FRAMING = 8
"""Bytes on the wire for each byte that a reply may have: chunks of one byte take six, and no more is ever needed."""

_names: dict[bytes, str] = {}
"""Header names as they come → lower case; bounded, since servers choose them."""
_MAX_NAMES = 1024


class ReplyParser:
    """Reads the replies of one connection, one after the other; `begin` before each.

    After each `feed` the attributes tell how far the reply is. Callbacks never raise: what is wrong is kept in
    `problem`, since an exception would travel through the parser's C code.
    """

    def __init__(self, limits: UpstreamConfig) -> None:
        self._limits = limits
        self._max_header_bytes = limits.max_header_bytes
        self._parts: list[bytes] = []
        """Pieces of the body in one read; llhttp tells of each chunk, so that its callback is the list's own."""
        self._own_parts = 0
        """How many of them belong to the reply, once it is complete."""
        self.on_body = self._parts.append
        self._max_wire_bytes = _MAX_FRAMING * limits.max_reply_bytes + limits.max_header_bytes
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.begin(head_only=False)

    def begin(self, *, head_only: bool) -> None:
        """Expect a reply; with `head_only` (HEAD) no body follows its head."""
        self._head_only = head_only
        self.status = 0
        self.headers: dict[str, str] = {}
        self.head_done = False
        self.done = False
        """The reply is complete."""
        self.until_close = False
        """The body ends where the connection does."""
        self.reusable = False
        """Whether the connection may carry another request, once the reply is complete."""
        self.problem = ""
        """What breaks HTTP or a limit; the reply is void then."""
        self._wire_bytes = 0
        self._head_bytes = 0
        self._body_bytes = 0
        self._interim = False
        self._parts.clear()
        self._own_parts = 0

    @property
    def begun(self) -> bool:
        """Whether any byte has come."""
        return self._wire_bytes > 0

    def feed(self, data: bytes) -> bytes:
        """Take what was read; returns the piece of the body in it."""
        parser = self._parser
        assert parser is not None
        self._wire_bytes += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._object("it switches to another protocol unasked")
        except httptools.HttpParserError as error:
            self._object(f"it does not speak proper HTTP/1.1: {error}")  # the parser's messages quote nothing
        parts = self._parts
        if self.done:
            del parts[self._own_parts :]
            self._own_parts = 0
        block = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._body_bytes += len(block)
        self._check_limits()
        return block

    def release(self) -> None:
        """Let the parser go, which refers back to this object."""
        self._parser = None

    def _object(self, problem: str) -> None:
        if self.done:
            self.reusable = False  # what follows a complete reply is nobody's
        elif not self.problem:
            self.problem = problem

    def _check_limits(self) -> None:
        limits, most = self._limits, self._max_header_bytes
        if self._head_bytes > most or (not self.head_done and self._wire_bytes > most):
            problem = f"the reply's head exceeds upstream.max_header_bytes ({most})"
        elif self._body_bytes > limits.max_reply_bytes or self._wire_bytes > self._max_wire_bytes:
            problem = f"the reply exceeds upstream.max_reply_bytes ({limits.max_reply_bytes})"
        else:
            return
        self.done = False
        self._object(problem)

    # --- the parser's callbacks ---------------------------------------------------

    def on_message_begin(self) -> None:
        """A status line begins."""
        if self.done:
            self.reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: those count against the limit and are dropped."""
        if self.done:
            return
        self._head_bytes += len(name) + len(value) + 4
        if self.head_done or self._head_bytes > self._max_header_bytes:
            return
        key = _names.get(name)
        if key is None:
            key = name.decode("latin-1").lower()
            if len(_names) < _MAX_NAMES:
                _names[name] = key
        text = value.decode("latin-1")
        headers = self.headers
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        """The head is complete, of this reply or of an interim one (RFC 9110 15.2)."""
        parser = self._parser
        if parser is None or self.done or self.problem:
            return
        status = parser.get_status_code()
        if 100 <= status < 200:
            self._interim = True
            if status == 101:
                self._object("it switches to another protocol unasked")
            return
        self.status, self.head_done = status, True
        self.reusable = parser.should_keep_alive()
        self._check_framing(parser.get_http_version())
        if self._head_only:
            self.done, self.reusable = True, False  # the parser would wait for the body that the head announces

    def on_message_complete(self) -> None:
        """The end, by the framing."""
        if self._interim:
            self._interim = False
            self.headers = {}
        elif not (self.done or self.problem):
            self.done, self._own_parts = True, len(self._parts)

    def _check_framing(self, version: str) -> None:
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if not 200 <= self.status < 600:
            self._object(f"{self.status} is no HTTP status")
        elif version not in {"1.1", "1.0"}:
            self._object(f"it answers with HTTP/{version}")
        elif coding is not None and (coding.lower() != "chunked" or version == "1.0"):
            self._object("its Transfer-Encoding is not chunked")
        elif self._head_only or self.status in {204, 304}:
            return
        elif coding is None and length is None:
            self.until_close, self.reusable = True, False
        elif length is not None and int(length) > self._limits.max_reply_bytes:
            self._object(
                f"the reply has {int(length)} bytes, more than upstream.max_reply_bytes "
                f"({self._limits.max_reply_bytes})"
            )
