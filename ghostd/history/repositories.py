"""The repositories that are open in the history's process, each once for all roots in it."""

from __future__ import annotations

import gc
import os
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import pygit2

from ghostd.config.projects import HistoryConfig
from ghostd.history.cache import open_cache, set_aside
from ghostd.history.locate import Location, locate
from ghostd.history.objects import HistoryError, head, missing, objects_state, open_objects, shallow
from ghostd.history.reading import commit_of, read_history

PROBLEMS = (HistoryError, sqlite3.Error, pygit2.GitError, OSError, MemoryError)
_LOOK_S = 1.0
"""How often a head is looked at, at most."""
_UNUSED_S = 60.0
"""A repository that nothing asked about for so long is closed."""


@dataclass(slots=True)
class Repository:
    """One worktree's repository and its cache."""

    file: Path
    objects: pygit2.Repository | None = None
    database: sqlite3.Connection | None = None
    head: str = ""
    problem: str = ""
    reading: Iterator[int] | None = None
    commits: int = 0
    used: float = 0.0
    waiting: list[tuple[str, int]] = field(default_factory=list)
    """(root, job) of what waits for the end of the reading."""
    _objects_state: tuple[int, ...] = ()
    _shallow: frozenset[str] | None = None
    _looked: float = -_LOOK_S

    def look(self, location: Location, config: HistoryConfig, now: bool) -> None:
        """Follow the repository, if it may have changed. Raises what `PROBLEMS` says."""
        self.used = time.monotonic()
        if not now and self.used - self._looked < _LOOK_S and not self.problem:
            return
        self._looked = self.used
        state = objects_state(location)
        if self.objects is None or state != self._objects_state:
            self.objects, self._objects_state = None, state
            if self.problem:
                gc.collect()  # a damaged pack stays mapped while an error refers to it
            self.objects = open_objects(location)
        _, found = head(location)
        ends = shallow(location)
        if self.database is None:
            self.database = open_cache(self.file)
        if found != self.head or ends != self._shallow or self.problem:
            if found and commit_of(self.objects, found) is None:
                raise HistoryError(missing(location, found))
            self.head, self.problem, self._shallow = found, "", ends
            self.reading = read_history(self.objects, self.database, found, ends, config) if found else None

    def step(self) -> bool:
        """Read on; whether there is more."""
        assert self.reading is not None
        try:
            self.commits = next(self.reading)
        except StopIteration:
            self.reading = None
        except PROBLEMS as error:
            self.failed(error)
        return self.reading is not None

    def failed(self, error: Exception) -> None:
        """Keep what went wrong; a damaged cache is set aside."""
        self.reading, self.problem = None, str(error) or type(error).__name__
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if damaged and self.database is not None:
            self.close()
            self.head = ""
            set_aside(self.file)

    def close(self) -> None:
        """Give back the cache's handle and the packs' memory."""
        self.reading, self.objects = None, None
        if self.database is not None:
            self.database.close()
            self.database = None

    def state(self) -> list[Any]:
        """HistoryState's fields."""
        if self.problem:
            return ["failed", self.head, 0, False, self.problem]
        if self.reading is not None:
            return ["reading", self.head, self.commits, False, ""]
        if self.database is None or not self.head:
            return ["ready", "", 0, True, ""]
        row = self.database.execute("SELECT complete, detail FROM head").fetchone()
        self.commits = self.database.execute("SELECT count(*) FROM commits WHERE live").fetchone()[0]
        return ["ready", self.head, self.commits, *((bool(row[0]), row[1]) if row else (False, ""))]


@dataclass(slots=True)
class Repositories:
    """Finds a root's repository and keeps open those in use."""

    cache: Path
    config: HistoryConfig
    open: dict[Path, Repository] = field(default_factory=dict)

    def find(self, root: Path) -> tuple[Location, Repository] | None:
        """Where the root lies and its repository; None where there is none."""
        location = locate(root)
        if location is None:
            return None
        name = blake2b(os.fsencode(location.common_dir) + b"\0" + os.fsencode(location.git_dir), digest_size=12)
        file = self.cache / f"{name.hexdigest()}.sqlite"
        return location, self.open.setdefault(file, Repository(file))

    def close_unused(self) -> None:
        """Close what nothing asked about for long."""
        now = time.monotonic()
        for file, repository in tuple(self.open.items()):
            if repository.reading is None and now - repository.used > _UNUSED_S:
                repository.close()
                del self.open[file]
