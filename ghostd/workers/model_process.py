"""The process of one model: started at need, rested after crashes, started anew when its file has changed."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from ghostd.config.local import LocalConfig
from ghostd.errors import GhostdError, ModelFileInvalid, ModelTooLarge, ModelUnavailable, WorkerCrashed, WorkerFailed
from ghostd.workers import capacity
from ghostd.workers.backoff import Backoff
from ghostd.workers.catalog import Catalog, LocalModel
from ghostd.workers.header_cache import Stamp
from ghostd.workers.leaving import Leaving
from ghostd.workers.load_progress import LoadProgress
from ghostd.workers.memory import Need
from ghostd.workers.messages import Failed, Load, Loading, Message, Ready, Trouble
from ghostd.workers.process import WorkerProcess

log = logging.getLogger(__name__)

_MB = 1024 * 1024
_FILE_CHECK_S = 1.0
_STATUS_WAIT_S = 5.0

State = Literal["ready", "unloaded", "loading", "failed"]


class Memory(Protocol):
    """The model's part of the memory that all models share."""

    @property
    def gpu_spare(self) -> int:
        """Bytes of GPUs' memory that other models can be made to give back."""
        ...

    async def reserve(self, needed: Need, gpu_free: int, waits: Callable[[str], None]) -> None:
        """Have these bytes, or raise ProviderError; `waits` is told what it has to wait for."""
        ...

    def release(self) -> None:
        """Give them back."""
        ...

    def changed(self) -> None:
        """The model may be unloaded now."""
        ...


Started = asyncio.Future[Ready | Failed | None]


class ModelProcess:
    """Keeps at most one process. `on_message` gets what it says, `on_end` is called when it is gone."""

    def __init__(
        self,
        model: LocalModel,
        config: LocalConfig,
        catalog: Catalog,
        tasks: asyncio.TaskGroup,
        on_message: Callable[[Message], None],
        on_end: Callable[[WorkerProcess], None],
        memory: Memory,
        prompts: Path | None = None,
    ) -> None:
        """`prompts`: a folder for what is kept of them beyond a process; None: nothing is."""
        self.model = model
        self._memory = memory
        self._prompts = prompts
        self._progress: LoadProgress | None = None
        self._config = config
        self._catalog = catalog
        self._tasks = tasks
        self._on_message = on_message
        self._on_end = on_end
        self._process: WorkerProcess | None = None
        self.leaving = Leaving()
        self._facts: Ready | None = None
        self._loaded_stamp: Stamp | None = None
        self._loading: asyncio.Task[WorkerProcess | GhostdError] | None = None
        self._checked_s = 0.0
        self._backoff = Backoff()
        self._refusal: tuple[Stamp | None, GhostdError] | None = None

    @property
    def pid(self) -> int | None:
        """Process id while a model is loaded."""
        return self._process.pid if self._process is not None else None

    @property
    def state(self) -> State:
        """As in ModelInfo."""
        if self._refusal is not None or (self.model.header is None and not self.model.unread):
            return "failed"
        if self._loading is not None or self._progress is not None:
            return "loading"
        return "ready" if self._process is not None else "unloaded"

    @property
    def detail(self) -> str:
        """As in ModelInfo."""
        if self.model.header is None:
            return "its header is not read yet" if self.model.unread else self.model.problem
        if self._refusal is not None:
            return str(self._refusal[1])
        if (left_s := self._backoff.left_s) > 0:
            return f"rests after {self._backoff.crashes} crashes, for {left_s:.0f} s more"
        if self._progress is not None:
            return str(self._progress)
        if self._process is not None and (facts := self._facts) is not None:
            where = f"threads: {facts.threads}"
            if facts.gpu_layers:
                where = f"{facts.gpu_layers} of {self.model.header.blocks + 1} layers on {facts.gpus}"
            return (
                f"{facts.engine}, {where}; reads {facts.prefill_tokens_per_s:.0f} and writes "
                f"{facts.decode_tokens_per_s:.0f} tokens/s"
                + ("" if facts.fim_works else "; does not fill in spite of its markers")
            )
        return ""

    @property
    def facts(self) -> Ready | None:
        """What was measured when this very file was loaded last; None if it has not been."""
        return self._facts if self._loaded_stamp == self.model.stamp else None

    @property
    def fim(self) -> tuple[str, bool]:
        """What the self-test found of fill-in-the-middle (Ready.fim_order, fim_works), once the file was loaded."""
        facts = self.facts
        return (facts.fim_order, facts.fim_works) if facts is not None else ("", True)

    @property
    def context_tokens(self) -> int:
        """Context that is, or will be, allocated."""
        if self._process is not None and self._facts is not None:
            return self._facts.context_tokens
        settings, header = self.model.settings, self.model.header
        wanted = (settings and settings.context_tokens) or self._config.context_tokens
        trained = header.context_tokens if header is not None else None
        return min(wanted, trained) if trained else wanted

    def update(self, model: LocalModel) -> None:
        """Take over what a new scan found."""
        if self._refusal is not None and self._refusal[0] != model.stamp:
            self._refusal = None
        self.model = model

    async def ready(self) -> WorkerProcess:
        """The process with the loaded model; callers at the same time share one load.

        Raises ProviderError. A caller that goes away leaves the load running, for the next one.
        """
        await self._check_file()
        if self._process is not None:
            return self._process
        self._check_rest()
        if self._refusal is not None:
            raise self._refusal[1]
        loading = self._loading or await self._begin_load()
        await asyncio.wait((loading,))
        if loading.cancelled():
            raise ModelUnavailable(f"The model '{self.model.id}' is not loaded: its load was called off.")
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
            self._kill()
            raise ModelFileInvalid(f"The model '{self.model.id}' cannot be used: {self.model.problem}")
        if self._process is not None and self._loaded_stamp != self.model.stamp:
            log.info("the file of %s has changed; it is loaded anew", self.model.id)
            self._kill()

    def _check_rest(self) -> None:
        if (left_s := self._backoff.left_s) > 0:
            raise ModelUnavailable(
                f"The model '{self.model.id}' rests for {left_s:.0f} s more: its worker crashed "
                f"{self._backoff.crashes} times in a row.",
                retry_after_s=left_s,
            )

    async def _begin_load(self) -> asyncio.Task[WorkerProcess | GhostdError]:
        """Have the memory, then load in a task of its own. A caller that goes away while it waits loads nothing."""
        progress = self._progress = LoadProgress()
        try:
            if self.leaving.pid is not None:
                progress.wait("waits until its last process has ended")
            await self.leaving.gone()
            plan = await self._reserved(progress)
        except BaseException:
            self._progress = None
            raise
        progress.begin()
        self._loading = self._tasks.create_task(self._load(plan), name=f"load {self.model.id}")
        # Not a `finally` in the task: one that is cancelled before its first step runs none.
        self._loading.add_done_callback(lambda _: self._load_over())
        return self._loading

    async def _reserved(self, progress: LoadProgress) -> capacity.Plan:
        """A plan whose memory there is: with room for one prompt only, where there is no more."""
        plan = await self._plan(least=False)
        try:
            await self._memory.reserve(plan.need, plan.gpu_free, progress.wait)
        except ModelTooLarge:
            if plan.sequences == 1:
                raise
            plan = await self._plan(least=True)
            await self._memory.reserve(plan.need, plan.gpu_free, progress.wait)
        return plan

    async def _plan(self, *, least: bool) -> capacity.Plan:
        spare = self._memory.gpu_spare
        make = partial(capacity.plan, self.model, self._config, self.context_tokens, least=least, gpu_spare=spare)
        return await asyncio.to_thread(make)

    async def _load(self, plan: capacity.Plan) -> WorkerProcess | GhostdError:
        """A loaded worker, or why there is none. Raises nothing: the task group would take all models down."""
        try:
            return await self._start(plan)
        except GhostdError as error:
            return error
        except Exception:
            log.exception("cannot start the worker of %s", self.model.id)
            return WorkerFailed(f"The worker of '{self.model.id}' cannot be started; ghostd's log says why.")

    def _load_over(self) -> None:
        self._loading = self._progress = None
        if self._process is None:
            self._memory.release()
        else:
            self._memory.changed()

    async def _start(self, plan: capacity.Plan) -> WorkerProcess:
        model = self.model
        started: Started = asyncio.get_running_loop().create_future()
        process = WorkerProcess(lambda message: self._receive(message, started), lambda: self._ended(process, started))
        await process.start(
            lambda scratch: self._load_message(model, plan, scratch), scratch=plan.engine == "xllamacpp"
        )
        self._tasks.create_task(process.run(), name=f"worker {model.id}")
        try:
            async with asyncio.timeout(self._config.load_timeout_s):
                answer = await started
        except TimeoutError:
            process.kill()
            raise ModelUnavailable(
                f"The model '{model.id}' did not load within {self._config.load_timeout_s:g} s (local.load_timeout_s)."
            ) from None
        except asyncio.CancelledError:
            process.kill()
            raise
        return await self._loaded(process, answer, model)

    def _load_message(self, model: LocalModel, plan: capacity.Plan, scratch: str) -> Load:
        return Load(
            path=str(model.path),
            engine=plan.engine,
            context_tokens=plan.context_tokens,
            threads=plan.threads,
            n_batch=plan.n_batch,
            n_gpu_layers=plan.n_gpu_layers,
            chat_template_timeout_s=self._config.chat_template_timeout_s,
            scratch=scratch,
            sequences=plan.sequences,
            draft_tokens=self._config.draft_tokens,
            cache_tokens=plan.cache_tokens,
            prompts=str(self._prompts) if self._prompts is not None and self._keeps_prompts(plan) else "",
            prompts_bytes=self._config.prompt_cache_mb * _MB,
        )

    def _keeps_prompts(self, plan: capacity.Plan) -> bool:
        header = self.model.header
        return plan.engine == "llama-cpp-python" and header is not None and not header.embedding_only

    async def _loaded(self, process: WorkerProcess, answer: Ready | Failed | None, model: LocalModel) -> WorkerProcess:
        if isinstance(answer, Ready):
            self._process, self._facts, self._loaded_stamp = process, answer, model.stamp
            self._progress = None
            log.info("loaded %s: %s", model.id, self.detail)
            return process
        if answer is None:
            how = await how_it_ended(process)
            self.crashed()
            raise WorkerCrashed(
                f"The worker of '{model.id}' {how} while it loaded {model.path}; the file may be damaged."
            )
        error = ModelFileInvalid(f"The model '{model.id}' cannot be loaded from {model.path}: {answer.message}.")
        self._refusal = (model.stamp, error)
        raise error

    def _receive(self, message: Message, started: Started) -> None:
        if isinstance(message, Ready) or (isinstance(message, Failed) and message.id == 0):
            if not started.done():
                started.set_result(message)
        elif isinstance(message, Loading):
            if self._progress is not None:
                self._progress.percent = message.percent
        elif isinstance(message, Trouble):
            log.warning("the worker of %s: %s", self.model.id, message.what)
        else:
            self._on_message(message)

    def _ended(self, process: WorkerProcess, started: Started) -> None:
        """The process is gone, whoever ended it."""
        if process is self._process:
            self._process = None
            self._memory.release()
        if self.leaving.ended(process):
            self._memory.release()
        if not started.done():
            started.set_result(None)
        self._on_end(process)

    def crashed(self) -> None:
        """Count a crash."""
        self._backoff.crashed()
        if (left_s := self._backoff.left_s) > 0:
            log.warning(
                "the worker of %s crashed %d times; it rests for %.0f s", self.model.id, self._backoff.crashes, left_s
            )

    def succeeded(self) -> None:
        """A request was served: earlier crashes are forgotten."""
        self._backoff.succeeded()

    def unload(self) -> None:
        """End the process, once it has saved what it has read; the next request starts a new one."""
        process, self._process = self._process, None
        if process is not None and not self.leaving.begin(process):
            self._memory.release()

    def _kill(self) -> None:
        """End the process of a file that is not there any more: what it has read is worth nothing."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            self._memory.release()

    async def cancel_load(self) -> None:
        """End a load that is under way."""
        if (loading := self._loading) is not None:
            loading.cancel()
            await asyncio.wait((loading,))

    def close(self) -> None:
        """End the process, also one that is still loading."""
        if self._loading is not None:
            self._loading.cancel()
        self.unload()


async def how_it_ended(process: WorkerProcess) -> str:
    """In words that follow "the worker"."""
    status = await process.wait_status(_STATUS_WAIT_S)
    if status is None:
        return "broke off"
    if status < 0:
        return f"was ended by {signal.Signals(-status).name}"
    return f"exited with status {status}"
