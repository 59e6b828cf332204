"""One fault in one mode behind one kind of route, what became of its requests, and what ought to have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from faults.caller import Answer, Call, Verdict
from faults.fault import Fault, Mode
from faults.upstreams import Upstream

Layout = Literal["ordered", "equal", "alone"]
"""ordered: the faulty deployment first, a healthy one behind it; equal: both share the load; alone: nobody else."""
_EXHAUSTED = (429, 503)
"""What a caller may also get once a deployment or its key rests."""


@dataclass(frozen=True, slots=True)
class Done:
    """One request of the campaign."""

    call: Call
    answer: Answer
    verdict: Verdict


@dataclass(slots=True)
class Cell:
    """An upstream that fails in one way, and a route and requests of its own."""

    name: str
    """Of the provider; its route is `route`."""
    fault: Fault
    mode: Mode
    layout: Layout
    upstream: Upstream
    done: list[Done] = field(default_factory=list)

    @property
    def route(self) -> str:
        """The model to ask for."""
        return f"{self.name}-route"

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.fault.name} ({self.mode}, {self.layout})"

    def problems(self) -> list[str]:
        """What should not have happened, a line for each kind."""
        kinds: dict[tuple[str, str], int] = {}
        for done in self.done:
            if not self.accepts(done.verdict):
                why = done.verdict.why.replace(done.call.nonce, "NONCE")[:200]
                kind = (done.verdict.outcome, f"{done.verdict.status} {why}")
                kinds[kind] = kinds.get(kind, 0) + 1
        return [
            f"{self.title}: {count} of {len(self.done)} {outcome}: {why}" for (outcome, why), count in kinds.items()
        ]

    def accepts(self, verdict: Verdict) -> bool:
        """Whether this is as good as it can be under this fault."""
        if verdict.outcome == "ok":
            return True
        fits = verdict.outcome == "error" and verdict.status in self.fault.statuses
        match self.fault.phase:
            case "odd":
                return False
            case "refusal":
                return fits
            case "during":
                return verdict.outcome == "partial" or (self.layout == "alone" and verdict.outcome == "error")
            case "before":
                rests = verdict.outcome == "error" and verdict.status in _EXHAUSTED
                return self.layout == "alone" and (fits or rests)
