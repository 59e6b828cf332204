"""From a key to what the editor shows.

In this order: what is kept; ready structures; what is being written and still agrees with what was typed; and only
then, after a pause where one pays, a model that has not said already that it has nothing to say here.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from ghostd.completion.lexing import syntax_of
from ghostd.completion.postprocess import trim_overlap
from ghostd.completion.tidy import tidy
from ghostd.config.completion import CompletionConfig
from ghostd.errors import ModelNotFound, RequestError
from ghostd.suggestion_reports import CompletionsReport
from ghostd.suggestions.calibration import Calibration
from ghostd.suggestions.connections import Connections
from ghostd.suggestions.document import DocumentState
from ghostd.suggestions.feedback import Shown
from ghostd.suggestions.filler import Filler, Filling
from ghostd.suggestions.generation import Generation, Shape
from ghostd.suggestions.kept import Kept
from ghostd.suggestions.measured import Measured
from ghostd.suggestions.place import Place
from ghostd.suggestions.rest import PAUSE_S
from ghostd.suggestions.suggestion import Ask, Suggestion
from ghostd.suggestions.tempo import Latency, delay_s
from ghostd.suggestions.work import Work
from ghostd.types import Claim, FillRequest, Priority

DOCUMENTS = 128
"""Documents that are remembered, over all sessions."""
AHEAD_DELAY_S = 0.05
"""Pause before what may follow a suggestion is asked for."""
DOUBTFUL = 0.6
"""A suggestion is not shown by itself when its kind is right less often than this share of what its model says."""


class SuggestionService:
    """One for all sessions. Cancelling a request, or closing its generator, frees what it has begun."""

    def __init__(
        self, models: Filling, config: Callable[[], CompletionConfig], calibration: Calibration | None = None
    ) -> None:
        self._models = models
        self._config = config
        self.calibration = calibration or Calibration()
        self._documents: OrderedDict[tuple[str, str], DocumentState] = OrderedDict()
        self._latency: dict[str, Latency] = {}
        self._connections = Connections(models.connect)
        self.measured = Measured()
        """What users get to see, and how soon."""

    async def suggest(self, ask: Ask) -> AsyncGenerator[Suggestion, None]:
        """Stream suggestions for a place, each better than the one before; none where there is nothing to show.

        Without `ask.incremental` there is at most one. Raises RequestError and ProviderError.
        """
        self.measured.requests += 1
        work = Work(self, ask)
        work.state.rest.stop()
        self._follow_shown(work.state, work.place)
        answered = ended = False
        try:
            async with aclosing(work.suggestions()) as found:
                async for suggestion in found:
                    answered = True
                    self._show(work, suggestion)
                    yield suggestion
                    if not ask.incremental:
                        break
            self.measured.empty += not answered
            ended = True
        finally:
            if not ended:
                self.measured.unanswered += not answered
                work.leave()
            if ask.document:
                self._warm_later(work.state, ask, work.fillers)
        if work.shown is not None and ask.document:
            self._prepare(work, work.shown)

    def opened(self, ask: Ask) -> None:
        """A document is open: its model is loaded, and reads the text before the place, or is connected to."""
        try:
            fillers = self.usable(ask.fill)
        except RequestError:
            return  # it is told when a completion is asked for
        self._warm_later(self.state_of(ask), ask, fillers, 0.0)
        for filler in fillers:
            if filler.connects:
                self._connections.ready(filler.model)

    def _warm_later(self, state: DocumentState, ask: Ask, fillers: Sequence[Filler], after_s: float = PAUSE_S) -> None:
        warms = [filler for filler in fillers if filler.keeps]
        if warms and self._config().warm_up:
            claim = Claim("warm-up", ask.fill.session, ask.document)
            request = replace(ask.fill, model=warms[-1].model, claim=claim)
            state.rest.begin(partial(self._models.warm, request), after_s)

    def forget_session(self, session: str) -> None:
        """Its documents are closed."""
        for key in [key for key in self._documents if key[0] == session]:
            self._documents.pop(key).stop()
        self._models.forget(session, None)

    def forget_document(self, session: str, document: str) -> None:
        """It is closed."""
        if (state := self._documents.pop((session, document), None)) is not None:
            state.stop()
        self._models.forget(session, document)

    def close(self) -> None:
        """End all that runs."""
        for state in self._documents.values():
            state.stop()
        self._documents.clear()
        self._connections.close()

    def report(self) -> CompletionsReport:
        """How soon suggestions came, since the start."""
        return self.measured.report(self.off())

    def off(self) -> dict[str, str]:
        """The models that are not asked while the user types, and why."""
        config = self._config()
        try:
            found = self._models.fillers(config.model)
        except ModelNotFound:
            return {}
        reasons = {filler.model: too_slow(filler, config) for filler in found}
        return {model: why for model, why in reasons.items() if why is not None}

    # --- feedback ---------------------------------------------------------------

    def accepted(self, session: str, document: str, suggestion_id: str, share: float = 1.0) -> None:
        """The user has taken a suggestion, or this share (0..1) of it."""
        self._models.record_outcome(suggestion_id, "accepted", share)
        self.measured.taken(suggestion_id)
        self._forget_shown(session, document, suggestion_id, right=share >= 0.5)

    def rejected(self, session: str, document: str, suggestion_id: str) -> None:
        """The user has refused it: it is not shown again."""
        self._models.record_outcome(suggestion_id, "accepted", 0.0)
        self._forget_shown(session, document, suggestion_id, right=False)
        if (state := self._documents.get((session, document))) is not None:
            state.kept.refuse(suggestion_id)

    def _follow_shown(self, state: DocumentState, place: Place) -> None:
        shown = state.shown
        if shown is not None and not shown.followed_to(place):
            state.shown = None
            if shown.claimed is not None and (right := shown.right) is not None:
                self.calibration.observe(shown.model, shown.claimed, right=right)
            if shown.taken:
                self.measured.taken(shown.id)
                self._models.record_outcome(shown.id, "accepted", shown.share)

    def _forget_shown(self, session: str, document: str, suggestion_id: str, *, right: bool) -> None:
        state = self._documents.get((session, document))
        if state is None or (shown := state.shown) is None or shown.id != suggestion_id:
            return
        if shown.claimed is not None:
            self.calibration.observe(shown.model, shown.claimed, right=right)
        state.shown = None

    def _show(self, work: Work, suggestion: Suggestion) -> None:
        state = work.state
        if state.shown is None or state.shown.id != suggestion.id:
            self._models.record_outcome(suggestion.id, "shown", 1.0)
            state.shown = Shown(suggestion.id, work.place, suggestion.text, suggestion.model, suggestion.confidence)
        else:
            state.shown.grow(work.place, suggestion.text)
        before, work.shown = work.shown, suggestion
        if before is None or (before.model, before.origin) != (suggestion.model, suggestion.origin):
            self.measured.shown(suggestion, (time.monotonic() - work.began_s) * 1000)

    # --- what is asked of models ---------------------------------------------------

    def state_of(self, ask: Ask) -> DocumentState:
        """What is remembered of its document; of a text that is none, nothing."""
        if not ask.document:
            return DocumentState()
        key = (ask.fill.session, ask.document)
        state = self._documents.setdefault(key, DocumentState())
        self._documents.move_to_end(key)
        if len(self._documents) > DOCUMENTS:
            self._documents.popitem(last=False)[1].stop()
        return state

    def usable(self, fill: FillRequest) -> Sequence[Filler]:
        """The models that may be asked for this request, the best last."""
        config = self._config()
        found = self._models.fillers(fill.model)
        if fill.trigger == "manual":
            return found
        return [filler for filler in found if too_slow(filler, config) is None]

    def left_s(self, began_s: float) -> float:
        """Seconds of the inline budget that are left of a request."""
        return began_s + self._config().inline_budget_ms / 1000 - time.monotonic()

    def sure(self, suggestion: Suggestion) -> bool:
        """Whether no better model need be asked."""
        return (probability := self.probability(suggestion)) is not None and probability >= self._config().sure

    def doubtful(self, suggestion: Suggestion) -> bool:
        """Whether this user's use has shown that such suggestions are mostly wrong."""
        probability = self.probability(suggestion)
        return probability is not None and probability < DOUBTFUL * (suggestion.confidence or 0)

    def probability(self, suggestion: Suggestion) -> float | None:
        """Of being right, by what became of others; None where its model says nothing of itself."""
        if suggestion.confidence is None or not self._config().calibrate:
            return suggestion.confidence
        return self.calibration.probability(suggestion.model, suggestion.confidence)

    def begin(self, work: Work, filler: Filler, rank: int) -> Generation:
        """Ask a model for a place, after a pause where one pays."""
        state, fill = work.state, work.ask.fill
        latency = self._latency.setdefault(filler.model, Latency(filler.line_s))
        delay, tentative, waited_s = 0.0, False, time.monotonic() - work.began_s
        if not (filler.ready or fill.trigger == "manual"):
            busy = any(one.model in state.running for one in work.fillers if not one.ready)
            delay = delay_s(work.place.before, state.rhythm, latency, busy=busy)
            tentative = state.rhythm.bursts
            delay = max(delay - waited_s, 0.0)
        if state.ahead is not None and not filler.ready:
            state.ahead[0].stop()
            state.ahead = None
        generation = self._generation(work.ask, work.place, fill.prefix, filler, "interactive", delay)
        generation.tentative = tentative
        generation.stages.add("queue", waited_s * 1000)
        state.running[filler.model] = generation
        generation.start(partial(self._ended, state, filler, rank, prepared=False))
        return generation

    def _generation(
        self, ask: Ask, place: Place, prefix: str, filler: Filler, priority: Priority, delay: float
    ) -> Generation:
        claim = Claim(priority, ask.fill.session, ask.document)
        request = replace(ask.fill, model=filler.model, prefix=prefix, claim=claim, tidy=False, halt=not filler.ready)
        opened = partial(self._models.fill_as, request, "lsp" if ask.fill.session.startswith("lsp") else "")
        guarding = (lambda: None) if filler.ready else partial(self._models.guard, request)
        return Generation(place, filler.model, opened, _shape(request, ready=filler.ready), delay, guarding)

    def _ended(
        self, state: DocumentState, filler: Filler, rank: int, generation: Generation, *, prepared: bool
    ) -> None:
        if state.running.get(filler.model) is generation:
            del state.running[filler.model]
        if state.ahead is not None and state.ahead[0] is generation:
            state.ahead = None
        if generation.error is not None or not generation.asked:
            return
        if filler.connects:
            self._connections.ready(filler.model)
        if generation.stopped:
            return
        self._latency.setdefault(filler.model, Latency()).measured(generation.took_s)
        state.kept.add(
            Kept(
                generation.id,
                generation.place.trimmed(),
                generation.text,
                filler.model,
                rank,
                generation.confidence,
                prepared=prepared,
            )
        )

    def _prepare(self, work: Work, shown: Suggestion) -> None:
        """Ask for what may follow a suggestion once it is accepted."""
        state, place = work.state, work.place
        found = state.kept.find(place)
        fillers = [filler for filler in work.fillers if not filler.ready]
        if found is None or found[0].followed or not fillers or state.running or state.ahead is not None:
            return
        if state.rhythm.bursts and work.ask.fill.trigger != "manual":
            return  # it is not being looked at
        kept, rest = found
        filler = fillers[-1]
        speculate = self._config().speculate
        if speculate == "never" or (speculate == "auto" and filler.metered):
            return
        following = place.after(rest)
        if state.kept.find(following) is not None or state.kept.nothing_at(following, filler.model):
            return
        kept.followed = True
        generation = self._generation(
            work.ask, following, work.ask.fill.prefix + rest, filler, "speculative", AHEAD_DELAY_S
        )
        state.ahead = generation, kept
        rank = len(work.fillers) - 1
        generation.start(partial(self._ended, state, filler, rank, prepared=True))


@asynccontextmanager
async def open_suggestions(
    models: Filling, config: Callable[[], CompletionConfig], calibration_file: Path
) -> AsyncIterator[SuggestionService]:
    """The service while the block runs; what it learns of the user is kept in the file."""
    service = SuggestionService(models, config, await asyncio.to_thread(Calibration, calibration_file))
    try:
        yield service
    finally:
        service.close()
        await asyncio.to_thread(service.calibration.save)


def too_slow(filler: Filler, config: CompletionConfig) -> str | None:
    """Why a model is not asked while the user types; None if it is."""
    if filler.line_s is None or filler.line_s * 1000 <= config.model_budget_ms:
        return None
    return (
        f"needs about {filler.line_s * 1000:.0f} ms for a line, more than completion.model_budget_ms "
        f"({config.model_budget_ms}): it completes on request only"
    )


def _shape(request: FillRequest, *, ready: bool) -> Shape:
    if ready:
        return lambda text: trim_overlap(text, request.suffix)
    syntax = syntax_of(request.language, request.path)
    return lambda text: tidy(text, request.prefix, request.suffix, syntax)
