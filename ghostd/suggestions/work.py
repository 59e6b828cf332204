"""One request on its way from what is kept to a model's text."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from ghostd.completion.stages import Stages
from ghostd.suggestions.filler import Filler
from ghostd.suggestions.generation import Generation
from ghostd.suggestions.kept import Kept
from ghostd.suggestions.place import Place, place_at
from ghostd.suggestions.suggestion import Ask, Origin, Suggestion

if TYPE_CHECKING:
    from ghostd.suggestions.service import SuggestionService

GRACE_S = 0.03
"""A generation that nobody waits for any more lives so long: a newer request, whose text agrees, may take it over."""
READY_S = 0.001
"""Ready structures have so long to be sure; then a model that costs nothing is asked beside them."""


class Work:
    """One request."""

    def __init__(self, service: SuggestionService, ask: Ask) -> None:
        self.began_s = time.monotonic()
        self.ask = ask
        self.state = service.state_of(ask)
        self.place = place_at(ask.fill.prefix, ask.fill.suffix)
        self.fillers = service.usable(ask.fill)
        self.shown: Suggestion | None = None
        self._service = service
        self._slow = [(rank, filler) for rank, filler in enumerate(self.fillers) if not filler.ready]
        """Models that take their time."""
        self._looked = False
        """Whether ready structures have been asked."""
        self._meanwhile: Generation | None = None
        """Of a model that was asked while ready structures looked for their answer."""

    async def suggestions(self) -> AsyncGenerator[Suggestion, None]:
        """What there is to show, as it gets better; a caller that wants no better one stops at the first."""
        state, place, manual = self.state, self.place, self.ask.fill.trigger == "manual"
        if not manual:
            state.rhythm.key(self.began_s)
        state.settle(place)
        hit = state.kept.find(place)
        if hit is not None and (not manual or hit[0].rank >= len(self.fillers) - 1):
            yield _of_kept(hit[0], hit[1])
            return
        with self._held():
            answer = await self._by_ready()
        if answer is not None:
            if not self._slow or (not manual and self._service.sure(answer)):
                self.leave()
                yield replace(answer, final=True)
                return
            if self.ask.incremental:
                yield answer
        if self._meanwhile is None and (hit := self._kept_of_models()) is not None:
            yield _of_kept(hit[0], hit[1])
            return
        better = None
        for rank, filler in self._slow:
            async with aclosing(self._by_model(filler, rank, answer)) as found:
                async for better in found:
                    yield better
            if better is not None:
                return
        if answer is not None:
            yield replace(answer, final=True)

    def leave(self) -> None:
        """Models that nobody waits for any more need not go on."""
        for generation in list(self.state.running.values()):
            if not generation.wanted:
                generation.leave(GRACE_S)

    async def _by_ready(self) -> Suggestion | None:
        manual = self.ask.fill.trigger == "manual"
        for rank, filler in enumerate(self.fillers):
            if not filler.ready or self.state.kept.nothing_at(self.place, filler.model):
                continue
            self._looked = bool(self._slow)
            generation = self._service.begin(self, filler, rank)
            alone_s: float | None = READY_S
            while not generation.done:
                if not await _waited(generation, alone_s):
                    self._ask_meanwhile()
                    alone_s = None
            if generation.error is not None and len(self.fillers) == 1:
                raise generation.error
            if generation.text.strip() and not self.state.kept.refused(self.place, generation.text):
                found = self._suggestion(generation, generation.text, "fresh", final=False)
                if manual or not self._service.doubtful(found):
                    return found
        return None

    def _kept_of_models(self) -> tuple[Kept, str] | None:
        """What a model has finished while ready structures looked for their answer."""
        hit = self.state.kept.find(self.place) if self._looked else None
        return hit if hit is not None and hit[0].rank >= self._slow[0][0] else None

    def _ask_meanwhile(self) -> None:
        if not self._slow or self._kept_of_models() is not None:
            return
        rank, filler = self._slow[0]
        known = self.state.kept.nothing_at(self.place, filler.model)
        if not (filler.metered or known or filler.model in self.state.running):
            self._meanwhile = self._service.begin(self, filler, rank)

    def _asked_meanwhile(self, filler: Filler) -> Generation | None:
        asked = self._meanwhile
        return asked if asked is not None and asked.model == filler.model and not asked.stopped else None

    @contextmanager
    def _held(self) -> Iterator[None]:
        """What is being written for this place goes on while ready structures look."""
        running = [self.state.running.get(filler.model) for _, filler in self._slow]
        held = [one for one in running if one is not None]
        for one in held:
            one.wanted += 1
            one.stay()
        try:
            yield
        finally:
            for one in held:
                one.wanted -= 1

    async def _by_model(self, filler: Filler, rank: int, answer: Suggestion | None) -> AsyncGenerator[Suggestion, None]:
        """By a model that takes its time; nothing where it has nothing to say, or not within the time there is."""
        state, place, manual = self.state, self.place, self.ask.fill.trigger == "manual"
        if state.kept.nothing_at(place, filler.model):
            return
        generation = state.running.get(filler.model)
        origin: Origin = "running"
        if generation is None or generation is self._meanwhile:
            generation, origin = self._asked_meanwhile(filler) or self._service.begin(self, filler, rank), "fresh"
        waits = answer is None or manual or self.ask.incremental
        given = ""
        while True:
            if not (generation.done or generation.agrees(place)) or (
                generation.done and _contradicts(generation, place)
            ):
                generation.stop()
                state.running.pop(filler.model, None)
                generation, origin = self._service.begin(self, filler, rank), "fresh"
            if generation.done:
                if generation.error is not None and answer is None and not given:
                    raise generation.error
                if (rest := _rest(generation, place)) and not state.kept.refused(place, rest):
                    yield self._suggestion(generation, rest, origin, final=True)
                return
            left_s = self._service.left_s(self.began_s)
            if self.ask.incremental or left_s <= 0:
                lines = generation.whole_lines(place)
                if lines.strip() and lines != given:
                    given = lines
                    yield self._suggestion(generation, lines, origin, final=False)
            if left_s <= 0 and not waits:
                return  # it serves the next key
            await _waited(generation, left_s if left_s > 0 else None)

    def _suggestion(self, generation: Generation, text: str, origin: Origin, *, final: bool) -> Suggestion:
        return Suggestion(
            generation.id, text, generation.model, origin, generation.confidence, final, generation.stages_so_far
        )


async def _waited(generation: Generation, timeout_s: float | None) -> bool:
    """Whether more of it is known now; False when the time is over."""
    generation.wanted += 1
    generation.stay()
    try:
        return await generation.changed(timeout_s)
    finally:
        generation.wanted -= 1


def _of_kept(kept: Kept, rest: str) -> Suggestion:
    origin: Origin = "prepared" if kept.prepared else "kept"
    return Suggestion(kept.id, rest, kept.model, origin, kept.confidence, final=True, stages=Stages())


def _rest(generation: Generation, place: Place) -> str:
    rest = place.left_of(generation.text, generation.place)
    return rest if rest is not None and rest.strip() else ""


def _contradicts(generation: Generation, place: Place) -> bool:
    """Whether a finished one is about another text than what was typed meanwhile."""
    return generation.error is None and bool(place.typed_since(generation.place)) and not _rest(generation, place)
