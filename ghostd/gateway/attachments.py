"""Files that a conversation names by their ids, put in by their content: they lie here, and not at any service."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from ghostd.batch import StoredFile
from ghostd.errors import BodyTooLarge
from ghostd.media_types import media_type_of
from ghostd.ports import FileStore

MARK = b'"file_id"'
"""Is in every body that names a file."""
_MEMBERS = ("messages", "input")
"""Where conversations are."""
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
)
_encode = msgspec.json.Encoder().encode

_Part = dict[str, Any]


class Attachments:
    """Reads the store's files into requests. Ids that are not in the store stay: they may be the service's own."""

    def __init__(self, files: FileStore, max_body_bytes: int) -> None:
        self._files = files
        self._max_body_bytes = max_body_bytes

    async def put_in(self, body: bytes, fields: dict[str, bytes]) -> tuple[bytes, dict[str, bytes]]:
        """The body and its members with the contents in them; raises BodyTooLarge or StoreError."""
        changed: dict[str, bytes] = {}
        size = len(body)
        for name in _MEMBERS:
            if MARK not in fields.get(name, b""):
                continue
            try:
                conversation = msgspec.json.decode(fields[name])
            except msgspec.DecodeError:
                continue  # whoever reads it says what is wrong
            parts = list(_parts(conversation))
            if parts:
                size = await self._fill(parts, size)
                changed[name] = await asyncio.to_thread(_encode, conversation)
        if not changed:
            return body, fields
        found = {**fields, **changed}
        return b"{" + b",".join(_encode(name) + b":" + value for name, value in found.items()) + b"}", found

    async def _fill(self, parts: list[tuple[_Part, _Part]], size: int) -> int:
        for part, holder in parts:
            file = await self._files.get(holder["file_id"])
            if file is None:
                continue
            size += file.size_bytes * 4 // 3
            if size > self._max_body_bytes:
                raise BodyTooLarge(
                    f"With the file {file.id} in it the request has more than {self._max_body_bytes} bytes "
                    "(http.max_body_bytes)."
                )
            content = b"".join([block async for block in self._files.read(file.id)])
            url = await asyncio.to_thread(_data_url, file, content)
            del holder["file_id"]
            if part["type"] == "input_image":
                holder["image_url"] = url
            else:
                holder.setdefault("filename", file.filename)
                holder["file_data"] = url
        return size


def _parts(value: Any) -> Iterator[tuple[_Part, _Part]]:
    """Parts that name a file, and where in them they do; the nesting has been checked."""
    if isinstance(value, list):
        for entry in value:
            yield from _parts(entry)
    elif isinstance(value, dict):
        kind = value.get("type")
        holder = value.get("file") if kind == "file" else value
        if kind in ("file", "input_file", "input_image") and isinstance(holder, dict) and _names_only(holder):
            yield value, holder
            return
        for entry in value.values():
            if isinstance(entry, list | dict):
                yield from _parts(entry)


def _names_only(holder: _Part) -> bool:
    """Whether it names a file, and holds none itself."""
    named = isinstance(holder.get("file_id"), str)
    return named and not any(holder.get(name) for name in ("file_data", "file_url", "image_url"))


def _data_url(file: StoredFile, content: bytes) -> str:
    kind = next((kind for magic, kind in _MAGIC if content.startswith(magic)), None)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        kind = "image/webp"
    kind = kind or media_type_of(file.filename) or "application/octet-stream"
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
