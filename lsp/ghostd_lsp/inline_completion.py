"""textDocument/inlineCompletion: the ghost text at the cursor (LSP 3.18)."""

from __future__ import annotations

from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any

from lsprotocol import types

from ghostd.suggestions.suggestion import Suggestion
from ghostd.types import OpenDocument, Trigger
from ghostd_lsp.documents import Snapshot
from ghostd_lsp.errors import CONTENT_MODIFIED, RpcError
from ghostd_lsp.feedback import accepted_command
from ghostd_lsp.filling import suggest_at
from ghostd_lsp.next_edit import next_edit_at
from ghostd_lsp.params import InlineCompletionParams
from ghostd_lsp.session import Session


def inline_completion(session: Session, params: InlineCompletionParams) -> Coroutine[Any, Any, object]:
    """Take the document as it is now, and return the work that answers with at most one item.

    Where no model has anything to say at the cursor, that may be the next edit that lies there.

    A client that gives a `partialResultToken` gets each better item as a part, and no item at the end.
    """
    snapshot = session.snapshot(params.text_document)
    others = session.others(snapshot) if snapshot else ()
    return _complete(session, snapshot, params, others)


async def _complete(
    session: Session, snapshot: Snapshot | None, params: InlineCompletionParams, others: tuple[OpenDocument, ...]
) -> types.InlineCompletionList:
    nothing = types.InlineCompletionList(items=[])
    if snapshot is None:
        return nothing
    if session.moved_on(snapshot):
        raise _modified()  # a newer change came with the request: nobody waits for this
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
    edges = [snapshot.position(line, edge) for edge in (start, end)]
    where = types.Range(*(types.Position(edge.line, edge.character) for edge in edges))

    def shown(suggestion: Suggestion) -> types.InlineCompletionList:
        return types.InlineCompletionList(
            items=[
                types.InlineCompletionItem(
                    insert_text=selected + suggestion.text,
                    range=where,
                    command=accepted_command(snapshot.uri, suggestion.id),
                )
            ]
        )

    token = params.partial_result_token
    answer, seen = nothing, False
    found = suggest_at(session, snapshot, prefix, suffix, trigger, others, incremental=token is not None)
    async with aclosing(found):
        async for suggestion in found:
            if session.moved_on(snapshot):
                break
            seen = True
            if token is None:
                answer = shown(suggestion)
            else:
                session.protocol.partial_result(token, shown(suggestion))
    if not (seen or selected or session.moved_on(snapshot)):
        edit = await next_edit_at(session, snapshot, line, char)
        if edit is not None:
            answer = types.InlineCompletionList(items=[edit])
    if session.moved_on(snapshot):
        raise _modified()
    return answer


def _modified() -> RpcError:
    return RpcError(CONTENT_MODIFIED, "The document has changed since.")
