"""Every FileStore passes the port's contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

from ghostd.config.files import FilesConfig
from ghostd.files.service import open_files
from ghostd.ports import FileStore
from ghostd.testing.file_contract import FileStoreContract
from ghostd.testing.memory_files import MemoryFiles


class TestFileService(FileStoreContract):
    now_s = 1_800_000_000.0

    @asynccontextmanager
    async def opened(self, folder: Path, *, max_bytes: int) -> AsyncIterator[FileStore]:
        async with open_files(folder / "files", FilesConfig(max_bytes=max_bytes), lambda: self.now_s) as store:
            yield store

    def later(self, store: FileStore, seconds: int) -> None:
        self.now_s += seconds


class TestMemoryFiles(FileStoreContract):
    @asynccontextmanager
    async def opened(self, folder: Path, *, max_bytes: int) -> AsyncIterator[FileStore]:
        yield MemoryFiles(max_bytes)

    def later(self, store: FileStore, seconds: int) -> None:
        cast("MemoryFiles", store).now_s += seconds
