"""A small project on disk, an index that knows it, and the model over both."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pytest

from ghostd.config.completion import ProjectModelConfig
from ghostd.indexed import ChangeBatch, IndexedFile
from ghostd.project_model.provider import ProjectModelProvider, project_model
from ghostd.testing.memory_index import MemoryIndex
from ghostd.types import Delta, FillRequest

SHOP = """\
from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


class {name}Repository:
    def __init__(self, connection, table_name):
        self.connection = connection
        self.table_name = table_name

    def find_by_identifier(self, identifier):
        cursor = self.connection.execute_statement(self.table_name, identifier)
        logger.debug("found %s in %s", identifier, self.table_name)
        return cursor.fetch_first_row()

    def remove_by_identifier(self, identifier):
        cursor = self.connection.execute_statement(self.table_name, identifier)
        logger.debug("removed %s from %s", identifier, self.table_name)
        return cursor.fetch_first_row()
"""
NAMES = ("Order", "Customer", "Invoice", "Product", "Shipment", "Payment", "Address", "Supplier")


@dataclass(slots=True)
class Project:
    """Files in a folder, told to an index."""

    root: Path
    index: MemoryIndex = field(default_factory=MemoryIndex)
    generation: int = 1

    def write(self, path: str, text: str | bytes) -> None:
        """Write a file and put it into the index's list, without a commit."""
        content = text.encode() if isinstance(text, str) else text
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        entry = IndexedFile(
            PurePosixPath(path), "python", len(content), 0, hashlib.blake2b(content, digest_size=16).digest()
        )
        self.forget(path)
        self.index.file_list.append(entry)

    def forget(self, path: str) -> None:
        """Take a file from the index's list."""
        self.index.file_list[:] = [file for file in self.index.file_list if file.path != PurePosixPath(path)]

    def commit(self, *changed: str, removed: tuple[str, ...] = ()) -> None:
        """Tell the subscribers."""
        self.generation += 1
        self.index.commit(
            ChangeBatch(
                self.root,
                self.generation,
                tuple(map(PurePosixPath, changed)),
                tuple(map(PurePosixPath, removed)),
            )
        )


@pytest.fixture
async def project(tmp_path: Path) -> Project:
    """A project of eight similar files."""
    root = tmp_path / "shop"
    root.mkdir()
    made = Project(root)
    for name in NAMES:
        made.write(f"repositories/{name.lower()}.py", SHOP.format(name=name))
    await made.index.add_root(root)
    return made


Start = Callable[..., AbstractAsyncContextManager[ProjectModelProvider]]


@pytest.fixture
def start(project: Project, tmp_path: Path) -> Start:
    """Enters the model over the project and waits until it has learned."""

    @asynccontextmanager
    async def entered(
        config: ProjectModelConfig | None = None, wait: bool = True
    ) -> AsyncIterator[ProjectModelProvider]:
        async with project_model(project.index, tmp_path / "segments", config or ProjectModelConfig()) as model:
            if wait:
                await model.wait_learned(project.root)
            yield model

    return entered


@pytest.fixture
async def model(start: Start) -> AsyncIterator[ProjectModelProvider]:
    """The model, having learned the project."""
    async with start() as entered:
        yield entered


Ask = Callable[[ProjectModelProvider, FillRequest], Awaitable[tuple[str, Delta]]]


@pytest.fixture
def ask() -> Ask:
    """The whole text of an answer, and its last delta."""

    async def answer(model: ProjectModelProvider, request: FillRequest) -> tuple[str, Delta]:
        text = ""
        last = Delta()
        async with aclosing(model.fill(request)) as deltas:
            async for last in deltas:
                text += last.text
        return text, last

    return answer
