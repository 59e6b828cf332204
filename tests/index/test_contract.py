"""Both implementations of the Index port pass its contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import blake2b
from pathlib import Path

import pytest

from ghostd.code_ports import Index
from ghostd.config.projects import IndexConfig
from ghostd.index.languages import language_of
from ghostd.index.service import open_index
from ghostd.indexed import IndexedFile
from ghostd.testing.index_contract import IMPORTS, REFERENCES, SAMPLE, SYMBOLS, IndexContract
from ghostd.testing.memory_index import MemoryIndex


class TestMemoryIndex(IndexContract):
    """The double that other parts test against."""

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Index]:
        """An index of the sample, whatever its root holds."""
        files = [
            IndexedFile(path, language_of(path.name), len(text), 1, blake2b(text.encode(), digest_size=16).digest())
            for path, text in SAMPLE.items()
        ]
        texts = {path: text.encode() for path, text in SAMPLE.items()}
        yield MemoryIndex(list(SYMBOLS), list(REFERENCES), list(IMPORTS), files, texts)


@pytest.mark.e2e
class TestSqliteIndex(IndexContract):
    """The real one, with its worker process."""

    def opened(self, folder: Path) -> AbstractAsyncContextManager[Index]:
        """See IndexContract."""
        return open_index(folder, IndexConfig())
