"""The use cases behind every door: list models, chat, complete, fill, embed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from ghostd.completion.fill import fill
from ghostd.config import Config
from ghostd.errors import InvalidRequest
from ghostd.ports import Index, Provider
from ghostd.routing.route import deployments, resolve
from ghostd.types import (
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    FillRequest,
    ModelInfo,
    Prompt,
)


class Engine:
    """Routes each request to a model. Its streams end the work behind them when they are closed."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._providers = tuple(providers)

    def models(self) -> list[ModelInfo]:
        """Every model on offer now."""
        return [deployment.info for deployment in deployments(self._providers)]

    def model(self, name: str) -> ModelInfo:
        """The model of this name, or what "auto" stands for; raises ModelNotFound."""
        return resolve(self._providers, name, ("chat", "complete", "fill", "embed")).info

    async def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message."""
        deployment = resolve(self._providers, request.model, ("chat",))
        upstream = deployment.provider.chat(replace(request, model=deployment.info.id))
        async with aclosing(upstream) as deltas:
            async for delta in deltas:
                yield delta.said_by(deployment.info.id)

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the continuation of a prompt, or the text of the hole when there is a suffix.

        A model that can only fill continues a prompt as a hole before an empty suffix.
        """
        deployment = resolve(self._providers, request.model, ("complete", "fill"))
        if request.suffix is not None or "complete" not in deployment.info.capabilities:
            stream = fill(self._providers, _as_fill(request))
            async with aclosing(stream) as deltas:
                async for delta in deltas:
                    yield delta
            return
        upstream = deployment.provider.complete(replace(request, model=deployment.info.id))
        async with aclosing(upstream) as deltas:
            async for delta in deltas:
                yield delta.said_by(deployment.info.id)

    def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Stream the text of a hole in a file."""
        return fill(self._providers, request)

    async def embed(self, request: EmbedRequest) -> tuple[ModelInfo, Embeddings]:
        """Embed texts; also says which model did."""
        deployment = resolve(self._providers, request.model, ("embed",))
        vectors = await deployment.provider.embed(replace(request, model=deployment.info.id))
        return deployment.info, vectors


def _as_fill(request: CompletionRequest) -> FillRequest:
    return FillRequest(
        model=request.model,
        prefix=_plain_text(request.prompt),
        suffix=request.suffix or "",
        path=request.path,
        root=request.root,
        sampling=request.sampling,
        max_tokens=request.max_tokens,
        stop=request.stop,
        min_confidence=request.min_confidence,
    )


def _plain_text(prompt: Prompt) -> str:
    if any(isinstance(piece, int) for piece in prompt):
        raise InvalidRequest("A prompt of token ids cannot be filled; send text.", "prompt")
    return "".join(str(piece) for piece in prompt)


@dataclass(frozen=True, slots=True)
class FrontendHost:
    """What the daemon hands a front-end."""

    engine: Engine
    index: Index
    config: Config
    socket_path: Path
    """Unix socket to listen on, in a folder of mode 0700; the front-end makes and removes it."""


Frontend = Callable[[FrontendHost], AbstractAsyncContextManager[None]]
"""Entry point group `ghostd.frontends`: entered at start, returns once it accepts connections."""
