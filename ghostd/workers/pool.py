"""One worker for each model: it has all of the model's requests at once, and says itself what it computes next."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from ghostd.config.local import LocalConfig
from ghostd.errors import GhostdError, WorkerCrashed
from ghostd.workers.budget import MemoryBudget
from ghostd.workers.catalog import Catalog, LocalModel
from ghostd.workers.memory import Need
from ghostd.workers.messages import (
    Answer,
    Ended,
    Failed,
    Generate,
    Message,
    Progress,
    Question,
    Ready,
    Request,
    Vectors,
)
from ghostd.workers.model_process import ModelProcess, State, how_it_ended
from ghostd.workers.open_requests import OpenRequests
from ghostd.workers.process import WorkerProcess
from ghostd.workers.questions import Questions
from ghostd.workers.running import Running, error_of
from ghostd.workers.turn_queue import TurnQueue

log = logging.getLogger(__name__)

_QUESTIONS = 8
"""Times local.max_queue: so many questions about tokens may wait, for each takes little time."""


class ModelWorker:
    """The worker of one model."""

    def __init__(
        self,
        model: LocalModel,
        config: LocalConfig,
        catalog: Catalog,
        tasks: asyncio.TaskGroup,
        budget: MemoryBudget,
        *,
        pinned: bool = False,
        prompts: Path | None = None,
    ) -> None:
        """`prompts`: as in ModelProcess."""
        self._config = config
        self._budget = budget
        self._host = ModelProcess(model, config, catalog, tasks, self._receive, self._ended, self, prompts)
        self._pinned = pinned
        self.last_used_s = 0.0
        """time.monotonic() of its last use."""
        self._turns = TurnQueue()
        self._starting = 0
        """Requests that are in, and not sent yet: the model is being loaded."""
        self._open = OpenRequests(model.id, config, self._leave)
        self._questions = Questions(model.id, _QUESTIONS * config.max_queue, config.worker_stall_s)
        self._loads = asyncio.Lock()
        self._last_id = 0
        self._idle: asyncio.TimerHandle | None = None
        self._keep_s: float | None = config.idle_unload_s

    @property
    def model(self) -> LocalModel:
        """What the last scan found."""
        return self._host.model

    @property
    def id(self) -> str:
        """The model's name."""
        return self._host.model.id

    @property
    def busy(self) -> bool:
        """Whether it computes, loads, or has requests waiting."""
        return self._turns.used or self._questions.waiting > 0 or self._host.state == "loading"

    @property
    def pinned(self) -> bool:
        """Whether it stays loaded, once it is, until it is told otherwise."""
        return self._pinned

    @property
    def pid(self) -> int | None:
        """Process id of the worker while it runs."""
        return self._host.pid

    @property
    def leaving_pid(self) -> int | None:
        """Process id of a worker that is ending, and holds its memory until then."""
        return self._host.leaving.pid

    @property
    def state(self) -> State:
        """As in ModelInfo."""
        return self._host.state

    @property
    def detail(self) -> str:
        """As in ModelInfo."""
        return self._host.detail

    @property
    def fim(self) -> tuple[str, bool]:
        """What the self-test found of fill-in-the-middle: an order or "", and whether it works."""
        return self._host.fim

    @property
    def facts(self) -> Ready | None:
        """What was measured when the file was loaded last; None if it has not been."""
        return self._host.facts

    @property
    def context_tokens(self) -> int:
        """Context that is, or will be, allocated."""
        return self._host.context_tokens

    def update(self, model: LocalModel) -> None:
        """Take over what a new scan found."""
        self._host.update(model)

    async def run(self, make: Callable[[int], Request]) -> AsyncGenerator[Message, None]:
        """The messages that answer one request; the last one is Ended or Vectors.

        Closing the generator cancels the request. Raises ProviderError and RequestError.
        """
        asked_s = time.monotonic()
        self._last_id += 1
        request = make(self._last_id)
        self._open.admit(request.rank, self._starting + self._turns.waiting)
        await self._turns.enter()
        self._stir()
        running: Running | None = None
        try:
            running = await self._sent(request)
            waited_ms = (time.monotonic() - asked_s) * 1e3
            while True:
                message = await running.messages.get()
                if message is None and not running.begun:
                    running = await self._sent(request)  # another one has brought the worker down
                    continue
                if message is None:
                    raise await self._crash_error(running)
                if isinstance(message, GhostdError):
                    raise message
                if isinstance(message, Failed):
                    raise error_of(message)
                if isinstance(message, Ended) and message.timings_ms:
                    message.timings_ms[0] += waited_ms
                if not isinstance(message, Progress):
                    yield message
                if isinstance(message, (Ended, Vectors)):
                    return
        finally:
            if running is None or running.over:
                self._leave()
            else:
                running.left = True
                self._open.abandon(running)

    async def _sent(self, request: Request) -> Running:
        """The request, with a worker that has the model loaded. Raises ProviderError and InvalidRequest."""
        self._starting += 1
        try:
            process = self._open.process or await self._ready()
        finally:
            self._starting -= 1
        return self._open.begin(process, request)

    async def ask(self, make: Callable[[int], Question | Generate]) -> Answer:
        """The answer to a question about tokens; it takes no turn. Raises ProviderError and RequestError."""
        self._last_id += 1
        with self._questions.ask(self._last_id) as question:
            self._stir()
            try:
                process = self._open.process or await self._ready()
                return await question.answered_by(process, make)
            finally:
                self._used()

    async def _ready(self) -> WorkerProcess:
        """The process with the loaded model. Raises ProviderError."""
        async with self._loads:
            return await self._host.ready()

    async def preload(self) -> None:
        """Load without a request; a failure shows in `detail` and at the next request."""
        try:
            await self.load()
        except GhostdError as error:
            log.warning("cannot preload %s: %s", self.model.id, error)

    async def load(self) -> None:
        """Have it loaded. Raises ProviderError."""
        await self._turns.enter()
        self._stir()
        try:
            if self._open.process is None:
                await self._ready()
        finally:
            self._leave()

    async def unload_in_turn(self) -> None:
        """Unload it when the requests that came before have ended; a load that nobody waits for ends at once."""
        if not self._turns.used:
            await self._host.cancel_load()
        async with self._turns.alone():
            self._stir()
            self.unload()
            await self._host.leaving.gone()
        self._used()

    def unload(self) -> None:
        """End the process; only for a model that is not busy."""
        self._host.unload()
        self._keep_s = self._config.idle_unload_s

    def keep(self, seconds: float) -> None:
        """How long it stays loaded without use, until it is unloaded; negative: for ever."""
        self._keep_s = None if seconds < 0 else seconds
        if not self._turns.used:
            self._rest()

    @property
    def expires_s(self) -> float | None:
        """When it is unloaded unless it is used before, in seconds since the epoch; None: never."""
        if self._pinned or self._keep_s is None:
            return None
        if self._idle is None:
            return time.time() + self._keep_s
        return time.time() + self._idle.when() - asyncio.get_running_loop().time()

    @property
    def memory_bytes(self) -> int:
        """What it holds of the machine's memory and of GPUs', by estimate."""
        held = self._budget.held_by(self)
        return held.host + held.gpu

    def pin(self, pinned: bool) -> None:
        """Keep it loaded, or let it be unloaded again."""
        self._pinned = pinned
        if not self._turns.used:
            self._rest()
        self._budget.changed()

    # --- its part of the memory (model_process.Memory) -------------------------

    @property
    def gpu_spare(self) -> int:
        """See MemoryBudget.gpu_spare."""
        return self._budget.gpu_spare(self)

    async def reserve(self, needed: Need, gpu_free: int, waits: Callable[[str], None]) -> None:
        """See MemoryBudget.reserve."""
        await self._budget.reserve(self, needed, gpu_free, waits)

    def release(self) -> None:
        """Its process is gone."""
        self._budget.release(self)

    def changed(self) -> None:
        """It may be unloaded now."""
        self._budget.changed()

    # --- turns -----------------------------------------------------------------

    def _stir(self) -> None:
        """It is in use again."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _leave(self) -> None:
        """A request is over."""
        self._turns.leave()
        self._used()

    def _used(self) -> None:
        """Something is over; if it was the last, the time without use begins."""
        if not self._turns.used:
            self.last_used_s = time.monotonic()
            self._rest()
            self._budget.changed()

    def _rest(self) -> None:
        """Begin to count the time without use."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._keep_s is not None:
            self._idle = asyncio.get_running_loop().call_later(self._keep_s, self._unload_idle)

    async def _crash_error(self, running: Running) -> GhostdError:
        if running.hung:
            return WorkerCrashed(f"The worker of '{self.model.id}' hung and was ended. The next request restarts it.")
        how = await how_it_ended(running.process)
        return WorkerCrashed(f"The worker of '{self.model.id}' {how} during the request. The next one restarts it.")

    def _receive(self, message: Message) -> None:
        if not self._questions.take(message) and self._open.take(message):
            self._host.succeeded()

    def _ended(self, process: WorkerProcess) -> None:
        asked = self._questions.ended(process)
        lost = self._open.ended(process)
        if asked or lost:
            self._host.crashed()

    def _unload_idle(self) -> None:
        if not self.busy and not self._pinned and self.pid is not None:
            log.info("unloaded %s: unused for %g s", self.model.id, self._keep_s or 0)
            self.unload()

    def close(self) -> None:
        """End the process and the timers for good."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        self._open.close()
        self._host.close()
