"""`/v1/uploads`: large files in parts. Source: the OpenAI API reference, "Uploads"."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated
from urllib.parse import unquote

import msgspec
from msgspec import Meta

from ghostd.config.files import FilesConfig
from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.openai.file_form import MORE_BYTES, FileForm, plain_name
from ghostd.gateway.dialects.openai.files import EXPIRY_S, file_object, purpose_of
from ghostd.gateway.doc import Doc
from ghostd.gateway.errors import HttpError, printable
from ghostd.gateway.exchange import Exchange
from ghostd.gateway.response import Response
from ghostd.gateway.routes import Route
from ghostd.gateway.uploads import MAX_PARTS, NewUpload, Upload, Uploads
from ghostd.ports import FileStore

_PATH = "/v1/uploads"
_DOC = Doc(
    "A file in parts",
    path={
        "id": "The upload's id, and behind it `/parts` (a form with the part as `data`), `/complete` (JSON: `part_ids` "
        "in their order and, if you like, `md5`) or `/cancel`."
    },
    form={"data": "The part, as a file."},
)


class FileExpiry(msgspec.Struct):
    """When the file expires."""

    anchor: str
    seconds: int


class UploadBody(msgspec.Struct):
    """A file as it is announced."""

    bytes: int
    filename: str
    purpose: str
    mime_type: str
    expires_after: FileExpiry | None = None


class CompleteBody(msgspec.Struct):
    """The parts that make it up."""

    part_ids: Annotated[list[str], Meta(min_length=1, max_length=MAX_PARTS)]
    md5: Annotated[str, Meta(pattern="^[0-9a-fA-F]{32}$")] | None = None


_UPLOAD = msgspec.json.Decoder(UploadBody)
_COMPLETE = msgspec.json.Decoder(CompleteBody)


def routes(files: FileStore, config: FilesConfig, now: Callable[[], float] = time.time) -> Sequence[Route]:
    """The doors of these calls."""
    uploads = Uploads(files, config, now)
    most = config.max_part_bytes + MORE_BYTES
    change = partial(_change, files, uploads, config)
    return [
        Route("POST", _PATH, partial(_create, uploads), doc=Doc("Begin a file in parts", body=UploadBody)),
        Route("POST", f"{_PATH}/", change, prefix=True, multipart=True, max_body_bytes=most, doc=_DOC),
    ]


async def _create(uploads: Uploads, exchange: Exchange) -> Response:
    body = await exchange.read(_UPLOAD)
    upload = await uploads.begin(
        NewUpload(
            size_bytes=body.bytes,
            filename=plain_name(body.filename),
            purpose=purpose_of(body.purpose),
            file_expires_after_s=_expiry(body.expires_after),
        )
    )
    return exchange.json(msgspec.json.encode(_shown(upload)))


async def _change(files: FileStore, uploads: Uploads, config: FilesConfig, exchange: Exchange) -> Response:
    """Add a part to an upload, complete it, or cancel it."""
    upload_id, _, what = exchange.path.removeprefix(f"{_PATH}/").partition("/")
    if what not in ("parts", "complete", "cancel"):
        shown = printable(f"{exchange.request.method} {exchange.path}", 200)
        raise HttpError(404, "unknown_url", f"Unknown request URL: {shown}. docs/http-api.md lists what there is.")
    upload = await uploads.get(unquote(upload_id))
    if upload is None:
        raise HttpError(404, "not_found", f"No upload found with id '{printable(unquote(upload_id), 100)}'.")
    if what == "parts":
        return await _add_part(files, uploads, upload, config, exchange)
    if what == "cancel":
        await uploads.cancel(upload)
    else:
        body = await exchange.read(_COMPLETE)
        await uploads.complete(upload, body.part_ids, body.md5)
    return exchange.json(msgspec.json.encode(_shown(upload)))


async def _add_part(
    files: FileStore, uploads: Uploads, upload: Upload, config: FilesConfig, exchange: Exchange
) -> Response:
    form = FileForm(exchange, "data", config.max_part_bytes + MORE_BYTES, "files.max_part_bytes")
    uploads.expect_part(upload)
    try:
        async with files.incoming() as incoming:
            await form.read_into(incoming)
            part = await uploads.keep_part(upload, incoming)
    finally:
        uploads.part_over(upload)
    told = {"id": part.id, "object": "upload.part", "created_at": part.created_s, "upload_id": upload.id}
    return exchange.json(msgspec.json.encode(told))


def _expiry(given: FileExpiry | None) -> int | None:
    if given is None:
        return None
    if given.anchor != "created_at":
        raise InvalidRequest("Invalid value for 'expires_after.anchor': supported: created_at.", "expires_after.anchor")
    low, high = EXPIRY_S
    if not low <= given.seconds <= high:
        raise InvalidRequest(
            f"Invalid value for 'expires_after.seconds': it must be from {low} to {high}.", "expires_after.seconds"
        )
    return given.seconds


def _shown(upload: Upload) -> dict[str, object]:
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.wanted.size_bytes,
        "created_at": upload.created_s,
        "expires_at": upload.expires_s,
        "filename": upload.wanted.filename,
        "purpose": upload.wanted.purpose,
        "status": upload.status,
        "file": None if upload.file is None else file_object(upload.file),
    }
