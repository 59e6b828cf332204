"""The models that may fill, fastest first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Protocol

from ghostd.completion.soundness import SyntaxGuard
from ghostd.models import Speed
from ghostd.records import OutcomeKind
from ghostd.types import Delta, FillRequest

LINE_TOKENS = 8
"""Of the rest of a line: six are the median of what people write, fifteen the 90th percentile."""
FRESH_TOKENS = 12
"""That a model has to read for a key when it has kept the rest of the prompt."""


@dataclass(frozen=True, slots=True)
class Filler:
    """One of the models behind `completion.model`."""

    model: str
    """Its name, as it is asked for."""
    ready: bool
    """Whether it answers from ready structures, within milliseconds, and knows by itself what to show."""
    remote: bool
    """Whether requests leave this machine."""
    metered: bool
    """Whether requests may cost money, or count against a limit."""
    connects: bool = False
    """Whether it is asked over a connection, which takes its time to be opened."""
    keeps: bool = False
    """Whether it keeps what it has read of a prompt, so that it can be got ready."""
    speed: Speed | None = None
    """Calibrated; None: not known."""

    @property
    def line_s(self) -> float | None:
        """Seconds that it needs for the rest of a line, by its calibrated speed; None where that is not known."""
        if self.speed is None:
            return None
        return FRESH_TOKENS / max(self.speed.prefill, 1e-9) + LINE_TOKENS / max(self.speed.decode, 1e-9)


class Filling(Protocol):
    """What the service asks of the engine."""

    def fillers(self, model: str) -> Sequence[Filler]:
        """The models behind a name, the fastest first, the best last; raises ModelNotFound."""
        ...

    def fill_as(self, request: FillRequest, client: str) -> tuple[str, AsyncGenerator[Delta, None]]:
        """Ask one of them: the request's id in the ledger, and the text in pieces."""
        ...

    def guard(self, request: FillRequest) -> SyntaxGuard | None:
        """What keeps a text from breaking the file; None where nothing does."""
        ...

    async def warm(self, request: FillRequest) -> object:
        """Have the model read what the document's next prompt begins with, where it keeps what it has read. Raises
        RequestError and ProviderError."""
        ...

    async def connect(self, model: str) -> None:
        """See to it that the next request to the model finds an open connection, where it takes one. Raises nothing."""
        ...

    def forget(self, session: str, document: str | None) -> None:
        """A session has closed a document, or (None) has gone."""
        ...

    def record_outcome(self, call_id: str, kind: OutcomeKind, value: float) -> None:
        """Note what became of a reply."""
        ...
