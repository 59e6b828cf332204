"""What every door asks for a project's context. The retriever is imported and made when it is first needed."""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ghostd.code_ports import GitHistory, Index, Similar
from ghostd.config.context import ContextConfig
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.resolve.resolver import Resolver
from ghostd.routing.reach import may_leave
from ghostd.routing.tokens import Tokens
from ghostd.types import OpenDocument

if TYPE_CHECKING:
    from collections.abc import Callable

    from ghostd.context.cursor import Cursor
    from ghostd.context.retriever import Retriever
    from ghostd.context.selection import Context, ContextRequest
    from ghostd.context_reports import ContextReport
    from ghostd.routing.registry import Registry

PATIENT_MS = 5_000
"""How long a person who wants to see the context waits for it: a daemon that has just started has read nothing yet."""
_MAX_RATIOS = 64
_SAME_RATIO = 0.03
"""Two counts of bytes per token that differ by less are the same."""

_ids = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Asked:
    """A place, and how its context is to be chosen."""

    root: Path
    path: PurePosixPath
    """Relative to the root."""
    cursor: Cursor
    max_tokens: int | None = None
    """None: context.budget_tokens."""
    deadline_ms: int | None = None
    """None: context.deadline_ms."""
    model: str = ""
    """Whose tokenizer counts; "": tokens are estimated."""
    redact: bool | None = None
    """None: where requests to the model leave this machine."""
    session: str = ""
    """Whose open documents stand in for their files; "" for a program that has none."""
    open_documents: tuple[OpenDocument, ...] = ()
    document: str | None = None
    """Without a session: what the file says in place of what is on the disk."""


class ContextService:
    """Made once for each daemon. Use from the event loop's thread."""

    def __init__(
        self,
        index: Index,
        resolver: Resolver,
        history: GitHistory | None,
        config: ContextConfig,
        registry: Callable[[], Registry],
        similar: Similar | None = None,
    ) -> None:
        """`similar`: None where there are no embeddings."""
        self.index = index
        self.config = config
        self._resolver = resolver
        self._history = history
        self._registry = registry
        self._similar = similar
        self._tokens = Tokens(registry)
        self._retriever: Retriever | None = None
        self._loaded = False
        self._ratios: OrderedDict[str, float] = OrderedDict()
        """Bytes of code for each token, by model, as its tokenizer counted last."""

    @property
    def retriever(self) -> Retriever:
        """The daemon's own one."""
        if self._retriever is None:
            self._retriever = self.fresh_retriever()
        return self._retriever

    @property
    def history(self) -> GitHistory | None:
        """None where it is not read."""
        return self._history

    def fresh_retriever(self) -> Retriever:
        """Another one, with caches of its own; the caller closes it."""
        from ghostd.context.retriever import Retriever

        return Retriever(self.index, self._resolver, self._history, similar=self._similar)

    def close(self) -> None:
        """Stop to listen to the index."""
        if self._retriever is not None:
            self._retriever.close()

    def forget_session(self, session: str) -> None:
        """A session has ended."""
        if self._retriever is not None:
            self._retriever.forget_session(session)

    async def load(self) -> None:
        """An editor has come, or a completion: import what chooses context, if completions quote it."""
        if self._quotes():
            await self._load()

    async def prepare(self, path: Path, session: str = "") -> None:
        """A document has been opened: have ready, once its root is indexed, what its first completion would wait for.

        `path` is absolute. Nothing is done where completions quote nothing. Raises RootError if the root fails.
        """
        root = self.index.root_of(path)
        if root is None or root == path or not self._quotes():
            return
        await self.index.wait_ready(root)
        await self._load()
        await self.retriever.prepare(root, PurePosixPath(path.relative_to(root)), session)

    def _quotes(self) -> bool:
        return self.config.enabled and bool(self.config.fill_tokens)

    async def _load(self) -> None:
        """In a thread, so that the event loop neither imports it nor waits for a thread that does."""
        if not self._loaded:
            await asyncio.to_thread(import_module, "ghostd.context.retriever")
            self._loaded = True

    async def show(self, asked: Asked) -> ContextReport:
        """What would be quoted, and why. Raises RequestError, also where context is switched off."""
        if not self.config.enabled:
            raise InvalidRequest("The project's context is switched off (setting context.enabled).")
        await self._load()
        if asked.document is None:
            return await self._show(asked)
        session = f"context-{next(_ids)}"
        self.index.overlay(session, asked.root / asked.path, asked.document)
        try:
            return await self._show(replace(asked, session=session))
        finally:
            self.index.forget_session(session)
            self.forget_session(session)

    async def _show(self, asked: Asked) -> ContextReport:
        from ghostd.context.selection import BYTES_PER_TOKEN, ContextRequest
        from ghostd.context.shown import report_of

        budget = self.config.budget_tokens if asked.max_tokens is None else asked.max_tokens
        redact = self._leaves(asked.model) if asked.redact is None else asked.redact
        request = ContextRequest(
            root=asked.root,
            path=asked.path,
            prefix=asked.cursor.prefix,
            suffix=asked.cursor.suffix,
            budget_tokens=budget,
            session=asked.session,
            open_documents=asked.open_documents,
            redact=redact,
            bytes_per_token=self._ratios.get(asked.model, BYTES_PER_TOKEN),
            patient=True,
            deadline_s=(self.config.deadline_ms if asked.deadline_ms is None else asked.deadline_ms) / 1000,
        )
        if asked.session:
            with suppress(TimeoutError):  # then what it said before counts
                async with asyncio.timeout(request.deadline_s):
                    await self.index.wait_seen(asked.session)
        context, exact = await self._select(request, asked.model)
        ratio = self._ratios.get(asked.model, request.bytes_per_token)
        return report_of(context, request, asked.cursor, asked.model, exact, ratio)

    async def _select(self, request: ContextRequest, model: str) -> tuple[Context, bool]:
        """The selection, and whether the model's tokenizer has counted it."""
        from ghostd.context.fitting import fitting
        from ghostd.context.shown import counted

        context = await self.retriever.select(request)
        if not model:
            return fitting(context), False
        if not context.chunks:  # nothing to count, but the name may be wrong
            return context, await self._count(model, "") is not None
        exact = await counted(context, request.path, lambda text: self._count(model, text))
        if exact is None:
            return fitting(context), False
        ratio = exact.bytes_per_token
        self._keep_ratio(model, ratio)
        if abs(ratio / request.bytes_per_token - 1) > _SAME_RATIO:
            context = await self.retriever.select(replace(request, bytes_per_token=ratio))
            exact = await counted(context, request.path, lambda text: self._count(model, text))
            if exact is None:  # the model has gone meanwhile
                return fitting(context), False
        return fitting(exact.context), True

    async def _count(self, model: str, text: str) -> int | None:
        """The tokens by the model's tokenizer; None where ghostd has none."""
        try:
            return len(await self._tokens.tokenize(model, text, special=False, bos=False))
        except UnsupportedParameter:
            return None

    def _keep_ratio(self, model: str, ratio: float) -> None:
        self._ratios[model] = ratio
        self._ratios.move_to_end(model)
        while len(self._ratios) > _MAX_RATIOS:
            self._ratios.popitem(last=False)

    def _leaves(self, model: str) -> bool:
        """Whether what is sent to a model of this name may leave the machine; raises ModelNotFound."""
        return bool(model) and may_leave(self._registry(), model)
