"""`/v1/files`: what clients upload, list, read and delete. Source: the OpenAI API reference, "Files"."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import NoReturn
from urllib.parse import quote, unquote

import msgspec

from ghostd.batch import UPLOAD_PART, StoredFile
from ghostd.config.files import FilesConfig
from ghostd.errors import InvalidRequest, StoreError
from ghostd.gateway.dialects.openai.file_form import MORE_BYTES, FileForm
from ghostd.gateway.doc import Doc
from ghostd.gateway.errors import HttpError, printable
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.ranges import wanted_range
from ghostd.gateway.response import Response, StreamedResponse
from ghostd.gateway.routes import Route
from ghostd.ports import FileStore

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
MAX_LISTED = 10_000
EXPIRY_S = (3_600, 2_592_000)
_PATH = "/v1/files"
_UPLOAD_DOC = Doc(
    "Keep a file",
    form={
        "file": "The file.",
        "purpose": f"One of {', '.join(PURPOSES)}.",
        "expires_after[anchor]": "created_at",
        "expires_after[seconds]": f"From {EXPIRY_S[0]} to {EXPIRY_S[1]}.",
    },
    required=("file", "purpose"),
)
_QUERY = {
    "after": "The id behind which the page begins.",
    "limit": f"1 to {MAX_LISTED}, the default.",
    "order": "asc or desc, the default: the newest first.",
    "purpose": "Only files of this purpose.",
}


def routes(files: FileStore, config: FilesConfig) -> Sequence[Route]:
    """The doors of these calls."""
    below, about = f"{_PATH}/", {"id": "The file's id; `/content` behind it stands for what the file holds."}
    return [
        Route(
            "POST",
            _PATH,
            partial(upload, files, config),
            multipart=True,
            max_body_bytes=config.max_bytes + MORE_BYTES,
            doc=_UPLOAD_DOC,
        ),
        Route("GET", _PATH, partial(list_files, files), doc=Doc("List the files", query=_QUERY)),
        Route("GET", below, partial(retrieve, files), prefix=True, doc=Doc("One file", path=about)),
        Route("DELETE", below, partial(delete, files), prefix=True, doc=Doc("Delete a file", path=about)),
    ]


async def upload(files: FileStore, config: FilesConfig, exchange: Exchange) -> Response:
    """Keep a file; its content goes to the disk as it comes."""
    form = FileForm(exchange, "file", config.max_bytes + MORE_BYTES, "files.max_bytes")
    async with files.incoming() as incoming:
        await form.read_into(incoming)
        kept = await incoming.keep(
            purpose=purpose_of(form.fields.get("purpose", "")),
            filename=form.filename or "",
            expires_after_s=_expiry(form.fields),
        )
    return exchange.json(msgspec.json.encode(file_object(kept)))


async def list_files(files: FileStore, exchange: Exchange) -> Response:
    """The files, the newest first."""
    order = exchange.parameter("order") or "desc"
    if order not in ("asc", "desc"):
        raise InvalidRequest("Invalid value for 'order': supported: asc, desc.", "order")
    found, more = await files.list(
        after=exchange.parameter("after") or None,
        limit=limit_of(exchange, MAX_LISTED, MAX_LISTED),
        descending=order == "desc",
        purpose=exchange.parameter("purpose") or None,
    )
    return exchange.json(msgspec.json.encode(page([file_object(file) for file in found], more)))


async def retrieve(files: FileStore, exchange: Exchange) -> Response | None:
    """What is known of a file, or below `content` what it holds."""
    file_id, slash, rest = exchange.path.removeprefix(f"{_PATH}/").partition("/")
    if slash and rest != "content":
        raise _unknown(exchange)
    file = await files.get(unquote(file_id))
    if file is None or file.purpose == UPLOAD_PART:
        _missing(file_id)
    if not slash:
        return exchange.json(msgspec.json.encode(file_object(file)))
    headers = exchange.headers()
    headers["Content-Type"] = "application/octet-stream"
    headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file.filename, safe='')}"
    headers["Accept-Ranges"], headers["ETag"] = "bytes", (tag := f'"{file.id}"')
    if exchange.request.method == "HEAD":
        return Response(200, headers, b"")
    asked = exchange.request.headers
    part = wanted_range(asked.get("Range"), asked.get("If-Range"), tag, file.size_bytes)
    if not file.size_bytes:
        return Response(200, headers, b"")
    await _send(files, file, exchange, headers, part)
    return None


async def delete(files: FileStore, exchange: Exchange) -> Response:
    """Delete a file."""
    file_id = exchange.path.removeprefix(f"{_PATH}/")
    if "/" in file_id:
        raise _unknown(exchange)
    file = await files.get(unquote(file_id))
    if file is None or file.purpose == UPLOAD_PART or not await files.delete(file.id):
        _missing(file_id)
    return exchange.json(msgspec.json.encode({"id": unquote(file_id), "object": "file", "deleted": True}))


def purpose_of(purpose: str) -> str:
    """The purpose of a file that a client brings; raises InvalidRequest."""
    if not purpose:
        raise InvalidRequest("Missing required parameter: 'purpose'.", "purpose")
    if purpose not in PURPOSES:
        shown = printable(purpose, 100)
        raise InvalidRequest(f"Invalid value for 'purpose': {shown!r}; supported: {', '.join(PURPOSES)}.", "purpose")
    return purpose


def limit_of(exchange: Exchange, default: int, most: int) -> int:
    """The parameter `limit` of a list; raises InvalidRequest."""
    text = exchange.parameter("limit")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise InvalidRequest(f"Invalid value for 'limit': it must be a whole number from 1 to {most}.", "limit")
    return int(text)


def page(objects: Sequence[dict[str, object]], more: bool) -> dict[str, object]:
    """A page of a list."""
    return {
        "object": "list",
        "data": objects,
        "first_id": objects[0]["id"] if objects else None,
        "last_id": objects[-1]["id"] if objects else None,
        "has_more": more,
    }


def _expiry(fields: dict[str, str]) -> int | None:
    """`expires_after` as the SDKs put an object into a form."""
    anchor, seconds = (fields.get(f"expires_after[{name}]") for name in ("anchor", "seconds"))
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise InvalidRequest("Invalid value for 'expires_after.anchor': supported: created_at.", "expires_after.anchor")
    low, high = EXPIRY_S
    text = seconds or ""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        raise InvalidRequest(
            f"Invalid value for 'expires_after.seconds': it must be a whole number from {low} to {high}.",
            "expires_after.seconds",
        )
    return int(text)


async def _send(
    files: FileStore, file: StoredFile, exchange: Exchange, headers: dict[str, str], part: range | None
) -> None:
    """Send a content, or a part of it, block by block; the connection breaks where the disk does."""
    status, start, left = 200, 0, file.size_bytes
    if part is not None:
        status, start, left = 206, part.start, len(part)
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.size_bytes}"
    reply = StreamedResponse(exchange.request, headers, length=left, status=status)
    begun = False
    async with aclosing(files.read(file.id, start)) as blocks:
        try:
            async for block in blocks:
                if part is not None:
                    block = block[:left]  # noqa: PLW2901 - what is behind the part is not asked for
                left -= len(block)
                if left < 0:
                    raise StoreError("A file has grown since it was kept.")
                await reply.write(block)
                begun = True
                if part is not None and not left:
                    break
            if left:
                raise StoreError("A file is shorter than when it was kept.")
        except StoreError:
            if not begun:
                raise
            exchange.request.connection.abort()
            raise ConnectionResetError("a file could not be read to its end") from None


def file_object(file: StoredFile) -> dict[str, object]:
    """A file as the API shows it."""
    found: dict[str, object] = {
        "id": file.id,
        "object": "file",
        "bytes": file.size_bytes,
        "created_at": file.created_s,
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "expires_at": file.expires_s,
        "status_details": None,
    }
    return found


def _missing(file_id: str) -> NoReturn:
    raise HttpError(404, "not_found", f"No such File object: {printable(unquote(file_id), 100)}")


def _unknown(exchange: Exchange) -> HttpError:
    shown = printable(f"{exchange.request.method} {exchange.path}", 200)
    return HttpError(404, "unknown_url", f"Unknown request URL: {shown}. docs/http-api.md lists what there is.")
