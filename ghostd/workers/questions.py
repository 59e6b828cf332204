"""Questions that a worker answers beside its work: about tokens, without a turn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ghostd.errors import InvalidRequest, Overloaded, WorkerCrashed
from ghostd.workers.messages import Answer, Failed, FrameError, Generate, Message, Question
from ghostd.workers.process import WorkerProcess
from ghostd.workers.running import error_of

log = logging.getLogger(__name__)


class Questions:
    """Those of one model that wait for their answers."""

    def __init__(self, model: str, limit: int, patience_s: float) -> None:
        """At most `limit` wait; a worker that lets one wait for `patience_s` is ended."""
        self._model = model
        self._limit = limit
        self._patience_s = patience_s
        self._asked: dict[int, Asked] = {}

    @property
    def waiting(self) -> int:
        """How many wait, also for the model to be loaded."""
        return len(self._asked)

    @contextmanager
    def ask(self, number: int) -> Iterator[Asked]:
        """Wait among the others while the block runs; raises Overloaded."""
        if len(self._asked) >= self._limit:
            raise Overloaded(
                f"{self._limit} questions wait for the model '{self._model}' already (eight times local.max_queue).",
                retry_after_s=1.0,
            )
        asked = self._asked[number] = Asked(number, self._model, self._patience_s)
        try:
            yield asked
        finally:
            del self._asked[number]

    def take(self, message: Message) -> bool:
        """Give an answer to who asked; False for what is none."""
        if not isinstance(message, Answer | Failed):
            return False
        asked = self._asked.get(message.id)
        if asked is not None:
            asked.take(message)
        return asked is not None or isinstance(message, Answer)

    def ended(self, process: WorkerProcess) -> bool:
        """The process is gone; says whether it was asked something."""
        lost = [asked for asked in self._asked.values() if asked.process is process]
        for asked in lost:
            asked.take(None)
        return bool(lost)


class Asked:
    """One question."""

    def __init__(self, number: int, model: str, patience_s: float) -> None:
        self._number = number
        self._model = model
        self._patience_s = patience_s
        self._answer: asyncio.Future[Answer | Failed | None] = asyncio.get_running_loop().create_future()
        self.process: WorkerProcess | None = None

    def take(self, answer: Answer | Failed | None) -> None:
        """The answer has come; None: it never will."""
        if not self._answer.done():
            self._answer.set_result(answer)

    async def answered_by(self, process: WorkerProcess, make: Callable[[int], Question | Generate]) -> Answer:
        """Send the question and wait; raises ProviderError and RequestError."""
        self.process = process
        try:
            process.send(make(self._number))
        except FrameError as error:
            raise InvalidRequest(f"The request is too large for the worker: {error}.") from None
        if process.ended:
            self.take(None)
        try:
            async with asyncio.timeout(self._patience_s):
                answer = await self._answer
        except TimeoutError:
            log.warning("the worker of %s left a question for %g s; it is ended", self._model, self._patience_s)
            process.kill()
            raise WorkerCrashed(
                f"The worker of '{self._model}' hung and was ended. The next request restarts it."
            ) from None
        if answer is None:
            raise WorkerCrashed(
                f"The worker of '{self._model}' ended before it answered. The next request restarts it."
            )
        if isinstance(answer, Failed):
            raise error_of(answer)
        return answer
