"""The history that reads repositories does what every history does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from history_harness import commit, git

from ghostd.code_ports import GitHistory
from ghostd.config.projects import HistoryConfig, IndexConfig
from ghostd.history.service import open_history
from ghostd.index.service import open_index
from ghostd.testing.history_contract import APP, COMMITS, UNCOMMITTED, HistoryContract


def sample(project: Path) -> Path:
    project.mkdir()
    git(project, "init", "-q", "-b", "main")
    for subject, time_s, files in COMMITS:
        commit(project, subject, {str(path): text for path, text in files.items()}, time_s)
    (project / APP).write_text(UNCOMMITTED)
    return project


class TestHistory(HistoryContract):
    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[tuple[GitHistory, Path]]:
        project = await asyncio.to_thread(sample, folder / "project")
        async with (
            open_index(folder / "index", IndexConfig()) as index,
            open_history(folder / "caches", HistoryConfig(), index) as history,
        ):
            yield history, project
