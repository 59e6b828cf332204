"""From a place in a file to the pieces that may be quoted for it, out of ready structures."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import PurePosixPath
from typing import TypeVar

from ghostd.code_ports import Index
from ghostd.committed import CoChange, FileChange
from ghostd.context.buffers import pieces_of_buffer, plain
from ghostd.context.candidate import Candidate, Surroundings
from ghostd.context.known import Known
from ghostd.context.outlines import OutlinePiece
from ghostd.context.query import Query, own_names
from ghostd.context.quote import frame_bytes
from ghostd.context.recent import Changes
from ghostd.context.selection import ContextRequest, ContextSource
from ghostd.context.similar import NOTE, Look, PlaceVectors, marked
from ghostd.context.surroundings import DEFINITION_LINES, enclosing_of, imported_files, last_line
from ghostd.context.texts import Texts
from ghostd.indexed import FoundChunk, Symbol
from ghostd.resolve.resolved import ResolvedImport
from ghostd.resolve.resolver import Resolver
from ghostd.resolve.scopes import scope_at

log = logging.getLogger(__name__)

SEARCHED = 40
SEARCHED_PER_TOKEN = 0.03
MAX_SEARCHED = 250
"""Chunks that are asked of the search: some, and more for a larger budget."""
MAX_DEFINING_FILES = 6
"""A name that more files define says little."""
MAX_DEFINITIONS = 40
MAX_OUTLINED_FILES = 24
MAX_PIECES_OF_FILE = 4
"""Outline pieces of a file that name nothing nearby."""
MAX_IMPORTED_NAMES = 80
MAX_HUNKS = 12
_HISTORY_SHARE = 0.4
"""Of the deadline: what lies ready in memory does not wait longer for what is read from a repository."""
_CO_CHANGED = 5
_CO_CHANGE_BOOST = 0.6
_UNCOMMITTED_BOOST = 0.8
_OPEN_BOOST = 0.4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the sources are; `history` is None where git history is switched off."""

    index: Index
    resolver: Resolver
    texts: Texts
    known: Known
    history: Changes | None = None
    places: PlaceVectors | None = None
    """None where there are no embeddings."""


@dataclass(slots=True)
class Gathered:
    """The candidates for a place, with what they are judged against."""

    candidates: list[Candidate]
    around: Surroundings
    late: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Found:
    """What the sources say."""

    chunks: Sequence[FoundChunk] = ()
    imports: Sequence[ResolvedImport] = ()
    outline: Sequence[Symbol] = ()
    names: Collection[str] = ()
    """That the project defines."""
    co_changed: Sequence[CoChange] = ()
    uncommitted: Sequence[FileChange] = ()


async def gather(parts: Parts, request: ContextRequest, query: Query) -> Gathered:
    """All that may be quoted, each piece once. Sources that fail or are late are named and left out."""
    return await _Gathering(parts, request, query).run()


class _Gathering:
    """One run."""

    def __init__(self, parts: Parts, request: ContextRequest, query: Query) -> None:
        self.parts, self.request, self.query = parts, request, query
        self.root, self.path = request.root, request.path
        self.seen = parts.index.seen_by(request.session) if request.session else parts.index
        self.deadline = time.monotonic() + request.deadline_s
        self.late: list[str] = []
        self.open = {
            PurePosixPath(document.path.relative_to(self.root).as_posix()): document.text
            for document in request.open_documents
            if document.path.is_relative_to(self.root)
        }
        self.shown = {path: plain(text) for path, text in self.open.items()}
        self.candidates: list[Candidate] = []

    async def run(self) -> Gathered:
        found = await self._ask_sources()
        scope = scope_at(found.outline, len(self.request.prefix.encode("utf-8", "replace")))
        look = self.parts.places.look(self.request, scope) if self.parts.places is not None else None
        enclosing, own_bases = enclosing_of(scope)
        defining = await self._defining_files(found.imports, own_bases)
        imported = imported_files(found.imports, defining)
        near = {
            name: files
            for name, files in defining.items()
            if (name in self.query.nearby or name in own_bases) and len(files) <= MAX_DEFINING_FILES
        }
        around = Surroundings(
            path=self.path,
            query=self.query,
            imported=imported,
            bases=own_bases,
            enclosing=enclosing,
            best_search=found.chunks[0].score if found.chunks else 0.0,
            defined=frozenset(found.names if found.outline else ()),
            own_names=own_names(self.request.prefix, self.request.suffix),
        )
        await self._within("search", self._chunks(found.chunks), None)
        await self._within("definition", self._definitions(near), None)
        await self._within("outline", self._outlines(imported, near, found.co_changed, own_bases), None)
        await self._within("uncommitted", self._uncommitted(found.uncommitted), None)
        self._open_documents()
        if look is not None:
            await self._within("similar", self._similar(look), None)
        self._boost(found.co_changed)
        if around.defined and self.open:
            shown = [one.defines for one in self.candidates if one.path in self.open]
            around = replace(around, defined=around.defined.union(*shown))
        return Gathered(self.candidates, around, self.late)

    async def _ask_sources(self) -> _Found:
        history = self.parts.history
        own = self.parts.index is self.seen  # no open document stands in for its file
        limit = min(MAX_SEARCHED, SEARCHED + round(SEARCHED_PER_TOKEN * self.request.budget_tokens))
        parts, root, path = self.parts, self.root, self.path
        # Asked in tasks that may be cancelled before they begin.
        asked: dict[str, Callable[[], Awaitable[object]]] = {
            "chunks": lambda: parts.index.search(root, self.query.words, limit, leave_out=path),
            "imports": lambda: parts.resolver.imports(root, path, None if own else self.seen),
            "outline": lambda: (parts.known if own else self.seen).outline(root, path),
        }
        soon = self.deadline - (1 - _HISTORY_SHARE) * self.request.deadline_s
        until = dict.fromkeys(asked, self.deadline)
        asked["names"] = partial(parts.known.defined, root)
        if history is not None and not self.request.patient and not history.awake(self.root):
            self.late += ["co-changed", "uncommitted"]
        elif history is not None:
            asked["co_changed"] = partial(history.co_changed, root, path, _CO_CHANGED)
            asked["uncommitted"] = partial(history.uncommitted, root)
        answers = await asyncio.gather(
            *(self._asked(name, source, until.get(name, soon)) for name, source in asked.items())
        )
        return _Found(**dict(zip(asked, answers, strict=True)))  # type: ignore[arg-type]

    async def _asked(self, name: str, source: Callable[[], Awaitable[object]], until: float) -> object:
        return await self._within(name, source(), (), until)

    async def _within(self, name: str, answer: Awaitable[T], otherwise: T, until: float | None = None) -> T:
        """The answer, unless it is late or fails."""
        try:
            async with asyncio.timeout(max(0.0, (until or self.deadline) - time.monotonic())):
                return await answer
        except TimeoutError:
            pass
        except Exception:
            log.exception("context: the source %s failed", name)
        self.late.append(name.replace("_", "-"))
        return otherwise

    async def _defining_files(
        self, imports: Sequence[ResolvedImport], own_bases: Collection[str]
    ) -> dict[str, set[PurePosixPath]]:
        """Name nearby, imported or based on → the other files that define it."""
        imported = [name for one in imports if one.targets for name in one.statement.names if name != "*"]
        names = dict.fromkeys([*self.query.nearby, *own_bases, *imported[:MAX_IMPORTED_NAMES]])
        defined = await self._within("definition", self.parts.known.files_defining(self.root, list(names)), {})
        found = {name: {path for path in paths if path != self.path} for name, paths in defined.items() if paths}
        return {name: paths for name, paths in found.items() if paths}

    async def _chunks(self, chunks: Sequence[FoundChunk]) -> None:
        await self.parts.texts.read(self.root, (found.chunk.path for found in chunks))
        for found in chunks:
            chunk = found.chunk
            await self._add(chunk.path, chunk.first_line, chunk.last_line, search_score=found.score)

    async def _definitions(self, near: dict[str, set[PurePosixPath]]) -> None:
        ranked = sorted(near, key=lambda name: -self.query.nearby.get(name, 1.5))
        places = [(name, path) for name in ranked for path in sorted(near[name])][:MAX_DEFINITIONS]
        there = {(one.path, one.first_line) for one in self.candidates}
        symbols = [
            symbol
            for symbol in (await self.parts.known.definitions_in(self.root, places) if places else ())
            if (symbol.path, symbol.line) not in there and symbol.kind not in ("field", "enum_member")
        ]
        await self.parts.texts.read(self.root, (symbol.path for symbol in symbols))
        for symbol in symbols:
            lines = await self.parts.texts.lines(self.root, symbol.path)
            if lines is not None:
                last = last_line(lines, symbol)
                await self._add(symbol.path, symbol.line, last, defines=frozenset((symbol.name,)))

    async def _add(
        self,
        path: PurePosixPath,
        first_line: int,
        last_line: int,
        *,
        search_score: float = 0.0,
        defines: frozenset[str] = frozenset(),
        note: str = "",
        boost: float = 0.0,
        source: ContextSource | None = None,
    ) -> None:
        piece = await self.parts.texts.piece(self.root, path, first_line, last_line)
        if piece is None:
            return
        if path in self.shown and plain(piece.text) not in self.shown[path]:
            return  # what the editor shows is quoted instead
        candidate = Candidate(
            "chunk",
            path,
            first_line,
            last_line,
            source or ("uncommitted" if note else "search" if search_score else "definition"),
            piece.text,
            search_score,
            defines=piece.defines | defines,
            boost=boost,
            tokens=self._tokens(piece.size_bytes, path),
            names=piece.names,
        )
        if note:
            candidate.notes.append(note)
        self.candidates.append(candidate)

    async def _outlines(
        self,
        imported: dict[PurePosixPath, frozenset[str]],
        near: dict[str, set[PurePosixPath]],
        co_changed: Sequence[CoChange],
        own_bases: frozenset[str],
    ) -> None:
        wanted = dict.fromkeys([*imported, *(path for files in near.values() for path in files)])
        wanted.update(dict.fromkeys(one.path for one in co_changed))
        wanted.pop(self.path, None)
        telling = self.query.nearby.keys() | own_bases
        for path in list(wanted)[:MAX_OUTLINED_FILES]:
            pieces = await self.parts.texts.outline(self.root, path)
            names = telling | imported.get(path, frozenset())
            chosen = [piece for piece in pieces if piece.names & names]
            others = [piece for piece in pieces if not piece.names & names] if path in imported else []
            for piece in (*chosen[: 2 * MAX_PIECES_OF_FILE], *others[:MAX_PIECES_OF_FILE]):
                self.candidates.append(self._outlined(piece))

    def _outlined(self, piece: OutlinePiece) -> Candidate:
        return Candidate(
            "outline",
            piece.path,
            piece.first_line,
            piece.last_line,
            "outline",
            piece.text,
            container=piece.container,
            defines=piece.names,
            tokens=self._tokens(len(piece.text.encode("utf-8", "replace")), piece.path),
            names=piece.words,
        )

    async def _uncommitted(self, changes: Sequence[FileChange]) -> None:
        """What the user is changing elsewhere, as it is after the change."""
        left = MAX_HUNKS
        for change in changes:
            if change.path == self.path or change.kind == "deleted":
                continue
            for hunk in change.hunks:
                if left and hunk.last_line >= hunk.first_line:
                    left -= 1
                    last = min(hunk.last_line, hunk.first_line + DEFINITION_LINES - 1)
                    await self._add(
                        change.path, hunk.first_line, last, note="changed, not committed", boost=_UNCOMMITTED_BOOST
                    )

    async def _similar(self, look: Look) -> None:
        """What means the same as the text around the cursor, as far as that is known by now."""
        assert self.parts.places is not None
        found = await self.parts.places.found(look, self.root, patient=self.request.patient)
        if found is None:
            self.late.append("similar")
            return
        for one, gain in marked(self.candidates, found):
            chunk = one.chunk
            await self._add(chunk.path, chunk.first_line, chunk.last_line, note=NOTE, boost=gain, source="similar")

    def _open_documents(self) -> None:
        """Pieces of open buffers that say what their files do not."""
        for path, text in self.open.items():
            if path == self.path:
                continue
            for first, last, piece in pieces_of_buffer(text, self.query):
                self.candidates.append(
                    Candidate(
                        "chunk",
                        path,
                        first,
                        last,
                        "open",
                        piece.text,
                        defines=piece.defines,
                        names=piece.names,
                        tokens=self._tokens(piece.size_bytes, path),
                    )
                )

    def _boost(self, co_changed: Sequence[CoChange]) -> None:
        highest = max((one.score for one in co_changed), default=0.0)
        together = {one.path: one for one in co_changed if one.path != self.path}
        for candidate in self.candidates:
            if candidate.path in self.open:
                candidate.boost += _OPEN_BOOST
                candidate.notes.append("open in the editor")
            if (change := together.get(candidate.path)) is not None and highest:
                candidate.boost += _CO_CHANGE_BOOST * change.score / highest
                times = f"changed together in {change.commits} commits"
                candidate.notes.append(times if change.commits else "goes with it by place, name or a recent change")

    def _tokens(self, size_bytes: int, path: PurePosixPath) -> int:
        """A quotation's tokens, with the line that names its file and the empty line behind it; never too few."""
        return math.ceil((size_bytes + frame_bytes(path)) / self.request.bytes_per_token)
