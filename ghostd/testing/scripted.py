"""A Provider that says what a test tells it to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from ghostd.errors import GhostdError
from ghostd.types import (
    Capability,
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    Feature,
    FillRequest,
    ModelInfo,
    Usage,
)

ALL: frozenset[Capability] = frozenset(("chat", "complete", "fill", "embed"))

Request = ChatRequest | CompletionRequest | FillRequest | EmbedRequest


@dataclass(slots=True)
class ScriptedProvider:
    """Streams `pieces` for every request and records what it was asked.

    `error` is raised before the first delta, or after `error_after` pieces. With `hold` set, each stream waits
    for that event before its first delta, so that a test can cancel it; `closed` counts the streams that were
    ended before their last delta.
    """

    pieces: Sequence[str] = ("hello", " world")
    name: str = "scripted"
    model: str = "scripted-model"
    capabilities: frozenset[Capability] = ALL
    context_tokens: int | None = 4096
    features: frozenset[Feature] | None = None
    error: GhostdError | None = None
    error_after: int = 0
    hold: asyncio.Event | None = None
    vector: tuple[float, ...] = (0.6, 0.8)
    requests: list[Request] = field(default_factory=list)
    started: int = 0
    closed: int = 0

    def models(self) -> Sequence[ModelInfo]:
        """One model with the scripted name and capabilities."""
        return (
            ModelInfo(
                self.model,
                self.name,
                self.capabilities,
                created=1_750_000_000,
                context_tokens=self.context_tokens,
                features=self.features,
            ),
        )

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the script."""
        return self._stream(request)

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the script."""
        return self._stream(request)

    def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Stream the script."""
        return self._stream(request)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """The scripted vector for each input."""
        self.requests.append(request)
        if self.error:
            raise self.error
        return Embeddings((self.vector,) * len(request.inputs), Usage(len(request.inputs), 0))

    async def _stream(self, request: Request) -> AsyncGenerator[Delta, None]:
        self.requests.append(request)
        self.started += 1
        finished = False
        try:
            if self.hold:
                await self.hold.wait()
            for number, piece in enumerate(self.pieces):
                if self.error and number == self.error_after:
                    raise self.error
                yield Delta(piece)
                await asyncio.sleep(0)
            if self.error and self.error_after >= len(self.pieces):
                raise self.error
            finished = True
            yield Delta(finish_reason="stop", usage=Usage(7, len(self.pieces)))
        finally:
            if not finished:
                self.closed += 1
