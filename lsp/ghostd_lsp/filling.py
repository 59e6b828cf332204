"""Asks for the text at a cursor, within the user's limits; problems are told once, not at each key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from ghostd.errors import GhostdError
from ghostd.suggestions.suggestion import Ask, Suggestion
from ghostd.types import FillRequest, OpenDocument, Trigger
from ghostd_lsp.documents import Snapshot
from ghostd_lsp.params import DidOpenParams, TextDocumentIdentifier
from ghostd_lsp.session import Session


async def suggest_at(
    session: Session,
    snapshot: Snapshot,
    prefix: str,
    suffix: str,
    trigger: Trigger,
    others: tuple[OpenDocument, ...],
    *,
    incremental: bool = False,
) -> AsyncGenerator[Suggestion, None]:
    """What to insert between `prefix` and `suffix`; nothing where no model has anything to show, or not in time.

    With `incremental` better ones follow; else there is at most one.
    """
    settings = session.host.config.completion
    others = await session.quotable(others)
    ask = Ask(_request(session, snapshot, prefix, suffix, trigger, others), snapshot.uri, incremental)
    found = session.host.suggestions.suggest(ask)
    try:
        async with asyncio.timeout(settings.timeout_ms / 1000), aclosing(found):
            async for suggestion in found:
                yield suggestion
    except TimeoutError:
        session.tell_once(f"No completion within {settings.timeout_ms} ms (setting completion.timeout_ms).")
        return
    except GhostdError as error:
        session.tell_once(f"No completion: {error}")
        return
    session.all_well()


def open_document(session: Session, params: DidOpenParams) -> None:
    """textDocument/didOpen: its model gets ready, too."""
    session.open_document(params)
    snapshot = session.known(TextDocumentIdentifier(params.text_document.uri))
    if snapshot is not None:
        request = _request(session, snapshot, "".join(snapshot.lines), "", "automatic", ())
        session.host.suggestions.opened(Ask(request, snapshot.uri))


def _request(
    session: Session,
    snapshot: Snapshot,
    prefix: str,
    suffix: str,
    trigger: Trigger,
    others: tuple[OpenDocument, ...],
) -> FillRequest:
    settings = session.host.config.completion
    path = snapshot.path
    return FillRequest(
        model=settings.model,
        prefix=_with_newlines(prefix),
        suffix=_with_newlines(suffix),
        path=path,
        root=session.host.index.root_of(path) if path else None,
        language=snapshot.language or None,
        max_tokens=settings.max_tokens,
        max_lines=settings.max_lines,
        trigger=trigger,
        session=session.id,
        open_documents=tuple(replace(other, text=_with_newlines(other.text)) for other in others),
    )


def _with_newlines(text: str) -> str:
    """Models are trained on `\\n`; editors put in the document's own line ends when they insert."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
