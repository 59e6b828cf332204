"""textDocument/inlineCompletion: the ghost text at the cursor (LSP 3.18)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from lsprotocol import types

from ghostd.types import OpenDocument, Trigger
from ghostd_lsp.documents import Snapshot
from ghostd_lsp.errors import CONTENT_MODIFIED, RpcError
from ghostd_lsp.filling import fill_at
from ghostd_lsp.params import InlineCompletionParams
from ghostd_lsp.session import Session


def inline_completion(session: Session, params: InlineCompletionParams) -> Coroutine[Any, Any, object]:
    """Take the document as it is now, and return the work that answers with at most one item."""
    snapshot = session.snapshot(params.text_document)
    others = session.others(snapshot) if snapshot else ()
    return _complete(session, snapshot, params, others)


async def _complete(
    session: Session, snapshot: Snapshot | None, params: InlineCompletionParams, others: tuple[OpenDocument, ...]
) -> types.InlineCompletionList:
    nothing = types.InlineCompletionList(items=[])
    if snapshot is None:
        return nothing
    line, char = snapshot.clamp(params.position)
    start = end = char
    selected = ""
    if chosen := params.context.selected_completion_info:
        # The list's entry is inserted in its own range first; ghost text may only go on from there.
        (first, start), (last, end) = snapshot.clamp(chosen.range.start), snapshot.clamp(chosen.range.end)
        selected = chosen.text
        if not (first == last == line and start <= char <= end):
            return nothing
    trigger: Trigger = "manual" if params.context.trigger_kind == 1 else "automatic"
    prefix, suffix = snapshot.before(line, start) + selected, snapshot.after(line, end)
    text = await fill_at(session, snapshot, prefix, suffix, trigger, others)
    if session.moved_on(snapshot):
        raise RpcError(CONTENT_MODIFIED, "The document has changed since.")
    if not text:
        return nothing
    edges = [snapshot.position(line, edge) for edge in (start, end)]
    where = types.Range(*(types.Position(edge.line, edge.character) for edge in edges))
    return types.InlineCompletionList(items=[types.InlineCompletionItem(insert_text=selected + text, range=where)])
