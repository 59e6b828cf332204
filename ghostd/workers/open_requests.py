"""The requests that a worker has and has not answered: what comes of them, and whether the worker is still alive."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ghostd.config.local import LocalConfig
from ghostd.errors import InvalidRequest, Overloaded
from ghostd.workers.messages import Cancel, Ended, Failed, FrameError, Message, Request, Vectors
from ghostd.workers.process import WorkerProcess
from ghostd.workers.running import Running

log = logging.getLogger(__name__)

_LAST = (Ended, Vectors, Failed)


class OpenRequests:
    """Those of one model. `on_over` is called for each that ends after its caller has gone."""

    def __init__(self, model: str, config: LocalConfig, on_over: Callable[[], None]) -> None:
        self._model = model
        self._config = config
        self._on_over = on_over
        self._open: dict[int, Running] = {}
        self._last_sign_s = 0.0
        self._watch: asyncio.TimerHandle | None = None

    @property
    def process(self) -> WorkerProcess | None:
        """The process that has some of them, unless it has ended."""
        return next((each.process for each in self._open.values() if not each.process.ended), None)

    # --- coming in ------------------------------------------------------------------

    def admit(self, rank: int, before: int) -> None:
        """Let one more of this rank in, or raise Overloaded; `before` are on their way and not begun yet.

        Where too many wait, one of those that are less urgent is refused instead, the last to have come.
        """
        waiting = [each for each in self._open.values() if not (each.begun or each.abandoned)]
        begun = len(waiting) < sum(not each.abandoned for each in self._open.values())
        count = len(waiting) + before
        if count < self._config.max_queue + (not begun):
            return
        victim = max(waiting, key=lambda each: (each.rank, each.id), default=None)
        error = Overloaded(
            f"{self._config.max_queue} requests wait for the model '{self._model}' already (local.max_queue).",
            retry_after_s=1.0,
        )
        if victim is None or victim.rank <= rank:
            raise error
        victim.refuse(error)
        self.abandon(victim)

    def begin(self, process: WorkerProcess, request: Request) -> Running:
        """Send it to the worker. Raises InvalidRequest."""
        try:
            process.send(request)
        except FrameError as error:
            raise InvalidRequest(f"The request is too large for the worker: {error}.") from None
        running = Running(request.id, process, request.rank)
        if process.ended:
            running.finish(None)
            return running
        if not self._open:
            self._last_sign_s = time.monotonic()
        self._open[request.id] = running
        if self._watch is None:
            self._look()
        return running

    # --- going ------------------------------------------------------------------------

    def abandon(self, running: Running) -> None:
        """The caller is gone: cancel it. It is over once the worker has stopped, or been ended."""
        if running.abandoned:
            return
        running.abandoned = True
        running.process.send(Cancel(running.id))
        running.timer = asyncio.get_running_loop().call_later(
            self._config.cancel_timeout_s, self._kill, running.process, "did not react to a cancellation"
        )

    def take(self, message: Message) -> bool:
        """Give a message to who asked; whether a request has ended with it."""
        running = self._open.get(getattr(message, "id", 0))
        if running is None:
            return False
        self._last_sign_s = time.monotonic()
        running.begun = True
        if not isinstance(message, _LAST):
            running.messages.put_nowait(message)
            return False
        self._over(running, message)
        return True

    def ended(self, process: WorkerProcess) -> bool:
        """The process is gone; whether it had requests."""
        lost = [each for each in self._open.values() if each.process is process]
        for running in lost:
            self._over(running, None)
        return bool(lost)

    def _over(self, running: Running, message: Message | None) -> None:
        del self._open[running.id]
        running.finish(message)
        if running.left:
            self._on_over()

    # --- watching ---------------------------------------------------------------------

    def _look(self) -> None:
        """End a worker that has work and gives no sign of life. One sign counts for all: a request may stand still
        while others are computed."""
        self._watch = None
        if not self._open:
            return
        quiet_s = time.monotonic() - self._last_sign_s
        left_s = self._config.worker_stall_s - quiet_s
        if left_s > 0:
            self._watch = asyncio.get_running_loop().call_later(left_s, self._look)
        elif (process := self.process) is not None:
            self._kill(process, f"gave no sign of life for {quiet_s:.0f} s")

    def _kill(self, process: WorkerProcess, what: str) -> None:
        log.warning("the worker of %s %s; it is restarted at the next request", self._model, what)
        for running in self._open.values():
            running.hung = running.hung or running.process is process
        process.kill()

    def close(self) -> None:
        """Stop the timers."""
        for timer in (self._watch, *(each.timer for each in self._open.values())):
            if timer is not None:
                timer.cancel()
