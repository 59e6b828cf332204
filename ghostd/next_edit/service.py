"""Next edits, for every front-end."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable

from ghostd.config.next_edit import NextEditConfig
from ghostd.next_edit.across import called_there, overridden_there, renamed_there
from ghostd.next_edit.aside import Aside
from ghostd.next_edit.asked import Asked, Texts
from ghostd.next_edit.by_model import ModelEdits
from ghostd.next_edit.document import Source
from ghostd.next_edit.elsewhere import Elsewhere
from ghostd.next_edit.guards import chosen
from ghostd.next_edit.here import Here, look_here
from ghostd.next_edit.imports import Imports
from ghostd.next_edit.proposal import Proposal
from ghostd.next_edit.tokens import MAX_CHARS
from ghostd.resolve.resolver import Resolver

_MAX_REJECTED = 512
_Key = tuple[str, bytes]
_CERTAIN = 0.9
"""Renames that are less sure are not followed into other files."""


class NextEdits:
    """Proposes. One for each daemon; use from the event loop's thread, and close."""

    def __init__(self, config: NextEditConfig, resolver: Resolver, model: ModelEdits | None = None) -> None:
        self.config = config
        self._resolver = resolver
        self._model = model
        self._aside = Aside()
        self._rejected: OrderedDict[tuple[str, _Key], None] = OrderedDict()

    def close(self) -> None:
        """Answer nothing any more; returns at once."""
        self._aside.close()

    async def propose(
        self,
        asked: Asked,
        *,
        with_model: bool = False,
        before_model: Callable[[], Awaitable[None]] | None = None,
    ) -> list[Proposal]:
        """What is to be edited next, the nearest behind the cursor first, then before it, then in other files.

        `before_model` is awaited before a model is asked, which is done where nothing else is proposed. Raises
        GhostdError where it is not there, or fails.
        """
        if not asked.edits or len(asked.text) > MAX_CHARS:
            return []
        texts = Texts(asked)
        source = texts.here()
        found: list[Proposal] = []
        if source.family:
            here = await self._aside.run(look_here, source, asked.edits, asked.offset)
            found = here.proposals
            if self.config.max_files:
                found += await self._elsewhere(source, texts, here)
            found += await Imports(self._resolver, self._aside).proposals(asked, source, list(here.names))
            found = await self._chosen(asked, found)
        if not found and with_model and self._model is not None and self.config.model:
            if before_model is not None:
                await before_model()
            found = await self._chosen(asked, await self._model.proposals(asked, source, self._aside))
        return found

    def reject(self, session: str, proposal: Proposal) -> None:
        """The user does not want it: it is not proposed again in this session."""
        self._rejected[session, _key(proposal)] = None
        while len(self._rejected) > _MAX_REJECTED:
            self._rejected.popitem(last=False)

    def forget_session(self, session: str) -> None:
        """Forget what a session has rejected."""
        for key in [key for key in self._rejected if key[0] == session]:
            del self._rejected[key]

    async def _elsewhere(self, source: Source, texts: Texts, here: Here) -> list[Proposal]:
        found: list[Proposal] = []
        elsewhere, aside = Elsewhere(self._resolver, texts, self._aside, self.config.max_files), self._aside
        for each in here.renames:
            if each.defined.role in ("top", "member") and each.confidence > _CERTAIN:
                async for site in elsewhere.sites(source, each.old, member=each.defined.role == "member"):
                    found += await aside.run(renamed_there, each, str(source.path), site)
        for change in here.signatures:
            member = change.function.member and change.name == change.function.name
            async for site in elsewhere.sites(source, change.name, member=member):
                found += await aside.run(called_there, change, site)
            if member:
                async for other in elsewhere.overriding(source, change.name):
                    found += await aside.run(overridden_there, source, change, other)
        return found

    async def _chosen(self, asked: Asked, found: list[Proposal]) -> list[Proposal]:
        rejected = frozenset(key for session, key in self._rejected if session == asked.session)
        return await self._aside.run(_wanted, asked, found, self.config, rejected)


def _wanted(asked: Asked, found: list[Proposal], config: NextEditConfig, rejected: frozenset[_Key]) -> list[Proposal]:
    """What is sure enough, not rejected, and passes the guards."""
    sure = [each for each in found if each.confidence >= config.min_confidence]
    return chosen(asked, [each for each in sure if not rejected or _key(each) not in rejected], config.max_proposals)


def _key(proposal: Proposal) -> _Key:
    """By what a rejected one is known."""
    return str(proposal.source.file), proposal.effect
