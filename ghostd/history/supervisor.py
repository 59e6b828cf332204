"""The daemon's side of the history's process: starts it for a question, ends it when idle or stuck."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from ghostd import child_process
from ghostd.config.projects import HistoryConfig

log = logging.getLogger(__name__)

IDLE_S = 30.0
"""Without a question or a reading the process is ended."""
_STUCK_S = 60.0
"""A reading says something after each step; one that says nothing for so long is ended."""
_MAX_STRIKES = 3
"""Deaths in a row, after which questions are given up."""
_BACK_OFF_S = 30.0
"""Then no process is started for so long."""
_MAX_ENDED = 3
"""Times in a row that the process ended while it read a root's history; then the others go on without that root."""
_ROOT_RESTS_S = 600.0
"""Then nothing is asked about the root for so long."""

State = list[Any]


@dataclass(slots=True)
class _Question:
    order: dict[str, Any]
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class Supervisor:
    """Runs the process while there are questions. `run()` is a task of the history."""

    folder: Path
    config: HistoryConfig
    on_state: Callable[[str, State], None]
    awake: bool = False
    """Whether the process runs and has answered."""
    _questions: dict[int, _Question] = field(default_factory=dict)
    _wanted: asyncio.Event = field(default_factory=asyncio.Event)
    _process: asyncio.subprocess.Process | None = None
    _idle: asyncio.Timeout | None = None
    _last: int = 0
    _strikes: int = 0
    _killed: bool = False
    _rests_until: float = 0.0
    _reading: set[str] = field(default_factory=set)
    _ended: Counter[str] = field(default_factory=Counter)
    """How often in a row the process ended while it read a root's history."""
    _root_rests_until: dict[str, float] = field(default_factory=dict)

    @property
    def pid(self) -> int | None:
        """The process's id; None while there is none."""
        return self._process.pid if self._process else None

    async def ask(self, order: dict[str, Any], timeout_s: float | None) -> Any:
        """The answer; None where it cannot be had. Raises TimeoutError; the process is ended then."""
        loop = asyncio.get_running_loop()
        if loop.time() < max(self._rests_until, self._root_rests_until.get(order["root"], 0)):
            return None
        was_busy = self._busy()
        self._last += 1
        number = self._last
        question = self._questions[number] = _Question({**order, "job": number}, loop.create_future())
        if self._process is not None:
            self._write(question.order)
        if not was_busy and self._idle is not None and not self._idle.expired():
            self._idle.reschedule(loop.time() + _STUCK_S)
        self._wanted.set()
        try:
            async with asyncio.timeout(timeout_s):
                return await question.answer
        except TimeoutError:
            log.warning("%s: a question about its history (%s) took too long", order["root"], order["op"])
            self._questions.pop(number, None)
            self._kill()
            raise
        finally:
            self._questions.pop(number, None)

    async def run(self) -> None:
        """Serve until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while self._questions:
                await self._serve()

    async def _serve(self) -> None:
        try:
            process = await self._spawn()
        except OSError as error:
            self._give_up(f"the history's process cannot be started: {error}")
            return
        self._process, self._killed = process, False
        try:
            for question in tuple(self._questions.values()):
                self._write(question.order)
            if await self._listen(process):
                return
        finally:
            self._process, self.awake = None, False
            self._ended.update(self._reading)
            self._reading.clear()
            await child_process.end(process)
        left = [root for root, times in self._ended.items() if times >= _MAX_ENDED]
        for root in left:
            self._leave(root)
        if self._killed or left:
            return
        self._strikes += 1
        if self._strikes >= _MAX_STRIKES:
            self._give_up("the history's process keeps ending")

    async def _listen(self, process: asyncio.subprocess.Process) -> bool:
        """Dispatch messages; True when there was nothing to do for long."""
        assert process.stdout is not None
        while True:
            try:
                async with asyncio.timeout(_STUCK_S if self._busy() else IDLE_S) as self._idle:
                    line = await process.stdout.readline()
            except TimeoutError:
                if not self._busy():
                    return True
                process.kill()
                return False
            finally:
                self._idle = None
            if not line.endswith(b"\n"):
                return False
            self._dispatch(json.loads(line))

    def _dispatch(self, message: dict[str, Any]) -> None:
        root, state = message["root"], message["state"]
        if state[0] == "reading":
            self._reading.add(root)
        else:
            self._reading.discard(root)
            self._ended.pop(root, None)
        self.on_state(root, state)
        question = self._questions.pop(message.get("job", 0), None)
        if question is not None:
            self._strikes, self.awake = 0, True
            if not question.answer.done():
                question.answer.set_result(message["result"])

    def _give_up(self, problem: str) -> None:
        log.error("%s; no history for %d s", problem, _BACK_OFF_S)
        self._strikes = 0
        self._rests_until = asyncio.get_running_loop().time() + _BACK_OFF_S
        self._fail(tuple(self._questions), problem)

    def _leave(self, root: str) -> None:
        """Ask nothing about a root for a while, so that those of the others are answered."""
        problem = f"reading was ended {self._ended.pop(root)} times, because it took too long or its process died"
        log.error("%s: %s; no history of it for %d s", root, problem, _ROOT_RESTS_S)
        self._root_rests_until[root] = asyncio.get_running_loop().time() + _ROOT_RESTS_S
        self.on_state(root, ["failed", "", 0, False, problem])
        self._fail([n for n, question in self._questions.items() if question.order["root"] == root], problem)

    def _fail(self, numbers: Sequence[int], problem: str) -> None:
        for number in numbers:
            question = self._questions.pop(number)
            self.on_state(question.order["root"], ["failed", "", 0, False, problem])
            if not question.answer.done():
                question.answer.set_result(None)

    def _busy(self) -> bool:
        return bool(self._questions or self._reading)

    def _kill(self) -> None:
        if self._process is not None:
            self._killed = True
            with suppress(ProcessLookupError):
                self._process.kill()

    def _write(self, order: dict[str, Any]) -> None:
        child_process.send(self._process, json.dumps(order, separators=(",", ":")).encode() + b"\n")

    async def _spawn(self) -> asyncio.subprocess.Process:
        config = msgspec.json.encode(self.config).decode()
        return await child_process.start("ghostd.history.worker", str(self.folder), config)
