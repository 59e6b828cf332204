"""What the child has been asked and has not answered: one job for each request."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ghostd.workers.engines.contract import Generation
from ghostd.workers.messages import Embed, Generate

if TYPE_CHECKING:
    from ghostd.workers.layout import LaidOut


@dataclass(slots=True, eq=False)
class Job:
    """One request; times in seconds of time.monotonic()."""

    request: Generate | Embed
    came_s: float
    laid_out: LaidOut | None = None
    generation: Generation | None = None
    """Once it has begun."""
    prompts: list[list[int]] | None = None
    """Inputs that are still to be embedded."""
    vectors: list[str] = field(default_factory=list)
    read_tokens: int = 0
    """Of the inputs embedded."""
    writes: bool = False
    """Whether its prompt is read."""
    prefill_s: float = 0.0
    decode_s: float = 0.0

    @property
    def id(self) -> int:
        """The request's."""
        return self.request.id

    @property
    def begun(self) -> bool:
        """Whether anything of it was computed."""
        return self.generation is not None or self.prompts is not None

    @property
    def tokens(self) -> int:
        """That it may need in the cache; 0 where that is not known yet."""
        return self.laid_out.tokens if self.laid_out is not None else 0

    def spend(self, seconds: float) -> None:
        """It was computed for so long."""
        if self.writes:
            self.decode_s += seconds
        else:
            self.prefill_s += seconds

    def wrote(self, came_s: float | None) -> None:
        """A token came: what was spent since the first one went into writing. `came_s`: see contract.TokenStep."""
        if not self.writes and came_s is not None:
            late_s = min(time.monotonic() - came_s, self.prefill_s)
            self.prefill_s -= late_s
            self.decode_s += late_s
        self.writes = True

    def timings_ms(self) -> list[float]:
        """See messages.Ended."""
        waited_s = time.monotonic() - self.came_s - self.prefill_s - self.decode_s
        return [round(max(seconds, 0.0) * 1e3, 3) for seconds in (waited_s, self.prefill_s, self.decode_s)]


class Order:
    """Whose turn it is: the most urgent first; clients of one rank in turn; a client's own in the order they came."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._turn = 0

    def line(self, jobs: list[Job]) -> list[Job]:
        """All jobs of the most urgent rank that there is, those whose turn it is first. `jobs` as they came."""
        rank = min(job.request.rank for job in jobs)
        queues: dict[str, list[Job]] = {}
        for job in jobs:
            if job.request.rank == rank:
                queues.setdefault(job.request.client, []).append(job)
        if len(queues) == 1:
            return next(iter(queues.values()))
        clients = sorted(queues, key=lambda client: self._served.get(client, 0))
        longest = max(map(len, queues.values()))
        return [queues[client][place] for place in range(longest) for client in clients if place < len(queues[client])]

    def served(self, chosen: list[Job], jobs: list[Job]) -> None:
        """These have had a turn."""
        self._turn += 1
        for job in chosen:
            self._served[job.request.client] = self._turn
        if len(self._served) > 2 * len(jobs) + 8:
            waiting = {job.request.client for job in jobs}
            self._served = {client: turn for client, turn in self._served.items() if client in waiting}
