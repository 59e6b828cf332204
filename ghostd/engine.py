"""The use cases that every door calls: chat, complete, fill, embed, models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ghostd.code_ports import Index, SyntaxCheck
from ghostd.completion.fill import collect, fill_along, warm_with
from ghostd.completion.layouts import Layouts
from ghostd.completion.prompting import Knowledge, Quote
from ghostd.completion.soundness import SyntaxGuard
from ghostd.config.settings import Config
from ghostd.context.service import ContextService
from ghostd.errors import GhostdError, ModelNotFound, ProviderError, RequestError, WorkerFailed
from ghostd.models import ModelInfo
from ghostd.navigation.navigator import Navigator
from ghostd.next_edit.service import NextEdits
from ghostd.ports import Ledger, PromptCache, Provider
from ghostd.records import OutcomeKind
from ghostd.routing.call import Call, Hints, Item, Job
from ghostd.routing.deployment import Deployment
from ghostd.routing.features import features_of
from ghostd.routing.listing import list_models
from ghostd.routing.plan import AUTO
from ghostd.routing.reach import may_leave
from ghostd.routing.registry import Registry
from ghostd.routing.router import Router
from ghostd.routing.selection import select
from ghostd.routing.tokens import TokenCount, Tokens
from ghostd.suggestions.filler import Filler
from ghostd.suggestions.service import SuggestionService
from ghostd.translation import as_fill, translate
from ghostd.types import (
    Capability,
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    FillRequest,
    Timeouts,
    Usage,
)

R = TypeVar("R", ChatRequest, CompletionRequest, FillRequest, EmbedRequest)

_EXPECTED_LINES = 4
_EXPECTED_S = 0.02
"""Time that ready structures have to say what they expect a model to write."""


class Engine:
    """Answers requests with the registry's models. Every method raises RequestError or ProviderError.

    Closing a stream, or cancelling the task that iterates it, ends the work behind it.
    """

    def __init__(
        self,
        providers: Sequence[Provider] = (),
        *,
        registry: Registry | None = None,
        ledger: Ledger | None = None,
        open_connection: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Over these local providers with the default configuration, or over a whole registry.

        `open_connection` has one to a base URL ready, and raises nothing; None: they are opened when they are needed.
        """
        self.router = Router(registry or Registry(Config(), providers), self._translated, ledger)
        self._ledger = ledger
        self._open_connection = open_connection
        self.tokens = Tokens(lambda: self.registry)
        self.quote: Quote | None = None
        """What fill prompts quote of the project; None: nothing but the file."""
        self.syntax: SyntaxCheck | None = None
        """What tells whether a text would break the file; None: nothing but a lexer."""
        self.layouts = Layouts()
        """How the prompts of open documents are laid out."""
        self._fills = 0
        """How many fills by tiers are under way."""

    @property
    def registry(self) -> Registry:
        """The tables in force."""
        return self.router.registry

    def models(self) -> list[ModelInfo]:
        """Every name that can be asked for now."""
        return list_models(self.registry)

    def model(self, name: str) -> ModelInfo:
        """What is known of a name; raises ModelNotFound."""
        for info in self.models():
            if info.id == name:
                return info
        plan = self.registry.plan(name)
        return replace(plan.tiers[0][0].deployment.info, id=name)

    def may_leave(self, name: str) -> bool:
        """Whether what is asked of a name may leave this machine; raises ModelNotFound."""
        return may_leave(self.registry, name)

    def record_outcome(self, call_id: str, kind: OutcomeKind, value: float) -> None:
        """Note what became of a reply."""
        if self._ledger is not None:
            self._ledger.record_outcome(call_id, kind, value)

    def refused(self, call: Call, error: GhostdError) -> None:
        """Note a request that was refused before it could be asked of any model."""
        self.router.record(call, error)

    def first(self, call: Call) -> Deployment:
        """The deployment that would be asked first; raises RequestError where none can do what is asked."""
        return select(self.registry.plan(call.model), call, partial(features_of, call)).tiers[0][0].deployment

    async def count_tokens(self, request: ChatRequest | CompletionRequest, estimate: int) -> TokenCount:
        """The tokens of a request's prompt; see Tokens.count."""
        return await self.tokens.count(request, estimate)

    def busy(self, model: str) -> bool:
        """Whether a model of this name is being asked now."""
        deployments = [choice.deployment for tier in self.registry.plan(model).tiers for choice in tier]
        filling = _tiers(self.registry) if self._fills else ()
        return any(deployment.health.in_flight > 0 or deployment in filling for deployment in deployments)

    @property
    def idle(self) -> bool:
        """Whether no model is being asked."""
        return not self._fills and not any(one.health.in_flight for one in self.registry.used())

    # --- requests ---------------------------------------------------------------------

    def serve(self, call: Call) -> AsyncGenerator[Item, None]:
        """Stream what answers a call: pieces in its own dialect, or deltas (or one Embeddings)."""
        if call.capability == "fill" and self._by_tiers(call.model):
            return self._fill(call)
        return self.router.run(call)

    def chat(self, request: ChatRequest) -> AsyncGenerator[Delta, None]:
        """Stream the assistant's next message."""
        return _deltas(self.serve(_call("chat", request)))

    def complete(self, request: CompletionRequest) -> AsyncGenerator[Delta, None]:
        """Stream the continuation of a prompt, or the text of the hole when there is a suffix."""
        return _deltas(self.serve(_call("complete" if request.suffix is None else "fill", request)))

    def fill(self, request: FillRequest, client: str = "") -> AsyncGenerator[Delta, None]:
        """Stream the text of a hole in a file."""
        return self.fill_as(request, client)[1]

    def fill_as(self, request: FillRequest, client: str) -> tuple[str, AsyncGenerator[Delta, None]]:
        """As `fill`; also says the request's id in the ledger."""
        call = _call("fill", request)
        call.hints = Hints(
            client=client,
            project=str(request.root or ""),
            language=request.language or "",
            session=request.session,
        )
        return call.id, _deltas(self.serve(call))

    def fillers(self, model: str) -> list[Filler]:
        """The models that fill for a name, the fastest first; raises ModelNotFound."""
        tiers = _tiers(self.registry)
        if self._by_tiers(model):
            return [_filler(deployment, deployment.name) for deployment in tiers]
        named = self.registry.plan(model).tiers[0][0].deployment
        first = [one for one in tiers if one.info.fim is None and one is not named]
        if (named.info.fim is None and not named.upstream) or not self.registry.config.completion.project_first:
            first = []
        return [*(_filler(one, one.name) for one in first), _filler(named, model)]

    def forget(self, session: str, document: str | None) -> None:
        """A session has closed a document, or (None) has gone: its prompts need not begin alike any more."""
        self.layouts.forget(session, document)

    async def warm(self, request: FillRequest) -> Usage | None:
        """Have the prompt of a document read while nobody waits, as `completion.fill.warm_with`; None where the model
        that would fill keeps no prompts. Call it when the user pauses; cancel it when he types on."""
        if self._by_tiers(request.model):
            tiers = _tiers(self.registry)
        else:
            tiers = [self.registry.plan(request.model).tiers[0][0].deployment]
        filling = next((one for one in tiers if one.info.fim is not None), None)
        if filling is None:
            return None
        return await warm_with(filling, replace(request, model=filling.model), self._knowledge())

    async def connect(self, model: str) -> None:
        """Have a connection ready to the service that would be asked first for a model; does nothing where none is."""
        with suppress(RequestError):
            deployment = self.registry.plan(model).tiers[0][0].deployment
            if deployment.upstream and self._open_connection is not None:
                await self._open_connection(deployment.endpoint)

    async def embed(self, request: EmbedRequest) -> tuple[str, Embeddings]:
        """Embed texts; also says which model did."""
        call = _call("embed", request)
        async with aclosing(self.serve(call)) as items:
            async for item in items:
                if isinstance(item, Embeddings):
                    return call.trace.deployment, item
        raise AssertionError("the router gives vectors or raises")

    def _translated(
        self, deployment: Deployment, jobs: Sequence[Job], timeouts: Timeouts
    ) -> AsyncGenerator[Delta | Embeddings, None]:
        return translate(deployment, jobs, timeouts, self._knowledge())

    def _knowledge(self) -> Knowledge:
        read_s = self.registry.config.completion.read_ms / 1000
        return Knowledge(self.quote, self._expected, self.layouts, read_s, self.guard)

    def guard(self, request: FillRequest) -> SyntaxGuard | None:
        """What keeps a text from breaking the file; None without an index, or where the settings refuse it."""
        wait_s = self.registry.config.completion.syntax_ms / 1000
        return SyntaxGuard(self.syntax, request, wait_s) if self.syntax is not None and wait_s else None

    async def _expected(self, request: FillRequest) -> str:
        """What this machine's ready structures hold for the text; "" where they know nothing in time."""
        native = next((one for one in _tiers(self.registry) if one.info.fim is None), None)
        if native is None:
            return ""
        asked = replace(request, model=native.model, min_confidence=0.0, max_lines=_EXPECTED_LINES)
        with suppress(TimeoutError, RequestError, ProviderError):
            async with asyncio.timeout(_EXPECTED_S):
                return (await collect(native.provider.fill(asked))).text
        return ""

    # --- filling by tiers ----------------------------------------------------------------

    def _by_tiers(self, model: str) -> bool:
        try:
            plan = self.registry.plan(model)
        except ModelNotFound:
            return False  # the router says so
        return plan.virtual and plan.name == AUTO

    async def _fill(self, call: Call) -> AsyncGenerator[Item, None]:
        """ "auto" fills by this machine's models: first by ready structures, then by a model with FIM tokens."""
        trace, error = call.trace, None
        self._fills += 1
        trace.route, trace.attempts, trace.reason = AUTO, 1, "tiers of this machine's models"
        try:
            tiers = _tiers(self.registry)
            if not tiers:
                raise ModelNotFound(AUTO, tuple(info.id for info in self.models()))
            jobs = call.decode()
            for choice, job in enumerate(jobs):
                assert not isinstance(job.request, ChatRequest | EmbedRequest)
                stream = fill_along(tiers, as_fill(job.request), self._knowledge())
                async with aclosing(stream) as deltas:
                    async for delta in deltas:
                        trace.deployment = trace.deployment or delta.model or ""
                        if trace.first_byte_ms is None:
                            trace.first_byte_ms = call.age_ms
                        if delta.finish_reason is not None:
                            trace.usage = _sum(trace.usage, delta.usage, job)
                            if choice == len(jobs) - 1:
                                trace.cost_usd = 0.0
                                self.router.record(call, None)
                        yield delta.said_by(delta.model or "", choice)
            if trace.cost_usd is None:
                raise WorkerFailed("The model's reply broke off.")
        except BaseException as caught:
            error = caught
            raise
        finally:
            self._fills -= 1
            if error is not None:
                self.router.record(call, error)


def _tiers(registry: Registry) -> list[Deployment]:
    """One native filler, then one model with FIM tokens; nothing that leaves the machine.

    A model whose self-test failed comes last, one that is in memory before one that would have to be loaded.
    """
    infos = [(choice.deployment, choice.deployment.info) for choice in registry.everything()]
    able = [(d, info) for d, info in infos if "fill" in info.capabilities and info.state != "failed" and not d.upstream]
    native = [d for d, info in able if info.fim is None]
    prompted = [(d, info, info.fim) for d, info in able if info.fim is not None]
    prompted.sort(key=lambda one: (not one[2].works, one[1].state == "unloaded"))
    return native[:1] + [d for d, _, _ in prompted[:1]]


def _filler(deployment: Deployment, name: str) -> Filler:
    info = deployment.info
    return Filler(
        model=name,
        ready=info.fim is None and not deployment.upstream,
        remote=info.remote,
        metered=deployment.upstream and info.remote,
        connects=deployment.upstream,
        keeps=isinstance(deployment.provider, PromptCache) and info.fim is not None,
        speed=info.speed,
    )


async def _deltas(items: AsyncGenerator[Item, None]) -> AsyncGenerator[Delta, None]:
    async with aclosing(items):
        async for item in items:
            assert isinstance(item, Delta)
            yield item


def _call(capability: Capability, request: R) -> Call:
    """A call of one request that comes in ghostd's own vocabulary."""
    return Call(
        operation=capability,
        model=request.model,
        capability=capability,
        decode=lambda: (Job(request),),
        stream=capability != "embed",
        relayable=False,
        max_tokens=None if isinstance(request, EmbedRequest) else request.max_tokens,
    )


def _sum(total: Usage | None, usage: Usage | None, job: Job) -> Usage | None:
    if usage is None or total is None:
        return usage or total
    prompt = usage.prompt_tokens if job.counts_prompt else 0
    return Usage(total.prompt_tokens + prompt, total.completion_tokens + usage.completion_tokens)


@dataclass(frozen=True, slots=True)
class FrontendHost:
    """What the daemon hands a front-end."""

    engine: Engine
    index: Index
    config: Config
    socket_path: Path
    """Unix socket to listen on, in a folder of mode 0700; the front-end makes and removes it."""
    navigator: Navigator
    context: ContextService
    suggestions: SuggestionService
    next_edits: NextEdits


Frontend = Callable[[FrontendHost], AbstractAsyncContextManager[None]]
"""Entry point group `ghostd.frontends`: entered at start, returns once it accepts connections."""
