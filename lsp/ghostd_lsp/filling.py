"""Asks the engine for the text at a cursor, within the user's limits; problems are told once, not at each key."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ghostd.completion.fill import collect
from ghostd.errors import GhostdError
from ghostd.types import FillRequest, OpenDocument, Trigger
from ghostd_lsp.documents import Snapshot
from ghostd_lsp.session import Session


async def fill_at(
    session: Session,
    snapshot: Snapshot,
    prefix: str,
    suffix: str,
    trigger: Trigger,
    others: tuple[OpenDocument, ...],
) -> str:
    """The text to insert between `prefix` and `suffix`; "" where no model has anything to show, or not in time."""
    settings = session.host.config.completion
    path = snapshot.path
    suffix = _with_newlines(suffix)
    request = FillRequest(
        model=settings.model,
        prefix=_with_newlines(prefix),
        suffix=suffix,
        path=path,
        root=session.host.index.root_of(path) if path else None,
        language=snapshot.language or None,
        max_tokens=settings.max_tokens,
        max_lines=settings.max_lines,
        trigger=trigger,
        session=session.id,
        tidy=True,
        open_documents=tuple(replace(other, text=_with_newlines(other.text)) for other in others),
    )
    try:
        async with asyncio.timeout(settings.timeout_ms / 1000):
            reply = await collect(session.host.engine.fill(request))
    except TimeoutError:
        session.tell_once(f"No completion within {settings.timeout_ms} ms (setting completion.timeout_ms).")
        return ""
    except GhostdError as error:
        session.tell_once(f"No completion: {error}")
        return ""
    session.all_well()
    return reply.text if reply.text.strip() else ""


def _with_newlines(text: str) -> str:
    """Models are trained on `\\n`; editors put in the document's own line ends when they insert."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
