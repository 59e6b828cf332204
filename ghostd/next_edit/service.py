"""Next edits, for every front-end."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import PurePosixPath
from typing import ParamSpec, TypeVar

from ghostd.config.next_edit import NextEditConfig
from ghostd.next_edit.asked import Asked, Texts
from ghostd.next_edit.by_model import ModelEdits
from ghostd.next_edit.document import Source
from ghostd.next_edit.elsewhere import Elsewhere
from ghostd.next_edit.guards import apart, keeps_order, undone
from ghostd.next_edit.history import Edit
from ghostd.next_edit.imports import Imports, new_names
from ghostd.next_edit.proposal import Proposal, propose
from ghostd.next_edit.rename import Renamed, is_shorthand, places, renames
from ghostd.next_edit.repeat import fitting, transformations
from ghostd.next_edit.signature import Resigned, calls, overrides, resigned
from ghostd.next_edit.tokens import MAX_CHARS
from ghostd.resolve.resolver import Resolver

P = ParamSpec("P")
R = TypeVar("R")

_EDITS = 4
"""How many of the last edits may still be followed up."""
_MAX_REJECTED = 512
_LARGE_CHARS = 8 * 1024
"""Texts from here on are read in a thread."""


@dataclass(slots=True)
class _Here:
    """What the document itself says."""

    proposals: list[Proposal] = field(default_factory=list)
    renames: list[Renamed] = field(default_factory=list)
    signatures: list[Resigned] = field(default_factory=list)


class NextEdits:
    """Proposes. One for each daemon; use from the event loop's thread."""

    def __init__(self, config: NextEditConfig, resolver: Resolver, model: ModelEdits | None = None) -> None:
        self.config = config
        self._resolver = resolver
        self._model = model
        self._rejected: OrderedDict[tuple[str, ...], None] = OrderedDict()

    async def propose(self, asked: Asked, *, with_model: bool = False) -> list[Proposal]:
        """What is to be edited next, the nearest behind the cursor first, then before it, then in other files."""
        if not asked.edits or len(asked.text) > MAX_CHARS:
            return []
        source = Source(asked.root, asked.path, asked.text)
        texts = Texts(asked)
        found: list[Proposal] = []
        if source.family:
            here = await _read(len(asked.text), _here, asked, source)
            found = here.proposals
            if self.config.max_files:
                found += await self._elsewhere(asked, source, texts, here)
            found += await self._imports(asked, source)
        found = await self._allowed(asked, found)
        if not found and with_model and self._model is not None and self.config.model:
            made = await self._model.proposals(asked, source)
            found = await self._allowed(asked, made)
        return found

    def reject(self, session: str, proposal: Proposal) -> None:
        """The user does not want it: it is not proposed again in this session."""
        self._rejected[_key(session, proposal)] = None
        while len(self._rejected) > _MAX_REJECTED:
            self._rejected.popitem(last=False)

    def forget_session(self, session: str) -> None:
        """Forget what a session has rejected."""
        for key in [key for key in self._rejected if key[0] == session]:
            del self._rejected[key]

    async def _elsewhere(self, asked: Asked, source: Source, texts: Texts, here: _Here) -> list[Proposal]:
        found: list[Proposal] = []
        elsewhere = Elsewhere(self._resolver, texts, self.config.max_files)
        for each in here.renames:
            if each.defined.role in ("top", "member") and each.confidence > 0.9:
                reason = f"`{each.old}` has been renamed to `{each.new}` in {source.path}."
                async for use in elsewhere.uses(source, each.old, member=each.defined.role == "member"):
                    token = use.source.tokens[use.at]
                    new = f"{each.old}: {each.new}" if is_shorthand(use.source, use.at) else each.new
                    found.append(propose(use.source, token.start, token.end, new, "rename", reason, use.confidence))
        for change in here.signatures:
            uses: dict[PurePosixPath, tuple[Source, list[int]]] = {}
            member = change.function.member and change.name == change.function.name
            async for use in elsewhere.uses(source, change.name, member=member):
                uses.setdefault(use.source.path, (use.source, []))[1].append(use.at)
            for other, where in uses.values():
                found += await _read(len(other.text), calls, other, change, where)
            if member:
                found += await self._overrides(asked, source, texts, change)
        return found

    async def _overrides(self, asked: Asked, source: Source, texts: Texts, change: Resigned) -> list[Proposal]:
        """The definitions of the same name in types that extend the one whose method has changed."""
        owner = source.scopes.type_at(change.function.name_start)
        if owner is None or not owner.type_name:
            return []
        found: list[Proposal] = []
        paths = {symbol.path for symbol in await asked.view.definitions(asked.root, change.function.name)}
        for path in sorted(paths | {source.path}, key=lambda path: (path != source.path, path))[:20]:
            other = await texts.source(path)
            if other is None or other.family != source.family:
                continue
            scopes = await _read(len(other.text), attrgetter("scopes"), other)
            for function in scopes.functions:
                if function.name != change.function.name or not function.member:
                    continue
                kind = scopes.type_at(function.name_start)
                if kind is None or (path == source.path and kind == owner):
                    continue
                head = (
                    other.text[kind.start - 200 if kind.start > 200 else 0 : kind.start]
                    + other.text[kind.start : kind.start + 200].partition("\n")[0]
                )
                line = head.rpartition("\n")[2]
                if owner.type_name in line.replace("(", " ").replace(")", " ").replace(",", " ").split():
                    made = overrides(other, change, function)
                    found += [made] if made is not None else []
        return found

    async def _imports(self, asked: Asked, source: Source) -> list[Proposal]:
        found: list[Proposal] = []
        for edit in _of_document(asked, source):
            before = source.before(edit)
            if before is not None:
                earlier = Source(source.root, source.path, before)
                names = await _read(len(source.text), new_names, source, earlier, edit, asked.offset)
                found += await Imports(self._resolver).proposals(asked, source, names)
        return found

    async def _allowed(self, asked: Asked, found: list[Proposal]) -> list[Proposal]:
        """What passes all guards, in the order in which it is shown."""
        kept = [
            proposal
            for proposal in found
            if proposal.confidence >= self.config.min_confidence
            and _key(asked.session, proposal) not in self._rejected
            and not undone(asked, proposal)
        ]
        # A line may be as long as its file.
        kept = await _read(max((len(each.source.text) for each in kept), default=0), _orderly, kept)
        order = {path: place for place, path in enumerate(dict.fromkeys(each.path for each in kept))}

        def rank(proposal: Proposal) -> tuple[object, ...]:
            elsewhere = proposal.path != asked.path
            above = not elsewhere and proposal.end < asked.offset
            return elsewhere, order[proposal.path], above, proposal.start, -proposal.confidence

        return apart(sorted(kept, key=rank))[: self.config.max_proposals]


async def _read(chars: int, read: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What `read` makes of a text of so many characters; a large one is read in a thread, so that keys go on."""
    if chars > _LARGE_CHARS:
        return await asyncio.to_thread(read, *args, **kwargs)
    return read(*args, **kwargs)


def _orderly(proposals: list[Proposal]) -> list[Proposal]:
    return [proposal for proposal in proposals if keeps_order(proposal)]


def _of_document(asked: Asked, source: Source) -> Iterator[Edit]:
    """The last edits of the document, the newest first."""
    edits = [edit for edit in asked.edits if edit.path == source.file]
    yield from reversed(edits[-_EDITS:])


def _here(asked: Asked, source: Source) -> _Here:
    """What the document alone says."""
    here = _Here()
    for edit in _of_document(asked, source):
        before = source.before(edit)
        if before is None:
            continue
        earlier = Source(source.root, source.path, before)
        for renamed in renames(source, earlier, edit):
            here.renames.append(renamed)
            here.proposals += places(source, renamed)
        for change in resigned(source, earlier, edit):
            here.signatures.append(change)
            here.proposals += calls(source, change)
    edits = [edit for edit in asked.edits if edit.path == source.file]
    if asked.edits and asked.edits[-1].path == source.file:
        for made, confidence in transformations(edits, source.path):
            here.proposals += fitting(source, made, confidence)
    return here


def _key(session: str, proposal: Proposal) -> tuple[str, ...]:
    return session, str(proposal.source.file), proposal.context, proposal.old, proposal.new
