"""One worker for each model: requests take turns, and a turn ends when the worker has stopped computing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable

from ghostd.config import LocalConfig
from ghostd.errors import GhostdError, InvalidRequest, Overloaded, WorkerCrashed
from ghostd.workers.budget import MemoryBudget
from ghostd.workers.catalog import Catalog, LocalModel
from ghostd.workers.messages import (
    Answer,
    Cancel,
    Embed,
    Ended,
    Failed,
    FrameError,
    Generate,
    Message,
    Progress,
    Question,
    Vectors,
)
from ghostd.workers.model_process import ModelProcess, State, how_it_ended
from ghostd.workers.process import WorkerProcess
from ghostd.workers.questions import Questions
from ghostd.workers.running import Running, error_of

log = logging.getLogger(__name__)

_QUESTIONS = 8
"""Times local.max_queue: so many questions about tokens may wait, for each takes little time."""


class ModelWorker:
    """The worker of one model. One request runs at a time; others wait their turn in order."""

    def __init__(
        self,
        model: LocalModel,
        config: LocalConfig,
        catalog: Catalog,
        tasks: asyncio.TaskGroup,
        budget: MemoryBudget,
        *,
        pinned: bool = False,
    ) -> None:
        self._config = config
        self._budget = budget
        self._host = ModelProcess(model, config, catalog, tasks, self._receive, self._ended, self)
        self._pinned = pinned
        self.last_used_s = 0.0
        """time.monotonic() of its last use."""
        self._slot = asyncio.Lock()
        self._waiting = 0
        self._running: Running | None = None
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
        return self._slot.locked() or self._waiting > 0 or self._questions.waiting > 0 or self._host.state == "loading"

    @property
    def pinned(self) -> bool:
        """Whether it stays loaded, once it is, until it is told otherwise."""
        return self._pinned

    @property
    def pid(self) -> int | None:
        """Process id of the worker while it runs."""
        return self._host.pid

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
    def context_tokens(self) -> int:
        """Context that is, or will be, allocated."""
        return self._host.context_tokens

    def update(self, model: LocalModel) -> None:
        """Take over what a new scan found."""
        self._host.update(model)

    async def run(self, make: Callable[[int], Generate | Embed]) -> AsyncGenerator[Message, None]:
        """The messages that answer one request; the last one is Ended or Vectors.

        Closing the generator cancels the request; the turn passes on when the worker has stopped. Raises
        ProviderError and RequestError.
        """
        await self._take_turn()
        running: Running | None = None
        try:
            process = await self._ready()
            running = self._begin(process, make)
            while True:
                message = await running.messages.get()
                if message is None:
                    raise await self._crash_error(running)
                if isinstance(message, Failed):
                    raise error_of(message)
                if not isinstance(message, Progress):
                    yield message
                if isinstance(message, (Ended, Vectors)):
                    return
        finally:
            if running is None or running.over:
                self._pass_turn()
            else:
                self._abandon(running)

    async def ask(self, make: Callable[[int], Question | Generate]) -> Answer:
        """The answer to a question about tokens; it takes no turn. Raises ProviderError and RequestError."""
        self._last_id += 1
        with self._questions.ask(self._last_id) as question:
            self._stir()
            try:
                running = self._running
                process = running.process if running is not None and not running.over else await self._ready()
                return await question.answered_by(process, make)
            finally:
                if not self._slot.locked():
                    self.last_used_s = time.monotonic()
                    self._rest()
                    self._budget.changed()

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
        await self._take_turn()
        try:
            await self._ready()
        finally:
            self._pass_turn()

    async def unload_in_turn(self) -> None:
        """Unload it when the requests that came before have ended; a load that nobody waits for ends at once."""
        if not self._slot.locked():
            await self._host.cancel_load()
        await self._take_turn()
        try:
            self.unload()
        finally:
            self._pass_turn()

    def unload(self) -> None:
        """End the process at once; only for a model that is not busy."""
        self._host.unload()
        self._keep_s = self._config.idle_unload_s

    def keep(self, seconds: float) -> None:
        """How long it stays loaded without use, until it is unloaded; negative: for ever."""
        self._keep_s = None if seconds < 0 else seconds
        if not self._slot.locked():
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
        """What it holds, by estimate."""
        return self._budget.held_by(self)

    def pin(self, pinned: bool) -> None:
        """Keep it loaded, or let it be unloaded again."""
        self._pinned = pinned
        if not self._slot.locked():
            self._rest()
        self._budget.changed()

    # --- its part of the memory (model_process.Memory) -------------------------

    async def reserve(self, needed: int, waits: Callable[[str], None]) -> None:
        """See MemoryBudget.reserve."""
        await self._budget.reserve(self, needed, waits)

    def release(self) -> None:
        """Its process is gone."""
        self._budget.release(self)

    def changed(self) -> None:
        """It may be unloaded now."""
        self._budget.changed()

    # --- turns -----------------------------------------------------------------

    async def _take_turn(self) -> None:
        if self._waiting >= self._config.max_queue:
            raise Overloaded(
                f"{self._waiting} requests wait for the model '{self.model.id}' already (local.max_queue).",
                retry_after_s=1.0,
            )
        self._waiting += 1
        try:
            await self._slot.acquire()
        finally:
            self._waiting -= 1
        self._stir()

    def _stir(self) -> None:
        """It is in use again."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _pass_turn(self) -> None:
        self._running = None
        self.last_used_s = time.monotonic()
        self._slot.release()
        self._rest()
        self._budget.changed()

    def _rest(self) -> None:
        """Begin to count the time without use."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._keep_s is not None:
            self._idle = asyncio.get_running_loop().call_later(self._keep_s, self._unload_idle)

    def _begin(self, process: WorkerProcess, make: Callable[[int], Generate | Embed]) -> Running:
        self._last_id += 1
        try:
            process.send(make(self._last_id))
        except FrameError as error:
            raise InvalidRequest(f"The request is too large for the worker: {error}.") from None
        self._running = running = Running(self._last_id, process)
        if process.ended:
            running.finish()
            running.messages.put_nowait(None)
        else:
            self._watch(running)
        return running

    def _watch(self, running: Running) -> None:
        """Kill a worker that gives no sign of life for too long."""
        quiet_s = time.monotonic() - running.last_sign_s
        left_s = self._config.worker_stall_s - quiet_s
        if left_s <= 0:
            self._kill_hung(running, f"gave no sign of life for {quiet_s:.0f} s")
        else:
            running.timer = asyncio.get_running_loop().call_later(left_s, self._watch, running)

    def _abandon(self, running: Running) -> None:
        """The caller is gone: cancel, and pass the turn on once the worker has stopped, or been killed."""
        running.abandoned = True
        running.process.send(Cancel(running.id))
        if running.timer is not None:
            running.timer.cancel()
        running.timer = asyncio.get_running_loop().call_later(
            self._config.cancel_timeout_s, self._kill_hung, running, "did not react to a cancellation"
        )

    def _kill_hung(self, running: Running, what: str) -> None:
        log.warning("the worker of %s %s; it is restarted at the next request", self.model.id, what)
        running.hung = True
        running.process.kill()

    async def _crash_error(self, running: Running) -> GhostdError:
        if running.hung:
            return WorkerCrashed(f"The worker of '{self.model.id}' hung and was ended. The next request restarts it.")
        how = await how_it_ended(running.process)
        return WorkerCrashed(f"The worker of '{self.model.id}' {how} during the request. The next one restarts it.")

    def _receive(self, message: Message) -> None:
        if self._questions.take(message):
            return
        running = self._running
        if running is None or getattr(message, "id", None) != running.id:
            return
        running.last_sign_s = time.monotonic()
        if isinstance(message, (Ended, Vectors, Failed)):
            running.finish()
            self._host.succeeded()
            if running.abandoned:
                self._pass_turn()
                return
        running.messages.put_nowait(message)

    def _ended(self, process: WorkerProcess) -> None:
        asked = self._questions.ended(process)
        running = self._running
        if running is None or running.process is not process or running.over:
            if asked:
                self._host.crashed()
            return
        self._host.crashed()
        running.finish()
        if running.abandoned:
            self._pass_turn()
        else:
            running.messages.put_nowait(None)

    def _unload_idle(self) -> None:
        if not self.busy and not self._pinned and self.pid is not None:
            log.info("unloaded %s: unused for %g s", self.model.id, self._keep_s or 0)
            self.unload()

    def close(self) -> None:
        """End the process and the timers for good."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._running is not None and self._running.timer is not None:
            self._running.timer.cancel()
        self._host.close()
