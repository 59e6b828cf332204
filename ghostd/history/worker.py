"""The process that reads repositories. Started by `ghostd.history.supervisor` as `python -P -m ghostd.history.worker`.

Orders come as JSON lines on standard input, answers leave as JSON lines on standard output. Between the steps of a
reading it answers questions. It dies with the daemon.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import signal
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import pygit2

from ghostd.config import HistoryConfig
from ghostd.history import answers, changes
from ghostd.history.cache import open_cache, set_aside
from ghostd.history.locate import Location, locate
from ghostd.history.objects import HistoryError, head, open_objects, pack_state, shallow
from ghostd.history.reading import read_history

_PR_SET_PDEATHSIG = 1
_MEMORY_BYTES = 4 * 1024**3
_OOM_SCORE = 500
_LOOK_S = 1.0
"""How often a head is looked at, at most."""


@dataclass(slots=True)
class _Root:
    path: Path
    location: Location | None = None
    repository: pygit2.Repository | None = None
    database: sqlite3.Connection | None = None
    packs: tuple[int, int] = (0, 0)
    looked: float = -_LOOK_S
    head: str = ""
    problem: str = ""
    reading: Iterator[int] | None = None
    commits: int = 0
    waiting: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Worker:
    cache: Path
    config: HistoryConfig
    output: int
    roots: dict[str, _Root] = field(default_factory=dict)
    pending: bytes = b""

    def run(self) -> None:
        """Work until standard input ends."""
        while self._take_orders(wait=not any(root.reading for root in self.roots.values())):
            for root in self.roots.values():
                if root.reading:
                    self._step(root)

    def _take_orders(self, wait: bool) -> bool:
        while select.select([0], [], [], None if wait else 0)[0]:
            data = os.read(0, 65_536)
            if not data:
                return False
            *lines, self.pending = (self.pending + data).split(b"\n")
            for line in lines:
                self._order(json.loads(line))
                wait = False
        return True

    def _order(self, order: dict[str, Any]) -> None:
        root = self.roots.setdefault(order["root"], _Root(Path(order["root"])))
        try:
            self._look(root, order["op"] == "wait")
            if order["op"] == "wait" and root.reading:
                root.waiting.append(order["job"])
                return
            result = self._answer(root, order)
        except (HistoryError, sqlite3.Error, pygit2.GitError, OSError, MemoryError) as error:
            self._failed(root, error)
            result = None
        self._send({"job": order["job"], "result": result, **self._state(root)})

    def _look(self, root: _Root, now: bool) -> None:
        """Follow the repository, if it may have changed."""
        if not now and time.monotonic() - root.looked < _LOOK_S:
            return
        root.looked = time.monotonic()
        location = locate(root.path)
        if location is None or location != root.location:
            if root.database is not None:
                root.database.close()
            root.location, root.repository, root.database, root.reading, root.head = location, None, None, None, ""
            root.problem, root.commits = "", 0
        if location is None:
            return
        packs = pack_state(location)
        if root.repository is None or packs != root.packs:
            root.repository, root.packs = open_objects(location), packs
        _, found = head(location)
        if root.database is None:
            root.database = open_cache(self._file(location))
        if found != root.head or root.problem:
            root.head, root.problem = found, ""
            root.reading = (
                read_history(root.repository, root.database, found, shallow(location), self.config) if found else None
            )

    def _file(self, location: Location) -> Path:
        name = blake2b(os.fsencode(location.common_dir) + b"\0" + os.fsencode(location.git_dir), digest_size=12)
        return self.cache / f"{name.hexdigest()}.sqlite"

    def _step(self, root: _Root) -> None:
        assert root.reading is not None
        try:
            root.commits = next(root.reading)
        except StopIteration:
            root.reading = None
        except (HistoryError, sqlite3.Error, pygit2.GitError, OSError, MemoryError) as error:
            self._failed(root, error)
        self._send(self._state(root))
        if root.reading is None:
            for job in root.waiting:
                self._send({"job": job, "result": None, **self._state(root)})
            root.waiting.clear()

    def _failed(self, root: _Root, error: Exception) -> None:
        root.reading, root.problem = None, str(error) or type(error).__name__
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if damaged and root.location is not None and root.database is not None:
            root.database.close()
            root.database, root.head = None, ""
            set_aside(self._file(root.location))

    def _answer(self, root: _Root, order: dict[str, Any]) -> Any:  # noqa: PLR0911
        location, database, repository, config = root.location, root.database, root.repository, self.config
        if location is None or database is None or repository is None:
            return None
        path = None if order.get("path") is None else os.fsencode(location.prefix + order["path"])
        match order["op"]:
            case "co_changed" if path is not None:
                return answers.co_changed(database, location, path, order["limit"], config)
            case "churn":
                return answers.churn(database, location, order["limit"], config)
            case "commits":
                return answers.commits(database, location, path, order["limit"])
            case "score":
                return answers.score(database, location, order["limit"], config)
            case "blame" if path is not None:
                return changes.blame(repository, location, path, config)
            case "uncommitted":
                return changes.uncommitted(repository, location, order["others"], config)
            case "branch":
                return changes.branch(repository, location, config)
        return None

    def _state(self, root: _Root) -> dict[str, Any]:
        kind, complete, detail = "ready", False, ""
        if root.problem:
            kind, detail = "failed", root.problem
        elif root.location is None:
            kind = "none"
        elif root.reading:
            kind = "reading"
        elif root.database is not None:
            row = root.database.execute("SELECT complete, detail FROM head").fetchone()
            complete, detail = (bool(row[0]), row[1]) if row and root.head else (not root.head, "")
            root.commits = root.database.execute("SELECT count(*) FROM commits WHERE live").fetchone()[0]
            if not root.head:
                root.commits = 0
        return {"root": str(root.path), "state": [kind, root.head, root.commits, complete, detail]}

    def _send(self, message: dict[str, Any]) -> None:
        data = memoryview(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        while data:
            data = data[os.write(self.output, data) :]


def main(arguments: list[str]) -> None:
    """Run with: the parent process's number, the folder of the caches, the settings as JSON."""
    parent = int(arguments[0])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(_OOM_SCORE))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    if os.getppid() != parent:
        return
    for number in (signal.SIGINT, signal.SIGHUP):  # the daemon decides
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.dup(1)
    os.dup2(2, 1)
    config = msgspec.json.decode(arguments[2], type=HistoryConfig)
    with suppress(BrokenPipeError):
        _Worker(Path(arguments[1]), config, output).run()


if __name__ == "__main__":
    main(sys.argv[1:])
