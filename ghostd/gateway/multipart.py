"""Multipart bodies (RFC 7578): read part by part within limits, and written anew in their plainest form.

What is passed on is written anew, so that whoever reads it next sees the parts that have been checked here, whatever
the two make of odd boundaries, headers and quotes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    ParserLimitReached,
    PushMultipartParser,
    parse_options_header,
)

from ghostd.errors import BodyTooLarge, InvalidRequest
from ghostd.gateway.guard import MAX_FIELD_BYTES

MAX_PARTS = 128
_MAX_HEADER_BYTES = 4096
_MAX_HEADERS = 8
_MAX_BOUNDARY = 70
"""RFC 2046, 5.1.1."""
_BLOCK_BYTES = 256 * 1024
_UNFIT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
"""Control characters, which some readers take for the end of a header."""


@dataclass(frozen=True, slots=True)
class PartHead:
    """What a part says of itself."""

    name: str
    filename: str | None
    """As sent: never a path to trust. None for a field."""
    disposition: str
    """The whole Content-Disposition."""
    content_type: str | None

    @property
    def is_file(self) -> bool:
        """Whether it may be large."""
        return self.filename is not None or "filename" in self.disposition.lower()


@dataclass(frozen=True, slots=True)
class Part:
    """A part, whole."""

    head: PartHead
    data: bytes

    def text(self) -> str:
        """A field's value; raises InvalidRequest."""
        try:
            return self.data.decode()
        except UnicodeDecodeError:
            raise InvalidRequest(
                f"Invalid value for '{self.head.name}': it is not UTF-8 text.", self.head.name
            ) from None


class FormParser:
    """Takes a body in pieces and gives heads of parts, blocks of their content, and None at the end of each part.

    Every method raises InvalidRequest, or BodyTooLarge where a limit is exceeded.
    """

    def __init__(self, content_type: str) -> None:
        """`content_type` is the request's."""
        self._field_bytes: int | None = None
        self._name = ""
        try:
            self._parser = PushMultipartParser(
                _boundary(content_type),
                max_header_size=_MAX_HEADER_BYTES,
                max_header_count=_MAX_HEADERS,
                max_segment_count=MAX_PARTS,
            )
        except MultipartError as error:
            raise _refused(error) from None

    def feed(self, data: bytes) -> Iterator[PartHead | bytes | None]:
        """What a piece of the body says; exhaust it before the next one."""
        if not data:
            return
        try:
            for event in self._parser.parse(data):
                if isinstance(event, MultipartSegment):
                    head = _head(event)
                    self._field_bytes = None if head.is_file else 0
                    self._name = head.name
                    yield head
                elif event is None:
                    yield None
                else:
                    self._count(len(event))
                    yield bytes(event)
        except MultipartError as error:
            raise _refused(error) from None

    def end(self) -> None:
        """The body is complete."""
        try:
            self._parser.close()
        except MultipartError as error:
            raise _refused(error) from None

    def _count(self, size: int) -> None:
        if self._field_bytes is None:
            return
        self._field_bytes += size
        if self._field_bytes > MAX_FIELD_BYTES:
            raise InvalidRequest(
                f"Invalid value for '{self._name}': a field has at most {MAX_FIELD_BYTES} bytes.", self._name
            )


def read_form(body: bytes, content_type: str) -> list[Part]:
    """All parts of a body; raises InvalidRequest or BodyTooLarge. Takes time in proportion to its size."""
    parser = FormParser(content_type)
    parts: list[Part] = []
    head: PartHead | None = None
    blocks: list[bytes] = []
    view = memoryview(body)
    for start in range(0, len(body), _BLOCK_BYTES):
        for event in parser.feed(bytes(view[start : start + _BLOCK_BYTES])):
            if isinstance(event, PartHead):
                head = event
            elif event is None:
                assert head is not None
                parts.append(Part(head, b"".join(blocks)))
                blocks = []
            else:
                blocks.append(event)
    parser.end()
    return parts


def write_form(fields: Sequence[tuple[str, str]], parts: Sequence[Part]) -> tuple[bytes, str]:
    """A body of these fields (names and values that ghostd knows) and parts, and its Content-Type."""
    boundary = f"ghostd-{os.urandom(16).hex()}"  # nobody can have put it into a part
    pieces: list[bytes] = []
    for name, value in fields:
        pieces.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
    for part in parts:
        head = f"--{boundary}\r\nContent-Disposition: {part.head.disposition}\r\n"
        if part.head.content_type is not None:
            head += f"Content-Type: {part.head.content_type}\r\n"
        pieces += (head.encode(), b"\r\n", part.data, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return b"".join(pieces), f"multipart/form-data; boundary={boundary}"


def _boundary(content_type: str) -> str:
    _, options = parse_options_header(content_type)
    boundary: str = options.get("boundary", "")
    if not boundary:
        raise InvalidRequest(
            "The Content-Type multipart/form-data names no boundary. HTTP libraries write this header themselves, "
            "boundary included, where the request does not set it."
        )
    if len(boundary) > _MAX_BOUNDARY or not (boundary.isascii() and boundary.isprintable()):
        raise InvalidRequest(f"The boundary of the multipart body must have 1 to {_MAX_BOUNDARY} ASCII characters.")
    return boundary


def _head(segment: MultipartSegment) -> PartHead:
    disposition = segment.header("Content-Disposition", "")
    content_type = segment.header("Content-Type")
    if _UNFIT.search(disposition) or _UNFIT.search(content_type or ""):
        raise InvalidRequest("The multipart body is malformed: a part's header holds control characters.")
    if not segment.name:
        raise InvalidRequest("The multipart body is malformed: a part has no name.")
    return PartHead(segment.name, segment.filename, disposition, content_type)


def _refused(error: MultipartError) -> InvalidRequest | BodyTooLarge:
    if isinstance(error, ParserLimitReached):
        return BodyTooLarge(
            f"The multipart body is too large: {error.args[0]} (at most {MAX_PARTS} parts, each with {_MAX_HEADERS} "
            f"header lines of {_MAX_HEADER_BYTES} bytes)."
        )
    return InvalidRequest(f"The multipart body is malformed: {error.args[0]}.")
