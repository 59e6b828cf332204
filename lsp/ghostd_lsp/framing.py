"""The base protocol: header, then a body of `Content-Length` bytes.

Ours and not pygls's, whose reader drops a bad header in silence, has no limit, and knows no way to tell the client.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

HEADER_LIMIT_BYTES = 64 * 1024

PARSE_ERROR = -32700
INVALID_REQUEST = -32600

_UTF8 = re.compile(rb"charset\s*=\s*\"?utf-?8\"?\s*(;|$)", re.IGNORECASE)


class FramingError(Exception):
    """The stream cannot be read on; `code` is the JSON-RPC error code to end it with."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


async def read_message(reader: asyncio.StreamReader, max_bytes: int) -> bytes | None:
    """The next message's body, or None once the client is gone.

    `reader` has a limit of HEADER_LIMIT_BYTES. Raises FramingError for a header that is none or names more than
    `max_bytes`.
    """
    try:
        header = await reader.readuntil(b"\r\n\r\n")
        length = _content_length(header)
        if length > max_bytes:
            raise FramingError(
                INVALID_REQUEST,
                f"The message has {length} bytes; at most {max_bytes} are read (setting lsp.max_message_bytes).",
            )
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except asyncio.LimitOverrunError:
        raise FramingError(PARSE_ERROR, f"No message header within {HEADER_LIMIT_BYTES} bytes.") from None


def frame(message: dict[str, Any]) -> bytes:
    """A message as it goes over the wire."""
    body = json.dumps(message, separators=(",", ":")).encode("ascii")
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


def error_message(msg_id: int | str | None, code: int, message: str) -> dict[str, Any]:
    """A response that reports an error; the id is None where the request's could not be read."""
    return {"jsonrpc": "2.0", "id": msg_id, "error": {"code": code, "message": message}}


def _content_length(header: bytes) -> int:
    lengths = set()
    for line in header[:-4].split(b"\r\n"):
        name, colon, value = line.partition(b":")
        field = name.strip().lower()
        if not colon:
            raise FramingError(PARSE_ERROR, "A line of the message header has no colon.")
        if field == b"content-length":
            lengths.add(value.strip())
        elif field == b"content-type" and b"charset" in value.lower() and not _UTF8.search(value):
            raise FramingError(PARSE_ERROR, "Content-Type: only the charset utf-8 is known.")
    if len(lengths) != 1:
        raise FramingError(PARSE_ERROR, "The message header has no Content-Length, or several that differ.")
    length = lengths.pop()
    if not re.fullmatch(rb"[0-9]{1,15}", length):
        raise FramingError(PARSE_ERROR, "Content-Length is not a number.")
    return int(length)
