"""A repository, an index and a history for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from history_harness import git

from ghostd.code_ports import GitHistory, Index
from ghostd.config.projects import HistoryConfig, IndexConfig
from ghostd.history.service import open_history
from ghostd.index.service import open_index


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[Index]:
    async with open_index(tmp_path / "index", IndexConfig()) as opened:
        yield opened


@pytest.fixture
async def history(tmp_path: Path, index: Index) -> AsyncIterator[GitHistory]:
    async with open_history(tmp_path / "caches", HistoryConfig(), index) as opened:
        yield opened
