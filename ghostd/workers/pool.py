"""One worker process for each model that is in use: started at need, restarted after crashes, unloaded when idle."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncGenerator, Callable
from typing import Literal

from ghostd.config import LocalConfig
from ghostd.errors import (
    ContextTooLong,
    GhostdError,
    InvalidRequest,
    ModelFileInvalid,
    ModelUnavailable,
    Overloaded,
    WorkerCrashed,
    WorkerFailed,
)
from ghostd.workers import capacity
from ghostd.workers.catalog import Catalog, LocalModel, Stamp
from ghostd.workers.messages import (
    Cancel,
    Embed,
    Ended,
    Failed,
    Generate,
    Load,
    Message,
    Progress,
    Ready,
    Vectors,
)
from ghostd.workers.process import WorkerProcess

log = logging.getLogger(__name__)

_FIRST_REST_S = 1.0
_LONGEST_REST_S = 60.0
_CRASHES_FORGOTTEN_AFTER_S = 300.0
_FILE_CHECK_S = 1.0
_STATUS_WAIT_S = 0.5

State = Literal["ready", "unloaded", "loading", "failed"]


class _Running:
    """The request that a worker is computing, as messages for the one who asked."""

    def __init__(self, request_id: int, process: WorkerProcess) -> None:
        self.id = request_id
        self.process = process
        self.messages: asyncio.Queue[Message | None] = asyncio.Queue()
        self.last_sign_s = time.monotonic()
        self.over = False
        self.abandoned = False
        self.hung = False
        self.timer: asyncio.TimerHandle | None = None

    def finish(self) -> None:
        """No more messages will come."""
        self.over = True
        if self.timer is not None:
            self.timer.cancel()


class ModelWorker:
    """The worker of one model. One request runs at a time; others wait their turn in order."""

    def __init__(self, model: LocalModel, config: LocalConfig, catalog: Catalog, tasks: asyncio.TaskGroup) -> None:
        self.model = model
        self._config = config
        self._catalog = catalog
        self._tasks = tasks
        self._slot = asyncio.Lock()
        self._waiting = 0
        self._process: WorkerProcess | None = None
        self._loaded_stamp: Stamp | None = None
        self._loading: asyncio.Task[WorkerProcess | GhostdError] | None = None
        self._started: asyncio.Future[Ready | Failed | None] | None = None
        self._running: _Running | None = None
        self._last_id = 0
        self._idle: asyncio.TimerHandle | None = None
        self._checked_s = 0.0
        self._crashes = 0
        self._crashed_s = 0.0
        self._rests_until_s = 0.0
        self._refusal: tuple[Stamp | None, GhostdError] | None = None
        self.facts: Ready | None = None

    # --- what others may know -------------------------------------------------

    @property
    def pid(self) -> int | None:
        """Process id of the worker while it runs."""
        return self._process.pid if self._process is not None else None

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._waiting

    @property
    def state(self) -> State:
        """As in ModelInfo."""
        if self.model.header is None or self._refusal is not None:
            return "failed"
        if self._loading is not None:
            return "loading"
        return "ready" if self._process is not None else "unloaded"

    @property
    def detail(self) -> str:
        """As in ModelInfo."""
        if self.model.header is None:
            return self.model.problem
        if self._refusal is not None:
            return str(self._refusal[1])
        if (left := self._rests_until_s - time.monotonic()) > 0:
            return f"rests after {self._crashes} crashes, for {left:.0f} s more"
        if self._process is not None and (facts := self.facts) is not None:
            return (
                f"{facts.engine}, {facts.threads} threads: reads {facts.prefill_tokens_per_s:.0f} and writes "
                f"{facts.decode_tokens_per_s:.0f} tokens/s"
            )
        return ""

    def update(self, model: LocalModel) -> None:
        """Take over what a new scan found."""
        if self._refusal is not None and self._refusal[0] != model.stamp:
            self._refusal = None
        self.model = model

    # --- requests -------------------------------------------------------------

    async def run(self, make: Callable[[int], Generate | Embed]) -> AsyncGenerator[Message, None]:
        """The messages that answer one request; the last one is Ended or Vectors.

        Closing the generator cancels the request; the turn passes on when the worker has stopped. Raises
        ProviderError and RequestError.
        """
        await self._take_turn()
        running: _Running | None = None
        try:
            process = await self._ready_process()
            running = self._begin(process, make)
            while True:
                message = await running.messages.get()
                if message is None:
                    raise await self._crash_error(running)
                if isinstance(message, Failed):
                    raise _error_of(message)
                if not isinstance(message, Progress):
                    yield message
                if isinstance(message, (Ended, Vectors)):
                    return
        finally:
            if running is None or running.over:
                self._pass_turn()
            else:
                self._abandon(running)

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
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _pass_turn(self) -> None:
        self._running = None
        self._slot.release()
        self._idle = asyncio.get_running_loop().call_later(self._config.idle_unload_s, self._unload_idle)

    def _begin(self, process: WorkerProcess, make: Callable[[int], Generate | Embed]) -> _Running:
        self._last_id += 1
        self._running = running = _Running(self._last_id, process)
        process.send(make(running.id))
        if process.ended:
            running.finish()
            running.messages.put_nowait(None)
        else:
            self._watch(running)
        return running

    def _watch(self, running: _Running) -> None:
        """Kill a worker that gives no sign of life for too long."""
        quiet_s = time.monotonic() - running.last_sign_s
        left_s = self._config.worker_stall_s - quiet_s
        if left_s <= 0:
            self._kill_hung(running, f"gave no sign of life for {quiet_s:.0f} s")
        else:
            running.timer = asyncio.get_running_loop().call_later(left_s, self._watch, running)

    def _abandon(self, running: _Running) -> None:
        """The caller is gone: cancel, and pass the turn on once the worker has stopped, or been killed."""
        running.abandoned = True
        running.process.send(Cancel(running.id))
        if running.timer is not None:
            running.timer.cancel()
        running.timer = asyncio.get_running_loop().call_later(
            self._config.cancel_timeout_s, self._kill_hung, running, "did not react to a cancellation"
        )

    def _kill_hung(self, running: _Running, what: str) -> None:
        log.warning("the worker of %s %s; it is restarted at the next request", self.model.id, what)
        running.hung = True
        running.process.kill()

    async def _crash_error(self, running: _Running) -> GhostdError:
        if running.hung:
            return WorkerCrashed(f"The worker of '{self.model.id}' hung and was ended. The next request restarts it.")
        how = await _how_it_ended(running.process)
        return WorkerCrashed(f"The worker of '{self.model.id}' {how} during the request. The next one restarts it.")

    # --- the process ----------------------------------------------------------

    async def _ready_process(self) -> WorkerProcess:
        await self._check_file()
        if self._process is not None:
            return self._process
        self._check_rest()
        if self._refusal is not None:
            raise self._refusal[1]
        if self._loading is None:
            self._loading = self._tasks.create_task(self._load(), name=f"load {self.model.id}")
        loading = self._loading
        # Not awaited itself: a caller that goes away leaves the load running, for the next one.
        await asyncio.wait((loading,))
        if loading.cancelled():
            raise ModelUnavailable(f"The model '{self.model.id}' is not loaded: ghostd is shutting down.")
        outcome = loading.result()
        if isinstance(outcome, GhostdError):
            raise outcome
        return outcome

    async def _check_file(self) -> None:
        """Look for a changed file, once a second at most; a changed model is loaded anew."""
        if time.monotonic() - self._checked_s < _FILE_CHECK_S and self.model.header is not None:
            return
        self.update(await asyncio.to_thread(self._catalog.reread, self.model))
        self._checked_s = time.monotonic()
        if self.model.header is None:
            self.unload()
            raise ModelFileInvalid(f"The model '{self.model.id}' cannot be used: {self.model.problem}")
        if self._process is not None and self._loaded_stamp != self.model.stamp:
            log.info("the file of %s has changed; it is loaded anew", self.model.id)
            self.unload()

    def _check_rest(self) -> None:
        left_s = self._rests_until_s - time.monotonic()
        if left_s > 0:
            raise ModelUnavailable(
                f"The model '{self.model.id}' rests for {left_s:.0f} s more: its worker crashed "
                f"{self._crashes} times in a row.",
                retry_after_s=left_s,
            )

    async def preload(self) -> None:
        """Load without a request; a failure shows in `detail` and at the next request."""
        try:
            await self._take_turn()
        except Overloaded:
            return
        try:
            await self._ready_process()
        except GhostdError as error:
            log.warning("cannot preload %s: %s", self.model.id, error)
        finally:
            self._pass_turn()

    async def _load(self) -> WorkerProcess | GhostdError:
        """A loaded worker, or why there is none. Never raises: the task group would take all models down."""
        try:
            return await self._start()
        except GhostdError as error:
            return error
        except OSError as error:
            return ModelUnavailable(f"The worker of '{self.model.id}' cannot be started: {error.strerror}.", None)
        finally:
            self._loading = None

    async def _start(self) -> WorkerProcess:
        model = self.model
        assert model.header is not None
        plan = await asyncio.to_thread(capacity.plan, model, self._config, self.context_tokens)

        def load(scratch: str) -> Load:
            return Load(
                path=str(model.path),
                engine=plan.engine,
                context_tokens=plan.context_tokens,
                threads=plan.threads,
                n_batch=self._config.n_batch,
                n_gpu_layers=plan.n_gpu_layers,
                chat_template_timeout_s=self._config.chat_template_timeout_s,
                scratch=scratch,
            )

        self._started = asyncio.get_running_loop().create_future()
        process = WorkerProcess(self._receive, lambda: self._ended(process))
        await process.start(load)
        self._tasks.create_task(process.run(), name=f"worker {model.id}")
        try:
            async with asyncio.timeout(self._config.load_timeout_s):
                answer = await self._started
        except TimeoutError:
            process.kill()
            raise ModelUnavailable(
                f"The model '{model.id}' did not load within {self._config.load_timeout_s:g} s (local.load_timeout_s)."
            ) from None
        except asyncio.CancelledError:
            process.kill()
            raise
        return await self._loaded(process, answer, model)

    async def _loaded(self, process: WorkerProcess, answer: Ready | Failed | None, model: LocalModel) -> WorkerProcess:
        if isinstance(answer, Ready):
            self.facts = answer
            self._process, self._loaded_stamp = process, model.stamp
            log.info("loaded %s: %s", model.id, self.detail)
            return process
        if answer is None:
            how = await _how_it_ended(process)
            self._count_crash()
            raise WorkerCrashed(f"The worker of '{model.id}' {how} while it loaded {model.path}.")
        error = ModelFileInvalid(f"The model '{model.id}' cannot be loaded from {model.path}: {answer.message}.")
        self._refusal = (model.stamp, error)
        raise error

    @property
    def context_tokens(self) -> int:
        """Context that is, or will be, allocated."""
        if self._process is not None and self.facts is not None:
            return self.facts.context_tokens
        settings, header = self.model.settings, self.model.header
        wanted = (settings and settings.context_tokens) or self._config.context_tokens
        trained = header.context_tokens if header is not None else None
        return min(wanted, trained) if trained else wanted

    def _receive(self, message: Message) -> None:
        if isinstance(message, Ready) or (isinstance(message, Failed) and message.id == 0):
            if self._started is not None and not self._started.done():
                self._started.set_result(message)
            return
        running = self._running
        if running is None or getattr(message, "id", None) != running.id:
            return
        running.last_sign_s = time.monotonic()
        if isinstance(message, (Ended, Vectors, Failed)):
            running.finish()
            self._crashes = 0
            if running.abandoned:
                self._pass_turn()
                return
        running.messages.put_nowait(message)

    def _ended(self, process: WorkerProcess) -> None:
        """The process is gone, whoever ended it."""
        if process is self._process:
            self._process = None
        if self._started is not None and not self._started.done():
            self._started.set_result(None)
        running = self._running
        if running is not None and running.process is process and not running.over:
            self._count_crash()
            running.finish()
            if running.abandoned:
                self._pass_turn()
            else:
                running.messages.put_nowait(None)

    def _count_crash(self) -> None:
        now = time.monotonic()
        if now - self._crashed_s > _CRASHES_FORGOTTEN_AFTER_S:
            self._crashes = 0
        self._crashes += 1
        self._crashed_s = now
        if self._crashes > 1:
            rest_s = min(_FIRST_REST_S * 2.0 ** (self._crashes - 2), _LONGEST_REST_S)
            self._rests_until_s = now + rest_s
            log.warning("the worker of %s crashed %d times; it rests for %.0f s", self.model.id, self._crashes, rest_s)

    def _unload_idle(self) -> None:
        if not self._slot.locked() and self._process is not None:
            log.info("unloaded %s: unused for %g s", self.model.id, self._config.idle_unload_s)
            self.unload()

    def unload(self) -> None:
        """End the process; the next request starts a new one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()

    def close(self) -> None:
        """End the process and the timers for good."""
        if self._idle is not None:
            self._idle.cancel()
        if self._running is not None and self._running.timer is not None:
            self._running.timer.cancel()
        if self._loading is not None:
            self._loading.cancel()
        self.unload()


async def _how_it_ended(process: WorkerProcess) -> str:
    status = await process.wait_status(_STATUS_WAIT_S)
    if status is None:
        return "broke off"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"exited with status {status}"


def _error_of(failed: Failed) -> GhostdError:
    match failed.kind:
        case "invalid_request":
            return InvalidRequest(failed.message, failed.param)
        case "context_too_long":
            prompt_tokens, context_tokens = failed.numbers or (0, 0)
            return ContextTooLong(prompt_tokens, context_tokens, failed.param or "messages")
        case _:
            return WorkerFailed(f"The model could not do the request: {failed.message}.")
