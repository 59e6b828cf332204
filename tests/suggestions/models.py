"""Models that fill as a test tells them to, for the service of suggestions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from ghostd.completion.soundness import SyntaxGuard
from ghostd.config.completion import CompletionConfig
from ghostd.errors import GhostdError
from ghostd.models import Speed
from ghostd.records import OutcomeKind
from ghostd.suggestions.filler import Filler
from ghostd.suggestions.service import SuggestionService
from ghostd.suggestions.suggestion import Ask, Suggestion
from ghostd.types import Delta, FillRequest, Usage

READY = Filler("ready", ready=True, remote=False, metered=False)
MODEL = Filler("model", ready=False, remote=False, metered=False)
KEEPS = Filler("model", ready=False, remote=False, metered=False, keeps=True)
CLOUD = Filler("cloud", ready=False, remote=True, metered=True, connects=True)
SLOW = Filler("slow", ready=False, remote=False, metered=False, speed=Speed(10.0, 2.0))


@dataclass(eq=False)
class Stream:
    """One request as a model sees it; the test writes its text."""

    request: FillRequest
    pieces: asyncio.Queue[str | GhostdError | None] = field(default_factory=asyncio.Queue)
    closed: bool = False
    """Whether it was ended before its end."""

    def write(self, *pieces: str) -> Stream:
        for piece in pieces:
            self.pieces.put_nowait(piece)
        return self

    def end(self) -> None:
        self.pieces.put_nowait(None)

    def fail(self, error: GhostdError) -> None:
        self.pieces.put_nowait(error)


class Models:
    """What the engine is to the service."""

    def __init__(self, *fillers: Filler) -> None:
        self.offered: Sequence[Filler] = fillers
        self.streams: list[Stream] = []
        self.outcomes: list[tuple[str, str, float]] = []
        self.warmed: list[FillRequest] = []
        self.connected: list[str] = []
        self.forgotten: list[tuple[str, str | None]] = []
        self.ready: dict[str, tuple[str, float]] = {}
        """What READY says behind a prefix, and how sure it is."""
        self.ready_s = 0.0
        """How long it looks for that."""

    def guard(self, request: FillRequest) -> SyntaxGuard | None:
        return None

    def fillers(self, model: str) -> Sequence[Filler]:
        return self.offered

    def fill_as(self, request: FillRequest, client: str) -> tuple[str, AsyncGenerator[Delta, None]]:
        stream = Stream(request)
        self.streams.append(stream)
        name = f"req-{len(self.streams)}"
        if request.model == READY.model:
            return name, self._at_once(*self.ready.get(request.prefix, ("", 0.0)))
        return name, self._written(stream)

    async def connect(self, model: str) -> None:
        self.connected.append(model)

    async def warm(self, request: FillRequest) -> None:
        self.warmed.append(request)

    def forget(self, session: str, document: str | None) -> None:
        self.forgotten.append((session, document))

    def record_outcome(self, call_id: str, kind: OutcomeKind, value: float) -> None:
        self.outcomes.append((call_id, kind, value))

    async def _at_once(self, text: str, confidence: float) -> AsyncGenerator[Delta, None]:
        await asyncio.sleep(self.ready_s)
        yield Delta(text, "stop", Usage(1, 1), confidence=confidence)

    async def _written(self, stream: Stream) -> AsyncGenerator[Delta, None]:
        ended = False
        try:
            while (piece := await stream.pieces.get()) is not None:
                if isinstance(piece, GhostdError):
                    ended = True
                    raise piece
                yield Delta(piece)
            ended = True
            yield Delta("", "stop", Usage(1, 1))
        finally:
            stream.closed = not ended

    @property
    def asked(self) -> list[Stream]:
        """The requests to models that take their time."""
        return [stream for stream in self.streams if stream.request.model != READY.model]


def service(models: Models, **settings: object) -> SuggestionService:
    config = CompletionConfig(**settings)  # type: ignore[arg-type]
    return SuggestionService(models, lambda: config)


def ask(prefix: str, suffix: str = "\n", trigger: str = "automatic", *, incremental: bool = False) -> Ask:
    fill = FillRequest("auto", prefix, suffix, trigger=trigger, session="s")  # type: ignore[arg-type]
    return Ask(fill, "file:///a.py", incremental)


async def all_of(service: SuggestionService, asked: Ask) -> list[Suggestion]:
    return [suggestion async for suggestion in service.suggest(asked)]


async def texts(service: SuggestionService, asked: Ask) -> list[str]:
    return [suggestion.text for suggestion in await all_of(service, asked)]


async def until(condition: object, *, timeout_s: float = 10.0) -> None:
    assert callable(condition)
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.002)
