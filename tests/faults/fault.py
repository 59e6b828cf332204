"""What a fault is, for the catalogue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Literal

from faults.upstreams import Behaviour, Upstream, listening

Mode = Literal["plain", "stream"]
Phase = Literal["before", "during", "refusal", "odd"]
"""before: it shows before a byte of the answer need go out, so another deployment can answer;
during: it shows in the middle of a stream, so that an honest error is the best there is;
refusal: the upstream refuses the request itself, which its caller should learn;
odd: unusual but legitimate, so that this upstream's own answer is wanted."""
BOTH: tuple[Mode, ...] = ("plain", "stream")
PLAIN: tuple[Mode, ...] = ("plain",)
STREAM: tuple[Mode, ...] = ("stream",)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way for an upstream to fail."""

    name: str
    group: str
    phase: Phase
    behave: Behaviour
    modes: tuple[Mode, ...] = BOTH
    statuses: tuple[int, ...] = (502,)
    """What the caller may get when there is nobody else to ask."""
    serve: Callable[[Upstream], AbstractAsyncContextManager[Upstream]] = listening
    reset_at_accept: bool = False
    own_text: bool = True
    """Whether the text before an error event must be right; it cannot where the upstream repeats itself."""
    slow: bool = False
    """Whether it shows only by a time-out."""

    def upstream(self) -> Upstream:
        """A server that fails so."""
        return Upstream(self.behave, reset_at_accept=self.reset_at_accept)
