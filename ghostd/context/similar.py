"""What means the same as the text around a cursor, without ever waiting for a model on the way of a keystroke.

The vector of a place is made in the background when the cursor comes to other lines, and kept for the next request
there; typing within a line changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ghostd.code_ports import Similar
from ghostd.context.candidate import Candidate
from ghostd.context.selection import ContextRequest
from ghostd.embedded import SimilarState, Vector
from ghostd.errors import GhostdError
from ghostd.indexed import FoundChunk, Symbol

log = logging.getLogger(__name__)

SIMILAR = 30
"""Chunks that are asked for."""
BOOST = 0.8
"""What the closest chunk's logit gains; the last one's gains nothing."""
NOTE = "similar in meaning"
LINES_BEFORE = 20
LINES_AFTER = 5
REGION_LINES = 10
"""Cursors in the same lines of a file share a vector while a new one is made."""
REST_S = 10.0
"""How long the model is left alone after it has failed."""
_KEY_BEGINS, _KEY_ENDS = "-----BEGIN ", "-----END "
_MAX_VECTORS = 256
_MAX_WANTED = 32
_MAX_LINE_CHARS = 500

_Key = tuple[str, Path, PurePosixPath, int]


@dataclass(slots=True)
class _Known:
    """A region's vector, and what was found with it."""

    about: str
    vector: Vector
    state: SimilarState | None = None
    found: Sequence[FoundChunk] = ()


@dataclass(slots=True)
class _Wanted:
    text: str
    about: str
    done: asyncio.Future[None]


@dataclass(slots=True)
class Look:
    """One request's place."""

    key: _Key
    coming: asyncio.Future[None] | None
    """Done when the vector of what stands there now is known, or cannot be had; None: it is known."""


@dataclass(slots=True)
class PlaceVectors:
    """The vectors of places. Use from the event loop's thread."""

    similar: Similar
    _known: OrderedDict[_Key, _Known] = field(default_factory=OrderedDict)
    _wanted: OrderedDict[_Key, _Wanted] = field(default_factory=OrderedDict)
    _task: asyncio.Task[None] | None = None
    _rest_until: float = 0.0

    def close(self) -> None:
        """End the work in the background."""
        if self._task is not None:
            self._task.cancel()

    def forget_session(self, session: str) -> None:
        """A session has ended."""
        for key in [key for key in self._known if key[0] == session]:
            del self._known[key]

    def look(self, request: ContextRequest, scope: Sequence[Symbol]) -> Look | None:
        """Begin to find out what a place is about, unless that is known; None where no chunk has a vector.

        Also None for a while after the model has failed.
        """
        if not self.similar.state(request.root).embedded or time.monotonic() < self._rest_until:
            return None
        text, about = text_around(request.prefix, request.suffix, scope, request.path)
        key = request.session, request.root, request.path, request.prefix.count("\n") // REGION_LINES
        known = self._known.get(key)
        if known is not None and known.about == about:
            self._known.move_to_end(key)
            return Look(key, None)
        return Look(key, self._want(key, text, about))

    async def found(self, look: Look, root: Path, *, patient: bool) -> Sequence[FoundChunk] | None:
        """The chunks closest to a place, or to what stood there before; None where its vector is not known (yet)."""
        if patient and look.coming is not None:
            await asyncio.shield(look.coming)
        known = self._known.get(look.key)
        if known is None:
            return None
        state = self.similar.state(root)
        if known.state != state:
            known.found = await self.similar.similar(root, known.vector, SIMILAR, leave_out=look.key[2])
            known.state = state
        return known.found

    def _want(self, key: _Key, text: str, about: str) -> asyncio.Future[None]:
        wanted = self._wanted.get(key)
        if wanted is None or wanted.about != about:
            done = wanted.done if wanted is not None else asyncio.get_running_loop().create_future()
            self._wanted[key] = wanted = _Wanted(text, about, done)
        self._wanted.move_to_end(key)
        for old in [other for other in self._wanted if other[:3] == key[:3] and other != key]:
            self._give_up(old)  # the cursor is elsewhere now
        while len(self._wanted) > _MAX_WANTED:
            self._give_up(next(iter(self._wanted)))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="embed places")
        return wanted.done

    def _give_up(self, key: _Key) -> None:
        done = self._wanted.pop(key).done
        if not done.done():
            done.set_result(None)

    async def _work(self) -> None:
        while self._wanted:
            key, wanted = self._wanted.popitem(last=True)
            try:
                vector = await self.similar.vector(wanted.text)
            except GhostdError as error:
                log.debug("context: no vector for a place: %s", error)
                self._rest_until = time.monotonic() + REST_S
            except Exception:
                self._rest_until = time.monotonic() + REST_S
                log.exception("context: embedding a place failed")
            else:
                self._known[key] = _Known(wanted.about, vector)
                self._known.move_to_end(key)
                while len(self._known) > _MAX_VECTORS:
                    self._known.popitem(last=False)
            finally:
                if not wanted.done.done():
                    wanted.done.set_result(None)


def text_around(prefix: str, suffix: str, scope: Sequence[Symbol], path: PurePosixPath) -> tuple[str, str]:
    """What is embedded for a place, and the same without the cursor's line."""
    prefix, suffix = _outside_keys(prefix, suffix)
    before = prefix[-_MAX_LINE_CHARS * (LINES_BEFORE + 1) :].split("\n")
    after = suffix[: _MAX_LINE_CHARS * (LINES_AFTER + 1)].split("\n")
    above, below = before[-1 - LINES_BEFORE : -1], after[1 : 1 + LINES_AFTER]
    name = str(path).encode("utf-8", "replace").decode()
    head = [name, *(one.signature for one in scope[-1:] if one.signature)]
    own = before[-1] + after[0]
    return "\n".join((*head, *above, own, *below)).strip(), "\n".join((*head, *above, *below))


def _outside_keys(prefix: str, suffix: str) -> tuple[str, str]:
    """Without the part of a private key (PEM) of which these lines show the end or the middle only.

    By its beginning it is known as a secret; a piece without that is not.
    """
    end, begin = prefix.rfind(_KEY_ENDS), prefix.rfind(_KEY_BEGINS)
    if begin > end:
        return "", suffix[suffix.find(_KEY_ENDS) + len(_KEY_ENDS) :] if _KEY_ENDS in suffix else ""
    return (prefix[end + len(_KEY_ENDS) :], suffix) if end >= 0 else (prefix, suffix)


def marked(candidates: Sequence[Candidate], found: Sequence[FoundChunk]) -> list[tuple[FoundChunk, float]]:
    """Have the candidates that were found gain by it; the rest of what was found, each with what it gains."""
    there = {(one.path, one.first_line, one.last_line): one for one in candidates if one.kind == "chunk"}
    rest = []
    for place, one in enumerate(found):
        gain = BOOST * (1 - place / len(found))
        chunk = one.chunk
        candidate = there.get((chunk.path, chunk.first_line, chunk.last_line))
        if candidate is None:
            rest.append((one, gain))
        else:
            candidate.boost += gain
            candidate.notes.append(NOTE)
    return rest
