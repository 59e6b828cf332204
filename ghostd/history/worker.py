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
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ghostd.config.projects import HistoryConfig
from ghostd.history import answers, changes
from ghostd.history.blame import blamed
from ghostd.history.locate import Location
from ghostd.history.repositories import PROBLEMS, Repositories, Repository
from ghostd.history.symbol_answers import symbols_co_changed

_PR_SET_PDEATHSIG = 1
_MEMORY_BYTES = 1024**3
"""Beside packs, which are mapped."""
_OOM_SCORE = 500


@dataclass(slots=True)
class _Worker:
    config: HistoryConfig
    repositories: Repositories
    output: int
    pending: bytes = b""

    def run(self) -> None:
        """Work until standard input ends."""
        while self._take_orders(wait=not self._reading()):
            for repository in self._reading():
                more = repository.step()
                for root in {root for root, _ in repository.waiting}:
                    self._send(root, repository)
                if not more:
                    self._release(repository)

    def _reading(self) -> list[Repository]:
        return [repository for repository in self.repositories.open.values() if repository.reading is not None]

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
        root, job = order["root"], order["job"]
        self.repositories.close_unused()
        found = self.repositories.find(Path(root))
        if found is None:
            self._send(root, None, job=job, result=None)
            return
        location, repository = found
        waits = order["op"] == "wait"
        result = None
        try:
            repository.look(location, self.config, waits)
            if repository.reading is not None and waits:
                repository.waiting.append((root, job))
                self._send(root, repository)
                return
            result = self._answer(location, repository, order)
        except PROBLEMS as error:
            repository.failed(error)
            self._release(repository)
        self._send(root, repository, job=job, result=result)

    def _release(self, repository: Repository) -> None:
        """Answer those who wait for the end of a reading."""
        waiting, repository.waiting = repository.waiting, []
        for root, job in waiting:
            self._send(root, repository, job=job, result=None)

    def _answer(self, location: Location, repository: Repository, order: dict[str, Any]) -> Any:  # noqa: PLR0911
        database, objects, config = repository.database, repository.objects, self.config
        if database is None or objects is None:
            return None
        path = None if order.get("path") is None else os.fsencode(location.prefix + order["path"])
        match order["op"]:
            case "co_changed" if path is not None:
                beside = [os.fsencode(location.prefix + one) for one in order["beside"]]
                return answers.co_changed(database, location, path, beside, order["limit"], config)
            case "symbols_co_changed" if path is not None:
                return symbols_co_changed(objects, database, location, path, order["name"], config)
            case "churn":
                return answers.churn(database, location, order["limit"], config)
            case "commits":
                return answers.commits(database, location, path, order["limit"])
            case "score":
                return answers.score(database, location, order["limit"], config)
            case "blame" if path is not None:
                return blamed(objects, database, location, path, config)
            case "uncommitted":
                return changes.uncommitted(objects, location, order["others"], config)
            case "branch":
                return changes.branch(objects, location, config)
        return None

    def _send(self, root: str, repository: Repository | None, **more: Any) -> None:
        state = ["none", "", 0, False, ""]
        if repository is not None:
            try:
                state = repository.state()
            except PROBLEMS as error:
                repository.failed(error)
                state = repository.state()
        message = {"root": root, "state": state, **more}
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
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_BYTES, _MEMORY_BYTES))
    if os.getppid() != parent:
        return
    for number in (signal.SIGINT, signal.SIGHUP):  # the daemon decides
        signal.signal(number, signal.SIG_IGN)
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    output = os.dup(1)
    os.dup2(2, 1)
    config = msgspec.json.decode(arguments[2], type=HistoryConfig)
    with suppress(BrokenPipeError):
        _Worker(config, Repositories(Path(arguments[1]), config), output).run()


if __name__ == "__main__":
    main(sys.argv[1:])
