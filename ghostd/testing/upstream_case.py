"""What the parts of the contract for upstream providers share: fixtures, requests, and how streams are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import ClassVar

import msgspec
import pytest

from ghostd.conversation import NO_TOOLS, Message, Tools
from ghostd.errors import UpstreamError
from ghostd.ports import UpstreamProvider
from ghostd.testing.scripted_upstream import Answer, ScriptedUpstream, scripted_upstream
from ghostd.testing.upstream_dialect import Trait, UpstreamDialect, opened
from ghostd.types import ChatRequest, Delta, FinishReason, Relayed, RelayRequest, Timeouts, Usage

TIMEOUT_S = 20.0
SILENCE = Answer(ending="hang", silent=True)
"""A server that takes the request and never answers."""


class UpstreamCase:
    """Set `dialect`."""

    dialect: ClassVar[UpstreamDialect]

    @pytest.fixture
    async def upstream(self) -> AsyncIterator[ScriptedUpstream]:
        """The scripted server."""
        async with scripted_upstream(self.dialect.serve) as server:
            yield server

    @pytest.fixture
    async def provider(self, upstream: ScriptedUpstream) -> AsyncIterator[UpstreamProvider]:
        """The provider under test, with two keys."""
        async with opened(self.dialect, upstream) as provider:
            yield provider

    def request(
        self, prompt: str = "Say hello.", tools: Tools = NO_TOOLS, timeouts: Timeouts | None = None
    ) -> ChatRequest:
        """A conversation for the dialect's model."""
        return ChatRequest(
            self.dialect.chat_model, (Message("user", prompt),), tools=tools, timeouts=timeouts or Timeouts()
        )

    def relay_request(self, *, stream: bool, text: str = "Say hello.", **more: object) -> RelayRequest:
        """A client's request in the dialect, for a public name, with further members."""
        return relay_request(self.dialect, stream=stream, text=text, **more)

    def needs(self, trait: Trait) -> None:
        """Skip the test where the dialect lacks it."""
        if trait in self.dialect.lacks:
            pytest.skip(f"the dialect has no {trait}")


def relay_request(dialect: UpstreamDialect, *, stream: bool, text: str, **more: object) -> RelayRequest:
    """As the gateway makes it of a client's body."""
    body = msgspec.json.encode({**dialect.relay_body("public-name", text, stream=stream), **more})
    fields = {name: bytes(value) for name, value in msgspec.json.decode(body, type=dict[str, msgspec.Raw]).items()}
    return RelayRequest(dialect.relay, dialect.chat_model, body, fields, stream)


async def chatted(provider: UpstreamProvider, request: ChatRequest) -> list[Delta]:
    """The whole reply."""
    async with asyncio.timeout(TIMEOUT_S), aclosing(provider.chat(request)) as stream:
        return [delta async for delta in stream]


async def relayed(provider: UpstreamProvider, request: RelayRequest) -> list[Relayed]:
    """The whole reply."""
    async with asyncio.timeout(TIMEOUT_S), aclosing(provider.relay(request)) as stream:
        return [piece async for piece in stream]


async def broken_chat(provider: UpstreamProvider, request: ChatRequest) -> tuple[list[Delta], UpstreamError]:
    """What came before the error, and the error."""
    deltas: list[Delta] = []
    with pytest.raises(UpstreamError) as caught:
        async with asyncio.timeout(TIMEOUT_S), aclosing(provider.chat(request)) as stream:
            async for delta in stream:
                deltas.append(delta)
    return deltas, caught.value


async def broken_relay(provider: UpstreamProvider, request: RelayRequest) -> tuple[list[Relayed], UpstreamError]:
    """What came before the error, and the error."""
    pieces: list[Relayed] = []
    with pytest.raises(UpstreamError) as caught:
        async with asyncio.timeout(TIMEOUT_S), aclosing(provider.relay(request)) as stream:
            async for piece in stream:
                pieces.append(piece)
    return pieces, caught.value


def end_of(deltas: Sequence[Delta]) -> tuple[FinishReason, Usage]:
    """How a reply ended; checks that it ended exactly once."""
    assert deltas, "a stream has at least its last delta"
    assert [delta.finish_reason for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    assert [delta.usage for delta in deltas[:-1]] == [None] * (len(deltas) - 1)
    last = deltas[-1]
    assert last.finish_reason is not None and last.usage is not None
    return last.finish_reason, last.usage
