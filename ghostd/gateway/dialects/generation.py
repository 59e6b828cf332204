"""Running the choices of one request: seeds, order, usage, splitting long deltas."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace

from ghostd.errors import WorkerFailed
from ghostd.types import Delta, FinishReason, Sampling, TokenLogprob, Usage

MAX_PIECE_CHARS = 1000
"""A character takes at most six bytes of JSON, so that a piece and its frame stay under sse.MAX_EVENT_BYTES."""
_MAX_PIECE_CHARS_WITH_LOGPROBS = 200
"""One token with twenty alternatives takes some 3 KiB besides."""


def seeded(sampling: Sampling, choice: int) -> Sampling:
    """The sampling of one of several choices: with a given seed each choice has its own, repeatable one."""
    if sampling.seed is None or choice == 0:
        return sampling
    return replace(sampling, seed=sampling.seed + choice if sampling.seed < 2**62 else sampling.seed - choice)


@dataclass(slots=True)
class Tally:
    """The usage of all choices: a prompt counts once, however many choices continue it."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0

    def add(self, usage: Usage | None, choice: int) -> None:
        """Add the usage of a prompt's `choice`-th continuation."""
        if usage is None:
            return
        self.completion_tokens += usage.completion_tokens
        if choice == 0:
            self.prompt_tokens += usage.prompt_tokens
            self.cached_tokens += usage.cached_tokens

    def fields(self) -> dict[str, int]:
        """OpenAI's `usage`."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
        }

    def details(self) -> dict[str, object]:
        """`usage` with what was cached, for the usage chunk of a stream."""
        if not self.cached_tokens:
            return {**self.fields()}
        return {**self.fields(), "prompt_tokens_details": {"cached_tokens": self.cached_tokens}}


def pieces(delta: Delta) -> Iterator[tuple[str, tuple[TokenLogprob, ...]]]:
    """The delta's text and log probabilities in parts small enough for one event each; nothing for an empty delta."""
    text, logprobs = delta.text, delta.logprobs
    limit = _MAX_PIECE_CHARS_WITH_LOGPROBS if logprobs else MAX_PIECE_CHARS
    while text or logprobs:
        yield text[:limit], logprobs[:1]
        text, logprobs = text[limit:], logprobs[1:]


@dataclass(slots=True)
class Reply:
    """One choice, whole."""

    text: str
    finish_reason: FinishReason
    logprobs: list[TokenLogprob]
    usage: Usage | None
    model: str | None
    confidence: float | None


async def whole(stream: AsyncGenerator[Delta, None]) -> Reply:
    """The reply of a stream that is not shown as one; raises WorkerFailed if it breaks off."""
    texts: list[str] = []
    logprobs: list[TokenLogprob] = []
    confidence = None
    async with aclosing(stream) as deltas:
        async for delta in deltas:
            texts.append(delta.text)
            if delta.logprobs:
                logprobs.extend(delta.logprobs)
            if delta.confidence is not None:
                confidence = delta.confidence
            if delta.finish_reason is not None:
                text = "".join(texts)
                return Reply(text, delta.finish_reason, logprobs, delta.usage, delta.model, confidence)
    raise ended_early()


def new_id(prefix: str) -> str:
    """An id for one reply."""
    return f"{prefix}-{os.urandom(14).hex()}"


def ended_early() -> WorkerFailed:
    """A provider's stream stopped without a finish reason, so that nobody knows whether the reply is whole."""
    return WorkerFailed("The model's reply broke off.")
