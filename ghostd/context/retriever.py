"""The retriever: what a prompt should quote of the project for one place in a file."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from ghostd.code_ports import GitHistory, Index, Similar
from ghostd.context.candidate import Candidate
from ghostd.context.fitting import fitting
from ghostd.context.gather import Parts, gather
from ghostd.context.known import Known
from ghostd.context.names import Floats
from ghostd.context.pack import key_of, pack, scores
from ghostd.context.query import Query, query_of
from ghostd.context.reasons import reasons
from ghostd.context.recent import RecentChanges
from ghostd.context.scorer import expected, trained
from ghostd.context.secrets_in_text import without_secrets
from ghostd.context.selection import MAX_LEFT_OUT, Context, ContextChunk, ContextRequest, LeftOut
from ghostd.context.similar import PlaceVectors
from ghostd.context.texts import Texts
from ghostd.resolve.resolver import Resolver

_MAY_BE_LATE = frozenset(("co-changed", "uncommitted"))
"""Sources without which an answer is as good as it gets for now."""
_FRESH_S = 5.0
"""How long an answer stands while neither the words around the cursor nor the index change."""
_MAX_ANSWERS = 32
_MAX_REMEMBERED = 200
"""Places (a session's file) of which the last quotation is remembered."""

_Place = tuple[str, Path, PurePosixPath]
_Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """The last answer for a place."""

    question: tuple[object, ...]
    context: Context
    at: float
    """Monotonic."""


class Retriever:
    """Made once for each daemon. Use from the event loop's thread."""

    def __init__(
        self,
        index: Index,
        resolver: Resolver,
        history: GitHistory | None = None,
        weights: Floats | None = None,
        similar: Similar | None = None,
    ) -> None:
        texts = Texts(index)
        self._changes = RecentChanges(history) if history is not None else None
        places = PlaceVectors(similar) if similar is not None else None
        known = Known(index)
        self.parts = Parts(index, resolver, texts, known, self._changes, places)
        self._weights = weights
        self._unsubscribe = [index.subscribe(hear) for hear in (texts.hear, known.hear)]
        self._quoted: OrderedDict[_Place, tuple[_Key, ...]] = OrderedDict()
        self._last: OrderedDict[_Place, _Answer] = OrderedDict()

    def close(self) -> None:
        """Stop to listen to the index."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self.parts.known.close()
        if self._changes is not None:
            self._changes.close()
        if self.parts.places is not None:
            self.parts.places.close()

    async def select(self, request: ContextRequest) -> Context:
        """What to quote. Never fails: what cannot be read is left out, and a root that is not indexed gives nothing."""
        started = time.perf_counter()
        place = request.session, request.root, request.path
        query = query_of(request.prefix, request.suffix)
        question = self._question(request, query)
        last = self._last.get(place)
        if last is not None and last.question == question and time.monotonic() - last.at < _FRESH_S:
            return replace(last.context, seconds=time.perf_counter() - started)
        gathered = await gather(self.parts, request, query)
        before = self._quoted.get(place, ())
        if self._weights is None:
            self._weights = await asyncio.to_thread(trained)  # reads a file
        candidates, around = gathered.candidates, gathered.around
        told = expected(candidates, around, self._weights)
        probabilities = scores(candidates, told)
        taken, why_not = pack(candidates, told, request.budget_tokens, kept=frozenset(before))
        why = [reasons(candidates[one], around, told.likely(one)) for one in taken]
        chunks = [
            _quoted(candidates[one], probabilities[one], because, request)
            for one, because in zip(taken, why, strict=True)
        ]
        order = _prompt_order([key_of(candidates[one]) for one in taken], before)
        if request.session:
            self._remember(place, tuple(key_of(candidates[taken[one]]) for one in order))
        context = Context(
            chunks=tuple(chunks),
            prompt_order=tuple(order),
            left_out=tuple(_left_out(candidates, probabilities, why_not)),
            budget_tokens=request.budget_tokens,
            tokens=sum(chunk.tokens for chunk in chunks),
            candidates=len(candidates),
            seconds=time.perf_counter() - started,
            late=tuple(dict.fromkeys(gathered.late)),
        )
        if request.redact:
            context = fitting(context)  # "[redacted]" may be longer than the secret
        if request.session and _MAY_BE_LATE.issuperset(context.late):
            self._last[place] = _Answer(question, context, time.monotonic())
            self._last.move_to_end(place)
            while len(self._last) > _MAX_ANSWERS:
                self._last.popitem(last=False)
        return context

    async def prepare(self, root: Path, path: PurePosixPath, session: str = "") -> None:
        """Have ready what the first quotation for a file would wait for: it has been opened."""
        parts = self.parts
        if parts.history is not None:
            parts.history.awake(root)
        if self._weights is None:
            self._weights = await asyncio.to_thread(trained)
        await parts.known.defined(root)
        await parts.index.search(root, {path.stem: 1.0}, 1, leave_out=path)
        seen = parts.index.seen_by(session) if session else parts.index
        for one in await parts.resolver.imports(root, path, None if seen is parts.index else seen):
            for target in one.targets[:1]:
                await parts.texts.outline(root, target)

    def _question(self, request: ContextRequest, query: Query) -> tuple[object, ...]:
        """What an answer depends on: it stays the same while a word is being typed."""
        generation = next((one.generation for one in self.parts.index.roots() if one.root == request.root), -1)
        settings = request.budget_tokens, request.redact, request.bytes_per_token, request.open_documents
        return generation, query, settings

    def forget_session(self, session: str) -> None:
        """A session has ended: what was quoted for it says nothing any more."""
        for kept in (self._quoted, self._last):
            for place in [place for place in kept if place[0] == session]:
                kept.pop(place)
        if self.parts.places is not None:
            self.parts.places.forget_session(session)

    def _remember(self, place: _Place, keys: tuple[_Key, ...]) -> None:
        self._quoted[place] = keys
        self._quoted.move_to_end(place)
        while len(self._quoted) > _MAX_REMEMBERED:
            self._quoted.popitem(last=False)


def _quoted(one: Candidate, probability: float, why: Sequence[str], request: ContextRequest) -> ContextChunk:
    text, redactions = without_secrets(one.text) if request.redact else (one.text, 0)
    longer = len(text.encode("utf-8", "replace")) - len(one.text.encode("utf-8", "replace")) if redactions else 0
    return ContextChunk(
        path=one.path,
        first_line=one.first_line,
        last_line=one.last_line,
        text=text,
        source=one.source,
        score=round(float(probability), 4),
        tokens=max(1, one.tokens + math.ceil(longer / request.bytes_per_token)),
        why=tuple(why),
        redactions=redactions,
    )


def _left_out(candidates: Sequence[Candidate], probabilities: Floats, why_not: dict[int, str]) -> list[LeftOut]:
    ranked = sorted(why_not, key=lambda place: -probabilities[place])[:MAX_LEFT_OUT]
    found = []
    for place in ranked:
        one, probability = candidates[place], round(float(probabilities[place]), 4)
        found.append(
            LeftOut(one.path, one.first_line, one.last_line, one.source, probability, one.tokens, why_not[place])
        )
    return found


def _prompt_order(keys: Sequence[_Key], before: Sequence[_Key]) -> list[int]:
    """What was quoted before, in its old order; then what is new, the most valuable last, next to the cursor."""
    places = {key: place for place, key in enumerate(keys)}
    old = [places[key] for key in before if key in places]
    kept = set(old)
    return old + [place for place in reversed(range(len(keys))) if place not in kept]
