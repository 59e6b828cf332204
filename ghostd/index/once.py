"""One complete pass over a root without watching it: `ghostd index DIR --once`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ghostd.config import IndexConfig
from ghostd.index.sqlite_index import open_index
from ghostd.index.watch import NoWatch
from ghostd.types import IndexReport


async def index_once(
    folder: Path,
    root: Path,
    config: IndexConfig,
    on_progress: Callable[[int, int], None] | None = None,
) -> IndexReport:
    """Bring the store of `root`, in `folder`, in step with its files.

    `on_progress` gets (files read, files to read) on the event loop; the second is 0 until the walk has ended.
    Raises RootError, also when another process is indexing the root.
    """
    async with open_index(folder, config, NoWatch()) as index:
        await index.add_root(root, on_progress)
        report = await index.wait_ready(root)
        return replace(report, skips=tuple(await index.skips(root)))
