"""A FileStore that keeps everything in memory and nothing for ever."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ghostd.batch import UPLOAD_PART, StoredFile
from ghostd.errors import BodyTooLarge, InvalidRequest, StoreError


class MemoryFiles:
    """See the port `FileStore`. `now_s` is its clock."""

    def __init__(self, max_bytes: int = 1_000_000) -> None:
        self.now_s = 1_800_000_000
        self._max_bytes = max_bytes
        self._kept: dict[str, tuple[StoredFile, bytes]] = {}

    @asynccontextmanager
    async def incoming(self, *, limited: bool = True) -> AsyncIterator[MemoryIncoming]:
        """See the port."""
        yield MemoryIncoming(self, self._max_bytes if limited else None)

    async def get(self, file_id: str) -> StoredFile | None:
        """See the port."""
        found = self._kept.get(file_id)
        return found[0] if found is not None and self._lives(found[0]) else None

    async def list(
        self, *, after: str | None = None, limit: int, descending: bool = True, purpose: str | None = None
    ) -> tuple[Sequence[StoredFile], bool]:
        """See the port."""
        files = [file for file, _ in self._kept.values() if self._lives(file)]
        if descending:
            files.reverse()
        if after is not None:
            ids = [file.id for file in files]
            if after not in ids:
                raise InvalidRequest("There is no such file.", "after")
            files = files[ids.index(after) + 1 :]
        files = [file for file in files if file.purpose == purpose or (purpose is None and file.purpose != UPLOAD_PART)]
        return files[:limit], len(files) > limit

    async def delete(self, file_id: str) -> bool:
        """See the port."""
        return self._kept.pop(file_id, None) is not None

    async def read(self, file_id: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        """See the port."""
        if file_id not in self._kept:
            raise StoreError("There is no such file.")
        content = self._kept[file_id][1]
        for at in range(start, len(content), 1000):
            yield content[at : at + 1000]

    def put(self, file: StoredFile, content: bytes) -> None:
        """Keep a file, as the newest one."""
        self._kept.pop(file.id, None)
        self._kept[file.id] = (file, content)

    def _lives(self, file: StoredFile) -> bool:
        return file.expires_s is None or file.expires_s > self.now_s


class MemoryIncoming:
    """See the port `IncomingFile`."""

    def __init__(self, files: MemoryFiles, max_bytes: int | None) -> None:
        self._files = files
        self._max_bytes = max_bytes
        self._content = b""

    async def write(self, block: bytes) -> None:
        """See the port."""
        if self._max_bytes is not None and len(self._content) + len(block) > self._max_bytes:
            raise BodyTooLarge("The file is too large.", "file")
        self._content += block

    async def keep(
        self, *, purpose: str, filename: str, expires_after_s: int | None = None, file_id: str | None = None
    ) -> StoredFile:
        """See the port."""
        now = self._files.now_s
        expires_s = None if expires_after_s is None else now + expires_after_s
        name = file_id or f"file-{os.urandom(12).hex()}"
        file = StoredFile(name, purpose, filename, len(self._content), now, expires_s)
        self._files.put(file, self._content)
        return file
