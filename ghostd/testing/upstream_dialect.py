"""What a provider's contract tests must know of its dialect: how a healthy server of that dialect speaks.

Subclass UpstreamDialect beside the tests of a provider and hand it to `ghostd.testing.upstream_contract`. Its methods
build scripted answers, which the contract plays as they are, cuts, delays and spoils. An example is
`tests/providers/openai_dialect.py`.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from ghostd.config.providers import ProviderConfig, UpstreamConfig
from ghostd.conversation import ToolCall
from ghostd.ports import UpstreamProvider
from ghostd.providers.http.client import http_client
from ghostd.providers.keys import KeyPool
from ghostd.providers.upstream import Endpoint, ProviderFactory
from ghostd.testing.memory_secrets import MemorySecrets
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, Seen
from ghostd.types import ChatRequest, FinishReason, Operation, Usage

Call = Literal["chat", "complete", "fill", "embed", "models", "other"]
ErrorKind = Literal["model", "context", "quota", "other"]
"""model: it has no such model; context: the prompt is too long; quota: the key's credit is used up."""
Trait = Literal["tools", "reasoning", "cached_tokens", "reasoning_tokens", "content_filter", "keys"]

KEYS = ("sk-first-0123456789abcdef", "sk-second-0123456789abcdef")
"""Values of the keys "env:FIRST" and "env:SECOND" that the providers under test have, in this order."""
PROVIDER = "acme"
"""Name of the provider under test in its configuration."""
_USAGE = Usage(12, 5)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a scripted server should say."""

    text: tuple[str, ...] = ("Hello", " wor", "ld")
    """One event each; the dialect must not join them."""
    finish: FinishReason = "stop"
    usage: Usage = _USAGE
    tool_calls: tuple[ToolCall, ...] = ()
    """Streamed where the dialect can in several pieces each."""
    reasoning: tuple[str, ...] = ()
    """Thoughts before the text."""


class UpstreamDialect(ABC):
    """A healthy server of one dialect. Base URLs under test end in `/base`, which every request must begin with."""

    factory: ProviderFactory
    relay: Operation
    """The dialect's own operation for a conversation, e.g. "openai.chat"."""
    chat_model: str = "model-1"
    complete_model: str | None = None
    """None where the provider under test cannot complete plain text; likewise below."""
    fill_model: str | None = None
    embed_model: str | None = None
    lacks: frozenset[Trait] = frozenset()
    """What the dialect cannot say; its tests are skipped. "keys": it knows no API keys."""
    garbage: bytes = b'data: {"cut": \n\n'
    """An event that is no valid JSON."""
    broken_text: bytes = b'data: {"x": "\xff\xfe"}\n\n'
    """An event that is no valid UTF-8."""
    unsupported: Sequence[tuple[ChatRequest, str]] = ()
    """Requests that the dialect cannot honour, with the parameter that the error must name."""

    @abstractmethod
    def call(self, seen: Seen) -> Call:
        """What a request asks for, by its path."""

    @abstractmethod
    def key(self, seen: Seen) -> str | None:
        """The API key that a request carries."""

    @abstractmethod
    def model(self, seen: Seen) -> str:
        """The model that a request for generation names."""

    @abstractmethod
    def chat(self, reply: Reply) -> Answer:
        """The reply to a streamed conversation, one event a piece, with its usage and its proper end."""

    @abstractmethod
    def whole_chat(self, reply: Reply) -> Answer:
        """The reply to a conversation that was not streamed (for relays)."""

    @abstractmethod
    def relay_body(self, model: str, text: str, *, stream: bool) -> dict[str, object]:
        """A client's body in the dialect, for a relay."""

    @abstractmethod
    def error(
        self, status: int, message: str, *, kind: ErrorKind = "other", headers: Mapping[str, str] | None = None
    ) -> Answer:
        """The dialect's error object."""

    def error_event(self, message: str) -> bytes:
        """An error in the middle of a stream."""
        return b"data: " + self.error(500, message).body + b"\n\n"

    @abstractmethod
    def models(self, names: Sequence[str]) -> Answer:
        """The list of models."""

    def complete(self, reply: Reply) -> Answer:
        """The reply to a streamed completion of plain text."""
        raise NotImplementedError

    def fill(self, reply: Reply) -> Answer:
        """The reply to a streamed fill."""
        raise NotImplementedError

    def embed(self, vectors: Sequence[Sequence[float]], tokens: int) -> Answer:
        """The reply to a request for embeddings."""
        raise NotImplementedError

    # --- what follows from it ---------------------------------------------------

    def opening(self, reply: Reply | None = None) -> tuple[bytes, ...]:
        """The events of a streamed chat up to its first text."""
        wanted = reply or Reply()
        pieces = self.chat(wanted).pieces
        first = next(number for number, piece in enumerate(pieces) if wanted.text[0].encode() in piece)
        return tuple(pieces[: first + 1])

    def serve(self, seen: Seen) -> Answer:
        """What a healthy server answers; a prompt that holds the word "endless" begins a reply that never ends."""
        call = self.call(seen)
        if call == "models":
            return self.models(self.names())
        if call == "embed":
            inputs = _inputs(seen)
            vectors = [(0.6, 0.8) if text == inputs[0] else (0.8, -0.6) for text in inputs]
            return self.embed(vectors, 3 * len(inputs))
        makes = {"chat": self.chat, "complete": self.complete, "fill": self.fill}
        answer = makes[call](Reply()) if call in makes else self.error(404, f"no such path: {seen.path}")
        if b"endless" in seen.body:
            first = next(number for number, piece in enumerate(answer.pieces) if b"Hello" in piece)
            return replace(answer, pieces=tuple(answer.pieces[: first + 1]), ending="hang")
        return answer

    def names(self) -> tuple[str, ...]:
        """The models of the provider under test."""
        offered = (self.chat_model, self.complete_model, self.fill_model, self.embed_model)
        return tuple(dict.fromkeys(name for name in offered if name is not None))

    def settings(self) -> ProviderConfig:
        """The configuration of the provider under test."""
        return ProviderConfig(models=self.names())


def _inputs(seen: Seen) -> list[object]:
    """What a request wants embedded, in the members that the known dialects use."""
    body = seen.json
    given = body.get("input") or body.get("inputs") or body.get("requests") or body.get("content")
    return list(given) if isinstance(given, list) else [given]


@asynccontextmanager
async def opened(
    dialect: UpstreamDialect,
    upstream: ScriptedUpstream,
    settings: ProviderConfig | None = None,
    *,
    keys: Sequence[str] = ("env:FIRST", "env:SECOND"),
    limits: UpstreamConfig | None = None,
) -> AsyncIterator[UpstreamProvider]:
    """The dialect's provider over the real transport, its base URL at the scripted server, while the block runs."""
    bounds = limits or UpstreamConfig(proxy="")
    secrets = MemorySecrets(dict(zip(("env:FIRST", "env:SECOND"), KEYS, strict=True)))
    pool = KeyPool(PROVIDER, keys, secrets, asyncio.get_running_loop().time)
    async with http_client(bounds) as http:
        wanted = settings or dialect.settings()
        yield dialect.factory(Endpoint(PROVIDER, f"{upstream.url}/base", wanted, bounds, pool, http))
