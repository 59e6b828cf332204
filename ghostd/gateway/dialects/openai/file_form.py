"""Forms with a file that goes to the disk as it comes."""

from __future__ import annotations

import re
from contextlib import aclosing

from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.openai.multipart import is_form
from ghostd.gateway.errors import HttpError, printable
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.guard import MAX_FIELD_BYTES, too_large
from ghostd.gateway.multipart import FormParser, Part, PartHead
from ghostd.ports import IncomingFile

MORE_BYTES = 2 * MAX_FIELD_BYTES
"""What a form may hold beside its file."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_FILENAME_CHARS = 255


class FileForm:
    """The form of an upload; the file in its part `field` goes where it is kept, its other fields stay here."""

    def __init__(self, exchange: Exchange, field: str, max_bytes: int, setting: str) -> None:
        """A form has at most `max_bytes`, for which `setting` is to blame; raises HttpError where there is no form."""
        if not is_form(exchange):
            raise HttpError(415, "unsupported_media_type", "A file is uploaded as multipart/form-data, not as JSON.")
        self._exchange = exchange
        self._field = field
        self._max_bytes = max_bytes
        self._setting = setting
        self._parser = FormParser(exchange.request.headers["Content-Type"])
        self.fields: dict[str, str] = {}
        self.filename: str | None = None

    async def read_into(self, incoming: IncomingFile) -> None:
        """Read it all; raises RequestError, HttpError or StoreError."""
        head: PartHead | None = None
        value: list[bytes] = []
        async with aclosing(self._exchange.pieces()) as pieces:
            async for piece in pieces:
                received = self._exchange.request.received_bytes
                if received > self._max_bytes:
                    raise too_large(f"at least {received}", self._max_bytes, self._setting)
                for event in self._parser.feed(piece):
                    if isinstance(event, PartHead):
                        head, value = event, []
                        self._begin(head)
                    elif event is None:
                        assert head is not None
                        self._end(head, b"".join(value))
                    elif head is not None and head.name == self._field:
                        await incoming.write(event)
                    else:
                        value.append(event)
        self._parser.end()
        if self.filename is None:
            raise InvalidRequest(f"Missing required parameter: '{self._field}'.", self._field)

    def _begin(self, head: PartHead) -> None:
        if head.name in self.fields or (head.name == self._field and self.filename is not None):
            raise InvalidRequest(f"Invalid value for '{head.name}': it is given twice.", head.name)
        if head.name == self._field:
            self.filename = plain_name(head.filename or "")
        elif head.is_file:
            raise InvalidRequest(f"Invalid value for '{head.name}': the file goes into '{self._field}'.", head.name)

    def _end(self, head: PartHead, value: bytes) -> None:
        if head.name != self._field:
            self.fields[head.name] = Part(head, value).text()


def plain_name(filename: str) -> str:
    """A file's name for people: no path, no control characters, not endless. Nothing is ever opened by it."""
    last = re.split(r"[/\\]", filename)[-1]
    last = _CONTROL.sub("", printable(last, 4 * _FILENAME_CHARS)).strip()
    return last[:_FILENAME_CHARS] if last.strip(".") else "file"
