"""One root in the worker process: its store, its limits, and what its jobs tell each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ghostd.index.chunk_build import ChunkBuilder
from ghostd.index.examine import Guard
from ghostd.index.inside import RootFiles
from ghostd.index.scan import Limits
from ghostd.index.store import Store
from ghostd.index.unfinished import PlanFile

Message = dict[str, Any]


@dataclass(slots=True)
class RootContext:
    """One root in the worker."""

    root: str
    store: Store
    limits: Limits
    watch: Callable[[str, str], int | None]
    """(absolute folder, relative folder) → watch descriptor; None where nothing watches."""
    guard: Guard
    chunks: ChunkBuilder
    plan_file: PlanFile = field(init=False)
    files: RootFiles = field(init=False)
    failed: dict[str, str] = field(default_factory=dict)
    """Path → why the worker before this one died of it."""
    watched: list[tuple[int, str]] = field(default_factory=list)
    """Watches set since the daemon was last told."""
    updated: set[str] = field(default_factory=set)
    """Paths updated since the running complete pass began."""
    updated_folders: set[str] = field(default_factory=set)
    """Folders walked anew since then."""

    def __post_init__(self) -> None:
        self.files = RootFiles(self.root)
        self.plan_file = PlanFile(self.store.path.with_suffix(".pass"))

    def was_updated(self, path: str) -> bool:
        """Whether something newer is known of a path than what the running complete pass saw."""
        return is_under(path, self.updated) or is_under(path.rpartition("/")[0], self.updated_folders)

    def enter(self, folder: str) -> None:
        """Watch a folder before it is listed."""
        descriptor = self.watch(f"{self.root}/{folder}" if folder else self.root, folder)
        if descriptor is not None:
            self.watched.append((descriptor, folder))

    def take_watched(self) -> Message:
        """The message that tells of new watches, {} when there are none."""
        if not self.watched:
            return {}
        taken, self.watched = self.watched, []
        return {"watched": taken}


def is_under(folder: str, folders: set[str]) -> bool:
    """Whether `folder` is one of `folders` or inside one."""
    while True:
        if folder in folders:
            return True
        if not folder:
            return False
        folder = folder.rpartition("/")[0]
