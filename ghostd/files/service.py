"""The FileStore port: rows in SQLite, contents beside them, all off the event loop.

A content is complete on the disk before its row is written, and a row is gone before its content is: after a crash
there is at most a content that nobody knows of, which the next start removes.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from ghostd.batch import StoredFile
from ghostd.config.files import FilesConfig
from ghostd.database import migrations, open_in_folder
from ghostd.errors import BodyTooLarge, InvalidRequest, StorageFull, StoreError
from ghostd.files.contents import BLOCK_BYTES, Contents, Upload
from ghostd.files.table import FileTable

log = logging.getLogger(__name__)

T = TypeVar("T")

FOR_BATCHES = frozenset(("batch", "batch_output"))
"""Purposes whose files expire by themselves."""
_DAY_S = 86_400
_PRUNE_S = 600.0
_NO_ROOM = frozenset((errno.ENOSPC, errno.EDQUOT))


class FileService:
    """See the port `FileStore`. Made by `open_files`."""

    def __init__(
        self, folder: Path, config: FilesConfig, executor: ThreadPoolExecutor, now: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._contents = Contents(folder)
        self._config = config
        self._executor = executor
        self._now = now
        self._table: FileTable | None = None
        self._opening = asyncio.Lock()
        self.total_bytes = 0
        """Of all files, those on their way included."""

    @asynccontextmanager
    async def incoming(self, *, limited: bool = True) -> AsyncIterator[Incoming]:
        """See the port."""
        await self._opened()
        upload = await _whole(self._on_disk(self._contents.begin, os.urandom(12).hex()), Upload.discard)
        found = Incoming(self, upload, limited=limited)
        try:
            yield found
        finally:
            if not found.kept:
                self.total_bytes -= found.size_bytes
                await asyncio.shield(asyncio.to_thread(upload.discard))

    async def get(self, file_id: str) -> StoredFile | None:
        """See the port."""
        return await self._in_thread((await self._opened()).get, file_id, self._now())

    async def list(
        self, *, after: str | None = None, limit: int, descending: bool = True, purpose: str | None = None
    ) -> tuple[Sequence[StoredFile], bool]:
        """See the port."""
        listed = (await self._opened()).list
        rows = await self._in_thread(
            partial(listed, after, limit + 1, descending=descending, purpose=purpose, now=self._now())
        )
        if rows is None:
            raise InvalidRequest(f"Invalid value for 'after': no file is called {after!r}.", "after")
        return rows[:limit], len(rows) > limit

    async def delete(self, file_id: str) -> bool:
        """See the port."""
        if await self.get(file_id) is None:
            return False
        return await asyncio.shield(self._delete(file_id))

    async def read(self, file_id: str, start: int = 0) -> AsyncGenerator[bytes, None]:
        """See the port."""
        file = await _whole(self._on_disk(self._contents.open, file_id), lambda opened: opened.close())
        try:
            if start:
                await self._on_disk(file.seek, start)
            while block := await self._on_disk(file.read, BLOCK_BYTES):
                yield block
        finally:
            await asyncio.shield(asyncio.to_thread(file.close))

    async def prune(self) -> None:
        """Delete what has expired."""
        table = await self._opened()
        while expired := await self._in_thread(table.expired, self._now()):
            for file_id in expired:
                await asyncio.shield(self._delete(file_id))

    async def run(self) -> None:
        """Delete what expires, until cancelled."""
        while True:
            await asyncio.sleep(_PRUNE_S)
            try:
                if self._table is not None:
                    await self.prune()
            except StoreError as error:
                log.warning("files that have expired cannot be deleted: %s", error)

    # --- for Incoming -----------------------------------------------------------------

    async def room_for(self, size_bytes: int, block_bytes: int) -> None:
        """Have room for another block of a file; raises BodyTooLarge or StorageFull."""
        config = self._config
        if size_bytes + block_bytes > config.max_bytes:
            raise BodyTooLarge(f"The file has more than {config.max_bytes} bytes (files.max_bytes).", "file")
        if self.total_bytes + block_bytes > config.max_total_bytes:
            await self.prune()
        if self.total_bytes + block_bytes > config.max_total_bytes:
            raise StorageFull(
                f"All files together would have more than {config.max_total_bytes} bytes (files.max_total_bytes); "
                "delete some first."
            )

    async def write(self, upload: Upload, block: bytes) -> None:
        """Append to a content."""
        await self._on_disk(upload.write, block)

    async def add(self, upload: Upload, file: StoredFile, *, replaces: bool) -> None:
        """A content is complete; `replaces`: a file of its id may be there already."""
        await self._on_disk(upload.keep, file.id)
        try:
            self.total_bytes -= await self._in_thread((await self._opened()).put, file)
        except StoreError:
            if not replaces:
                await self._on_disk(self._contents.remove, file.id)
            raise

    def described(
        self, size_bytes: int, purpose: str, filename: str, expires_after_s: int | None, file_id: str | None
    ) -> StoredFile:
        """A new file's row."""
        now = int(self._now())
        if expires_after_s is None and purpose in FOR_BATCHES:
            expires_after_s = self._config.keep_days * _DAY_S
        expires_s = None if expires_after_s is None else now + expires_after_s
        return StoredFile(file_id or f"file-{os.urandom(12).hex()}", purpose, filename, size_bytes, now, expires_s)

    # --- off the event loop -------------------------------------------------------------

    async def _delete(self, file_id: str) -> bool:
        size = await self._in_thread((await self._opened()).delete, file_id)
        if size is None:
            return False
        self.total_bytes -= size
        await self._on_disk(self._contents.remove, file_id)
        return True

    async def _opened(self) -> FileTable:
        """The table; opened when it is first needed, and whatever was wrong with the disk may be mended until then."""
        if self._table is None:
            async with self._opening:
                if self._table is None:
                    return await self._in_thread(self._open)
        return self._table

    def _open(self) -> FileTable:
        """Take stock of what is there; expired files go. Runs to its end, whoever has lost interest meanwhile."""
        if self._table is not None:
            return self._table
        table = FileTable(open_in_folder(self._folder, "files.sqlite3", migrations("ghostd.files")))
        try:
            while expired := table.expired(self._now()):
                for file_id in expired:
                    table.delete(file_id)
            self._contents.prepare(table.ids())
            self.total_bytes += table.total_bytes()
        except BaseException:
            table.close()
            raise
        self._table = table
        return table

    async def close(self) -> None:
        """Close the database."""
        if self._table is not None:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._table.close)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function, *arguments)
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
                raise StorageFull("The disk is full; nothing has been changed.") from error
            raise StoreError(f"The list of files cannot be read or written: {error}.") from error
        except OSError as error:
            raise _as_ours(error) from error

    async def _on_disk(self, function: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.to_thread(function, *arguments)
        except OSError as error:
            raise _as_ours(error) from error


async def _whole(work: Coroutine[object, object, T], undo: Callable[[T], object]) -> T:
    """What a thread makes; undone, in a thread, where nobody wants it any more once it is there."""
    making = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(making)
    except asyncio.CancelledError:
        await asyncio.wait([making])
        if making.exception() is None:
            await asyncio.to_thread(undo, making.result())
        raise


def _as_ours(error: OSError) -> StoreError:
    if error.errno in _NO_ROOM:
        return StorageFull("The disk is full; the file has not been kept.")
    return StoreError(f"A file cannot be read or written: {error.strerror}.")


class Incoming:
    """See the port `IncomingFile`."""

    def __init__(self, service: FileService, upload: Upload, *, limited: bool) -> None:
        self._service = service
        self._upload = upload
        self._limited = limited
        self.size_bytes = 0
        self.kept = False

    async def write(self, block: bytes) -> None:
        """See the port."""
        if self._limited:
            await self._service.room_for(self.size_bytes, len(block))
        self.size_bytes += len(block)
        self._service.total_bytes += len(block)
        await self._service.write(self._upload, block)

    async def keep(
        self, *, purpose: str, filename: str, expires_after_s: int | None = None, file_id: str | None = None
    ) -> StoredFile:
        """See the port."""
        file = self._service.described(self.size_bytes, purpose, filename, expires_after_s, file_id)
        adding = asyncio.ensure_future(self._service.add(self._upload, file, replaces=file_id is not None))
        try:
            await asyncio.shield(adding)
        except asyncio.CancelledError:
            await asyncio.wait([adding])  # half a file is of use to nobody
            self.kept = adding.exception() is None
            raise
        self.kept = True
        return file


@asynccontextmanager
async def open_files(
    folder: Path, config: FilesConfig, now: Callable[[], float] = time.time
) -> AsyncIterator[FileService]:
    """The files that lie in `folder`, while the block runs; the caller holds the home's lock."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="files")
    service = FileService(folder, config, executor, now)
    pruning = asyncio.create_task(service.run(), name="files")
    try:
        yield service
    finally:
        pruning.cancel()
        await asyncio.gather(pruning, return_exceptions=True)
        await service.close()
        executor.shutdown(wait=False)
