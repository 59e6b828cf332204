"""Files that come in parts: what has come of each so far. Parts are kept as files that expire with their upload.

So is what was announced: as an empty file with the upload's id, so that an upload goes on after a restart.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from ghostd.batch import UPLOAD_PART, StoredFile
from ghostd.config.files import FilesConfig
from ghostd.errors import InvalidRequest, Overloaded
from ghostd.ports import FileStore, IncomingFile

LIFE_S = 3600
"""OpenAI gives an upload an hour."""
MAX_PARTS = 10_000
_RETRY_S = 60.0
_LISTED_AT_ONCE = 1000

Status = Literal["pending", "completed", "cancelled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUpload:
    """A file as it is announced."""

    size_bytes: int
    filename: str
    purpose: str
    file_expires_after_s: int | None


class _Announced(msgspec.Struct):
    """An upload on the disk, in the name of its empty file."""

    wanted: NewUpload
    file_id: str


_ANNOUNCED = msgspec.json.Decoder(_Announced)


@dataclass(slots=True, eq=False)
class Upload:
    """One upload, now."""

    id: str
    wanted: NewUpload
    created_s: int
    status: Status = "pending"
    parts: dict[str, StoredFile] = field(default_factory=dict)
    coming: int = 0
    """Parts on their way."""
    file: StoredFile | None = None
    file_id: str = field(default_factory=lambda: f"file-{os.urandom(12).hex()}")
    """What its file will be called, so that to complete it again replaces a file that nobody has heard of."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while its status changes."""

    @property
    def expires_s(self) -> int:
        """When it is forgotten."""
        return self.created_s + LIFE_S


class Uploads:
    """All of them. Methods raise RequestError, Overloaded and StoreError."""

    def __init__(self, files: FileStore, config: FilesConfig, now: Callable[[], float] = time.time) -> None:
        self._files = files
        self._config = config
        self._now = now
        self._uploads: dict[str, Upload] = {}  # the oldest first
        self._restoring = asyncio.Lock()
        self._restored = False

    async def begin(self, wanted: NewUpload) -> Upload:
        """A new upload."""
        most = self._config.max_bytes
        if not 1 <= wanted.size_bytes <= most:
            raise InvalidRequest(f"Invalid value for 'bytes': it must be from 1 to {most} (files.max_bytes).", "bytes")
        await self._restore()
        self._forget()
        if len(self._uploads) >= self._config.max_uploads:
            told = (
                f"{self._config.max_uploads} files come in parts already (files.max_uploads); complete or cancel some."
            )
            raise Overloaded(told, _RETRY_S)
        upload = Upload(f"upload_{os.urandom(12).hex()}", wanted, int(self._now()))
        self._uploads[upload.id] = upload
        try:
            await self._announce(upload)
        except BaseException:
            self._uploads.pop(upload.id, None)
            raise
        return upload

    async def get(self, upload_id: str) -> Upload | None:
        """The upload, unless its time is over."""
        await self._restore()
        upload = self._uploads.get(upload_id)
        return upload if upload is not None and upload.expires_s > self._now() else None

    def expect_part(self, upload: Upload) -> None:
        """A part begins to come; `part_over` must follow. Raises InvalidRequest where none may."""
        _check_pending(upload)
        if len(upload.parts) + upload.coming >= MAX_PARTS:
            raise InvalidRequest(f"An upload has at most {MAX_PARTS} parts.")
        upload.coming += 1

    def part_over(self, upload: Upload) -> None:
        """The part has come, or will not."""
        upload.coming -= 1

    async def keep_part(self, upload: Upload, incoming: IncomingFile) -> StoredFile:
        """A part is complete."""
        async with upload.lock:
            _check_pending(upload)
            left_s = max(1, int(upload.expires_s - self._now()))
            part_id = f"part_{os.urandom(12).hex()}"
            part = await incoming.keep(purpose=UPLOAD_PART, filename=upload.id, expires_after_s=left_s, file_id=part_id)
            upload.parts[part.id] = part
        return part

    async def complete(self, upload: Upload, part_ids: Sequence[str], md5: str | None) -> None:
        """Make a file of its parts, in this order. An upload that is completed already stays as it is."""
        async with upload.lock:
            if upload.status == "completed":
                return  # a client that has not heard it asks again
            _check_pending(upload)
            parts = _chosen(upload, part_ids)
            upload.file = await self._joined(upload, parts, md5)
            upload.status = "completed"
        await self._drop_parts(upload)

    async def cancel(self, upload: Upload) -> None:
        """Forget its parts."""
        async with upload.lock:
            if upload.status != "cancelled":
                _check_pending(upload)
                await self._files.delete(upload.id)
                upload.status = "cancelled"
        await self._drop_parts(upload)

    async def _announce(self, upload: Upload) -> None:
        """Write down what was announced."""
        told = msgspec.json.encode(_Announced(upload.wanted, upload.file_id)).decode()
        async with self._files.incoming(limited=False) as incoming:
            await incoming.keep(purpose=UPLOAD_PART, filename=told, expires_after_s=LIFE_S, file_id=upload.id)

    async def _restore(self) -> None:
        """Know what an earlier daemon has left."""
        async with self._restoring:
            if self._restored:
                return
            found: dict[str, Upload] = {}
            after, more = None, True
            while more:
                files, more = await self._files.list(
                    after=after, limit=_LISTED_AT_ONCE, descending=False, purpose=UPLOAD_PART
                )
                for file in files:
                    after = file.id
                    if file.id.startswith("upload_"):
                        told = _ANNOUNCED.decode(file.filename)
                        found[file.id] = Upload(file.id, told.wanted, file.created_s, file_id=told.file_id)
                    elif file.filename in found:  # it is older than its parts
                        found[file.filename].parts[file.id] = file
            for upload in found.values():
                upload.file = await self._files.get(upload.file_id)
                if upload.file is not None:
                    upload.status = "completed"
            self._uploads = found
            self._restored = True

    async def _joined(self, upload: Upload, parts: Sequence[StoredFile], md5: str | None) -> StoredFile:
        wanted = upload.wanted
        digest = hashlib.md5(usedforsecurity=False)
        async with self._files.incoming(limited=False) as incoming:  # the parts have been counted
            for part in parts:
                async with aclosing(self._files.read(part.id)) as blocks:
                    async for block in blocks:
                        if md5 is not None:
                            await asyncio.to_thread(digest.update, block)
                        await incoming.write(block)
            if md5 is not None and digest.hexdigest() != md5.lower():
                raise InvalidRequest(
                    f"Invalid value for 'md5': what was uploaded has the checksum {digest.hexdigest()}.", "md5"
                )
            return await incoming.keep(
                purpose=wanted.purpose,
                filename=wanted.filename,
                expires_after_s=wanted.file_expires_after_s,
                file_id=upload.file_id,
            )

    async def _drop_parts(self, upload: Upload) -> None:
        while upload.parts:
            part_id, _ = upload.parts.popitem()
            await self._files.delete(part_id)  # one that is left behind expires

    def _forget(self) -> None:
        """Forget what has expired, and where there is no room the oldest that have ended."""
        now = self._now()
        for upload in list(self._uploads.values()):
            full = len(self._uploads) >= self._config.max_uploads
            if upload.expires_s <= now or (full and upload.status != "pending"):
                del self._uploads[upload.id]


def _check_pending(upload: Upload) -> None:
    if upload.status != "pending":
        raise InvalidRequest(f"The upload {upload.id} is {upload.status} already.")


def _chosen(upload: Upload, part_ids: Sequence[str]) -> list[StoredFile]:
    """The parts of these ids, which make up what was announced."""
    if len(set(part_ids)) < len(part_ids):
        raise InvalidRequest("Invalid value for 'part_ids': a part is named twice.", "part_ids")
    found = []
    for place, part_id in enumerate(part_ids):
        part = upload.parts.get(part_id)
        if part is None:
            raise InvalidRequest(
                f"Invalid value for 'part_ids[{place}]': the upload has no such part.", f"part_ids[{place}]"
            )
        found.append(part)
    size = sum(part.size_bytes for part in found)
    if size != upload.wanted.size_bytes:
        raise InvalidRequest(
            f"Invalid value for 'part_ids': these parts have {size} bytes together; the upload was begun for "
            f"{upload.wanted.size_bytes}.",
            "part_ids",
        )
    return found
