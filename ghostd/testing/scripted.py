"""Providers that say what a test tells them to: one on this machine, and one behind a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from ghostd.errors import GhostdError, UpstreamTimeout
from ghostd.models import KeyState, ModelInfo
from ghostd.types import (
    Capability,
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    Feature,
    FillRequest,
    Operation,
    Relayed,
    RelayRequest,
    Timeouts,
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


Step = Relayed | Delta | Embeddings | GhostdError | asyncio.Event
"""What a scripted upstream does next: gives an item, fails, or waits for an event."""


class ScriptedUpstreamProvider:
    """An UpstreamProvider that plays scripts: one for each request, the last one for all that follow.

    A script whose steps run out before a last item breaks off; one that waits for longer than the request allows times
    out. `asked` lists the requests, `closed` counts those that were ended by their caller; `until_asked` and
    `until_closed` wait for them.
    """

    def __init__(
        self,
        *scripts: Sequence[Step],
        name: str = "acme",
        endpoint: str = "http://acme.test",
        models: Sequence[str] = ("m",),
        relays: Sequence[Operation] = ("openai.chat", "openai.completions", "openai.embeddings"),
        open_ended: bool = False,
        info: ModelInfo | None = None,
    ) -> None:
        """`info` says what every model can do; by default everything, and to take `relays` as they come."""
        self.name = name
        self.endpoint = endpoint
        self.open_ended = open_ended
        self.listed = list(models)
        self.scripts = [list(script) for script in scripts]
        self.asked: list[Request | RelayRequest] = []
        self.closed = 0
        self.checks = 0
        self.check_script: list[GhostdError | asyncio.Event | None] = [None]
        """What the checks say, one after the other, the last one again and again; None is well."""
        self.key_states: list[KeyState] = []
        self._info = info or ModelInfo("", name, ALL, relays=frozenset(relays), remote=True)
        self._changed = asyncio.Event()

    def models(self) -> Sequence[ModelInfo]:
        """Those listed."""
        return tuple(map(self.model, self.listed))

    def model(self, name: str) -> ModelInfo:
        """The same for every name."""
        return replace(self._info, id=name)

    async def relay(self, request: RelayRequest) -> AsyncGenerator[Relayed, None]:
        """Play the next script."""
        async with aclosing(self._play(request)) as items:
            async for item in items:
                assert isinstance(item, Relayed), f"a script of deltas for a relayed {request.operation}"
                yield item

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Play the next script."""
        return self._deltas(request)

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Play the next script."""
        return self._deltas(request)

    def fill(self, request: FillRequest) -> AsyncGenerator[Delta, None]:
        """Play the next script."""
        return self._deltas(request)

    async def embed(self, request: EmbedRequest) -> Embeddings:
        """Play the next script."""
        async with aclosing(self._play(request)) as items:
            async for item in items:
                assert isinstance(item, Embeddings)
                return item
        raise AssertionError("a script for embeddings needs some")

    async def check(self, timeout_s: float) -> None:
        """What `check_script` says."""
        self.checks += 1
        self._changed.set()
        step = self.check_script[0] if len(self.check_script) == 1 else self.check_script.pop(0)
        if isinstance(step, asyncio.Event):
            await step.wait()
        elif step is not None:
            raise step

    def keys(self) -> Sequence[KeyState]:
        """Those of `key_states`."""
        return self.key_states

    async def until_asked(self, count: int = 1) -> None:
        """Wait until so many requests have come."""
        while len(self.asked) < count:
            await self._change()

    async def until_closed(self, count: int = 1) -> None:
        """Wait until so many requests were ended by their caller."""
        while self.closed < count:
            await self._change()

    async def until_checked(self, count: int = 1) -> None:
        """Wait until so many checks have begun."""
        while self.checks < count:
            await self._change()

    def script_for(self, request: Request | RelayRequest) -> Sequence[Step]:
        """The next script; a subclass may make one up."""
        return self.scripts[0] if len(self.scripts) == 1 else self.scripts.pop(0)

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    async def _deltas(self, request: Request) -> AsyncGenerator[Delta, None]:
        async with aclosing(self._play(request)) as items:
            async for item in items:
                assert isinstance(item, Delta), "a script of relayed pieces for a request that is translated"
                yield item

    async def _play(self, request: Request | RelayRequest) -> AsyncGenerator[Relayed | Delta | Embeddings, None]:
        script = self.script_for(request)
        self.asked.append(request)
        self._changed.set()
        ended = begun = False
        try:
            for step in script:
                if isinstance(step, asyncio.Event):
                    await self._patiently(step, request.timeouts, begun=begun)
                elif isinstance(step, GhostdError):
                    ended = True
                    raise step
                else:
                    ended = isinstance(step, Embeddings) or (
                        step.last if isinstance(step, Relayed) else step.finish_reason is not None
                    )
                    begun = True
                    yield step
            ended = True
        except UpstreamTimeout:
            ended = True
            raise
        finally:
            if not ended:
                self.closed += 1
                self._changed.set()

    async def _patiently(self, event: asyncio.Event, timeouts: Timeouts, *, begun: bool) -> None:
        """Wait for as long as the request allows."""
        now = asyncio.get_running_loop().time()
        until = now + (timeouts.idle_s if begun else timeouts.first_byte_s)
        try:
            async with asyncio.timeout_at(min(until, timeouts.deadline_s or until)):
                await event.wait()
        except TimeoutError:
            raise UpstreamTimeout("silence", "idle" if begun else "first byte", self.name) from None
