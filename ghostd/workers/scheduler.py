"""What the child computes next. It keeps several generations open and goes on with the most urgent ones.

Work that is less urgent stands still meanwhile, between two tokens or amid its prompt, and goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ghostd.workers.engines.contract import (
    EndStep,
    Engine,
    EngineFailed,
    Failure,
    Generation,
    Interrupted,
    Owner,
    RequestInvalid,
    Step,
    TokenStep,
)
from ghostd.workers.inbox import Inbox
from ghostd.workers.jobs import Job, Order
from ghostd.workers.layout import Layout, TooLong
from ghostd.workers.messages import (
    Cancel,
    Embed,
    Ended,
    Failed,
    Finish,
    Generate,
    Message,
    Progress,
    Vectors,
    pack_vector,
)


class Scheduler:
    """Serves all requests of one loaded model; the main thread's."""

    def __init__(self, engine: Engine, layout: Layout, inbox: Inbox, send: Callable[[Message], None]) -> None:
        self._engine, self._layout, self._inbox, self._send = engine, layout, inbox, send
        self._jobs: dict[int, Job] = {}
        """In the order they came."""
        self._order = Order()
        self._finished = False

    def run(self) -> None:
        """Serve until it is to finish."""
        while not self._finished:
            self._take_in()
            if not self._jobs:
                continue
            chosen = self._choose()
            if chosen and self._inbox.begin([job.id for job in chosen], chosen[0].request.rank):
                try:
                    self._compute(chosen)
                finally:
                    self._inbox.end()

    # --- what comes in --------------------------------------------------------------

    def _take_in(self) -> None:
        """Take work in, wait for some if there is none, and answer questions. Of what was cancelled before it was
        taken in, nothing begins."""
        for message, came_s in self._inbox.work(wait=not self._jobs):
            if isinstance(message, Generate | Embed):
                self._jobs[message.id] = Job(message, came_s)
            elif isinstance(message, Cancel) and (job := self._jobs.get(message.id)) is not None:
                self._end(job)
                self._send(Ended(job.id, None, 0, 0, 0))
            elif isinstance(message, Finish):
                self._finish(came_s + message.within_s)
        for question in self._inbox.questions():
            try:
                self._send(self._layout.answer(question))
            except (RequestInvalid, EngineFailed) as error:
                self._send(_failed(question.id, error))

    def _finish(self, until_s: float) -> None:
        for job in list(self._jobs.values()):
            self._end(job)
        self._engine.save_prompts(until_s)
        self._finished = True

    def _end(self, job: Job) -> None:
        del self._jobs[job.id]
        if job.generation is not None:
            job.generation.close()

    # --- what is computed -----------------------------------------------------------

    def _choose(self) -> list[Job]:
        """Those whose turn it is and that fit; [] where one was refused."""
        jobs = list(self._jobs.values())
        chosen: list[Job] = []
        for job in self._order.line(jobs):
            if not (job.begun or self._begin(job)):
                if job.id not in self._jobs:
                    return []
                continue
            if isinstance(job.request, Embed):
                chosen = chosen or [job]
                break
            chosen.append(job)
            if len(chosen) == self._engine.together:
                break
        if not chosen:  # less urgent ones that cannot stand still are in the way: they have to end first
            chosen = [job for job in jobs if job.generation is not None and not job.generation.pausable]
        self._order.served(chosen, jobs)
        return chosen

    def _begin(self, job: Job) -> bool:
        """Open it, unless it has to wait for others to end, or cannot be done."""
        request = job.request
        beside = [] if isinstance(request, Embed) else self._beside(job)
        if len(beside) >= self._engine.slots:
            return False
        if job.laid_out is None:
            self._send(Progress(request.id))
        try:
            if isinstance(request, Embed):
                job.prompts = self._layout.inputs(request)
            else:
                if job.laid_out is None:
                    job.laid_out = self._layout.generation(request)
                if beside and sum(other.tokens for other in (job, *beside)) > self._engine.cache_tokens:
                    return False
                owner = Owner(request.client, request.document)
                job.generation = self._engine.open(job.laid_out.prompt, job.laid_out.options, owner)
        except (RequestInvalid, EngineFailed, TooLong) as error:
            self._refuse(job, error)
            return False
        return True

    def _beside(self, job: Job) -> list[Job]:
        """Those that are open and do not make room for it."""
        return [
            other
            for other in self._jobs.values()
            if other.generation is not None
            and (other.request.rank <= job.request.rank or not other.generation.pausable)
        ]

    def _refuse(self, job: Job, error: Exception) -> None:
        self._end(job)
        self._send(_failed(job.id, error))

    def _compute(self, chosen: list[Job]) -> None:
        first = chosen[0]
        if isinstance(first.request, Embed):
            self._embed(first)
            return
        by_generation = {id(job.generation): job for job in self._jobs.values()}
        began_s = time.monotonic()
        try:
            found = self._engine.step([job.generation for job in chosen if job.generation is not None])
        except EngineFailed as error:
            for job in chosen:
                self._refuse(job, error)
            return
        spent_s = time.monotonic() - began_s
        for job in chosen:
            job.spend(spent_s)
        self._deliver(found, by_generation)

    def _deliver(self, found: Sequence[tuple[Generation, Step | Failure]], jobs: dict[int, Job]) -> None:
        for generation, step in found:
            job = jobs[id(generation)]
            if job.id not in self._jobs:
                continue  # it ended with the step before, e.g. with a stop string
            if isinstance(step, RequestInvalid | EngineFailed):
                self._refuse(job, step)
                continue
            assert job.laid_out is not None
            if isinstance(step, TokenStep):
                job.wrote(step.came_s)
            over = job.laid_out.reply.take(step, job.timings_ms)
            if over or isinstance(step, EndStep):
                self._end(job)

    def _embed(self, job: Job) -> None:
        """One input; the vectors are sent when all are made."""
        assert job.prompts is not None
        try:
            if job.prompts:
                job.vectors.append(pack_vector(self._engine.embed(job.prompts[0])))
                job.read_tokens += len(job.prompts.pop(0))
                self._send(Progress(job.id))
        except Interrupted:
            return
        except (RequestInvalid, EngineFailed) as error:
            self._refuse(job, error)
            return
        if not job.prompts:
            self._end(job)
            self._send(Vectors(job.id, job.vectors, job.read_tokens))


def _failed(request_id: int, error: Exception) -> Failed:
    if isinstance(error, TooLong):
        return Failed(request_id, "context_too_long", "", error.param, error.numbers)
    if isinstance(error, RequestInvalid):
        return Failed(request_id, "invalid_request", str(error), error.param)
    return Failed(request_id, "failed", str(error))
