"""Texts → vectors by the configured model, within the settings."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ghostd.config.embeddings import EmbeddingsConfig
from ghostd.embedded import EmbeddingModel, Vector
from ghostd.errors import ContextTooLong, GhostdError, UpstreamMalformed, UpstreamRejected, UpstreamTimeout

Embed = Callable[[Sequence[str]], Awaitable[Sequence[Vector]]]
"""Vectors of texts by the configured model. Raises GhostdError."""

_LOOK_S = 0.05
"""How often it is looked whether other requests still run."""
_SHORTEST_CHARS = 100
"""A text that is too long even so has no vector."""


class NotAllowed(GhostdError):
    """The settings keep the projects' text on this machine."""


@dataclass(frozen=True, slots=True)
class Asking:
    """How the model is reached. Every method raises GhostdError."""

    config: EmbeddingsConfig
    embed: Embed
    model_now: Callable[[], EmbeddingModel]
    """What would answer now. Raises GhostdError where nothing would."""
    busy: Callable[[], bool]
    """Whether people wait for other requests."""
    redact: Callable[[str], str]
    """A text without the secrets in it."""

    def model(self) -> EmbeddingModel:
        """What would answer now; raises NotAllowed where the settings forbid to ask it."""
        found = self.model_now()
        if found.remote and not self.config.allow_cloud:
            raise NotAllowed(
                f"The model '{self.config.model}' is not on this machine: the text of your projects would leave it."
                " Set embeddings.allow_cloud = true to allow that, or name a model of this machine."
            )
        return found

    async def query(self, text: str) -> Vector:
        """The vector of a text that is looked for, or of as much of its end as the model takes."""
        while True:
            try:
                (vector,) = await self._ask([self.config.query_prefix + text])
            except (ContextTooLong, UpstreamRejected) as error:
                if _reason(error) != "context" or len(text) < 2 * _SHORTEST_CHARS:
                    raise
                text = text[len(text) // 2 :]
            else:
                return vector

    async def documents(self, texts: Sequence[str]) -> list[Vector | None]:
        """The vectors of texts that are to be found; None for one that the model does not take.

        Waits while other requests run, but for no longer than the setting pause_s.
        """
        until = time.monotonic() + self.config.pause_s
        while self.busy() and time.monotonic() < until:  # noqa: ASYNC110 - others need not tell when they end
            await asyncio.sleep(_LOOK_S)
        return await self._documents([self.config.document_prefix + text for text in texts])

    async def _documents(self, texts: Sequence[str]) -> list[Vector | None]:
        try:
            return list(await self._ask(texts))
        except (ContextTooLong, UpstreamRejected) as error:
            reason = _reason(error)
            if reason is None:
                raise
        if len(texts) > 1:
            half = len(texts) // 2
            return [*await self._documents(texts[:half]), *await self._documents(texts[half:])]
        if reason != "context":
            return [None]  # its content is not to the service's liking
        shorter = texts[0][: len(texts[0]) // 2]
        return await self._documents([shorter]) if len(shorter) >= _SHORTEST_CHARS else [None]

    async def _ask(self, texts: Sequence[str]) -> Sequence[Vector]:
        model = self.model()
        # Nothing may be awaited between the look at what would answer and the question itself.
        sent = [self.redact(text) for text in texts] if model.remote else texts
        try:
            async with asyncio.timeout(self.config.timeout_s):
                vectors = await self.embed(sent)
        except TimeoutError:
            raise UpstreamTimeout(
                f"The model '{self.config.model}' made no embeddings within {self.config.timeout_s:g} s"
                " (setting embeddings.timeout_s).",
                "total",
            ) from None
        if len(vectors) != len(texts):
            raise UpstreamMalformed(
                f"The model '{self.config.model}' gave {len(vectors)} vectors for {len(texts)} texts."
            )
        return vectors


def _reason(error: ContextTooLong | UpstreamRejected) -> str | None:
    return "context" if isinstance(error, ContextTooLong) else error.reason
