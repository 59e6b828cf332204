"""From bytes to requests: llhttp in its strict mode, and the limits and rules that it leaves to its user."""

from __future__ import annotations

from collections.abc import Callable

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from multidict import CIMultiDict, istr

from ghostd.gateway.errors import HttpError
from ghostd.gateway.request import Request

MAX_LINE_BYTES = 16 * 1024
"""Of the request line, and of each header."""
MAX_HEADERS = 128

MALFORMED = HttpError(400, "malformed_http", "The request is not valid HTTP/1.1.")
TOO_LARGE = HttpError(
    431,
    "headers_too_large",
    f"The request line or a header is larger than {MAX_LINE_BYTES} bytes, or there are over {MAX_HEADERS} headers.",
)

_HOST = istr("Host")
_CONTENT_LENGTH = istr("Content-Length")
_TRANSFER_ENCODING = istr("Transfer-Encoding")
_SINGLE = frozenset(
    ("host", "content-length", "content-type", "content-range", "max-forwards", "transfer-encoding", "user-agent")
)
"""Headers that may come once only: of two values, different readers would believe different ones."""
_METHODS = {method.encode(): method for method in ("GET", "POST", "HEAD", "DELETE", "PUT", "OPTIONS", "PATCH")}
_NAMES: dict[bytes, tuple[istr, bool]] = {}
"""Header names as sent → name, and whether it may come once only. Filled as they come, up to a limit."""
_MAX_NAMES = 512

MakeRequest = Callable[[str, str, CIMultiDict[str], bool, bool], Request]
"""Called when a head is complete, with method, target, headers, whether it is HTTP/1.0, whether another may follow."""


class Malformed(Exception):
    """What came is not an acceptable request; `refusal` is what to say to the client, `reason` to the log."""

    def __init__(self, refusal: HttpError, reason: str) -> None:
        super().__init__(reason)
        self.refusal = refusal


class Parser:
    """The requests of one connection."""

    __slots__ = (
        "_begin",
        "_headers",
        "_llhttp",
        "_pending_bytes",
        "_refusal",
        "_upgrade",
        "_url",
        "ended",
        "in_head",
        "reading",
    )

    def __init__(self, begin: MakeRequest) -> None:
        self._begin = begin
        self._llhttp = HttpRequestParser(self)
        self._url = b""
        self._headers: CIMultiDict[str] = CIMultiDict()
        self._pending_bytes = 0  # fed since the last complete header or piece of a body
        self._refusal: HttpError | None = None
        self._upgrade = False
        self.in_head = False
        """Whether a head has begun and is not complete."""
        self.reading: Request | None = None
        """The request whose body has not come whole."""
        self.ended = False
        """Whether the last request of the connection has come whole: what follows is nobody's."""

    def feed(self, data: bytes) -> None:
        """Take in what has come; raises Malformed."""
        self._pending_bytes += len(data)
        try:
            self._llhttp.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if not self.ended:
                self._stay_with_http(data[upgrade.args[0] :])
        except HttpParserError as error:
            if not self.ended:
                raise Malformed(self._refusal or MALFORMED, str(error) or type(error).__name__) from error
        if (self.in_head or self.reading is not None) and self._pending_bytes > MAX_LINE_BYTES:
            raise Malformed(TOO_LARGE, "an endless line")

    def on_message_begin(self) -> None:
        """llhttp: the first byte of a request."""
        if self.ended:
            raise ValueError("data after the last request")
        self.in_head = True
        self._url = b""
        self._headers = CIMultiDict()

    def on_url(self, piece: bytes) -> None:
        """llhttp: a piece of the request target."""
        self._url += piece
        if len(self._url) > MAX_LINE_BYTES:
            self._refuse(TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        """llhttp: a header, or a trailer behind a chunked body."""
        if len(name) + len(value) > MAX_LINE_BYTES:
            self._refuse(TOO_LARGE)
        if self.reading is not None:  # trailers are dropped, their bytes counted
            return
        self._pending_bytes = 0
        known, single = _NAMES.get(name) or _learn(name)
        headers = self._headers
        if single and known in headers:
            self._refuse(MALFORMED)
        headers.add(known, value.rstrip(b" \t").decode("utf-8", "surrogateescape"))
        if len(headers) > MAX_HEADERS:
            self._refuse(TOO_LARGE)

    def on_headers_complete(self) -> None:
        """llhttp: the head is complete."""
        llhttp = self._llhttp
        headers = self._headers
        version = llhttp.get_http_version()
        if version == "1.1":
            if _HOST not in headers:
                self._refuse(MALFORMED)
        elif version != "1.0":
            self._refuse(MALFORMED)
        old = version != "1.1"
        if _TRANSFER_ENCODING in headers and (
            old or headers[_TRANSFER_ENCODING].lower() != "chunked" or _CONTENT_LENGTH in headers
        ):
            self._refuse(MALFORMED)  # readers of such a request disagree on where it ends
        raw_method = llhttp.get_method()
        method = _METHODS.get(raw_method) or raw_method.decode("ascii")
        self._upgrade = llhttp.should_upgrade()
        keep_alive = llhttp.should_keep_alive() and not self._upgrade
        url = self._url.decode("utf-8", "surrogateescape")
        self.in_head = False
        self.reading = self._begin(method, url, headers, old, keep_alive)
        self._pending_bytes = 0

    def on_body(self, piece: bytes) -> None:
        """llhttp: a piece of the body."""
        assert self.reading is not None
        self._pending_bytes = 0
        self.reading.feed(piece)

    def on_message_complete(self) -> None:
        """llhttp: the request is complete."""
        request = self.reading
        if request is None or self._upgrade:
            return  # llhttp expects another protocol now, and no body
        self.reading = None
        self._pending_bytes = 0
        self.ended = not request.keep_alive
        request.end()

    def _stay_with_http(self, rest: bytes) -> None:
        """No other protocol is spoken here, so the request's body comes as if it had not asked for one."""
        request = self.reading
        assert request is not None
        self._upgrade = False
        self._llhttp = HttpRequestParser(_Body(self))
        head = "POST / HTTP/1.1\r\n"
        if request.method != "CONNECT":
            for name in (_CONTENT_LENGTH, _TRANSFER_ENCODING):
                if name in request.headers:
                    head += f"{name}: {request.headers[name]}\r\n"
        self.feed(f"{head}\r\n".encode() + rest)

    def _refuse(self, error: HttpError) -> None:
        self._refusal = error
        raise ValueError(error.code)


class _Body:
    """What is left to parse of a request whose head has been parsed by another parser."""

    def __init__(self, parser: Parser) -> None:
        self.on_body = parser.on_body
        self.on_message_complete = parser.on_message_complete


def _learn(raw: bytes) -> tuple[istr, bool]:
    name = raw.decode("ascii")
    known = istr(name), name.lower() in _SINGLE
    if len(_NAMES) < _MAX_NAMES and len(raw) <= 64:
        _NAMES[raw] = known
    return known
