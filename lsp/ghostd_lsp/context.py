"""workspace/executeCommand `ghostd.context`: what a prompt would quote of the project at a place, and why."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec

from ghostd.context.cursor import Cursor, cursor_between
from ghostd.context.selection import MAX_BUDGET_TOKENS
from ghostd.context.service import PATIENT_MS, Asked
from ghostd.types import OpenDocument
from ghostd_lsp.decoding import convert_params
from ghostd_lsp.documents import Snapshot, clamp
from ghostd_lsp.errors import INVALID_PARAMS, RpcError
from ghostd_lsp.navigating import Navigation
from ghostd_lsp.params import ContextParams, ExecuteCommandParams
from ghostd_lsp.positions import split_lines
from ghostd_lsp.session import Session

CONTEXT = "ghostd.context"


def show_context(session: Session, params: ExecuteCommandParams) -> Coroutine[Any, Any, object]:
    """Take the documents as they are now, and return the work of the command."""
    if len(params.arguments or ()) != 1:
        raise RpcError(INVALID_PARAMS, f"params.arguments: {CONTEXT} takes one object.")
    assert params.arguments
    asked = convert_params(params.arguments[0], ContextParams, "params.arguments[0]")
    if asked.max_tokens is not None and not 1 <= asked.max_tokens <= MAX_BUDGET_TOKENS:
        raise RpcError(INVALID_PARAMS, f"params.arguments[0].maxTokens: a number from 1 to {MAX_BUDGET_TOKENS}.")
    snapshot = session.known(asked.text_document)
    return _context(session, asked, snapshot, session.others(snapshot))


async def _context(
    session: Session, asked: ContextParams, snapshot: Snapshot | None, others: tuple[OpenDocument, ...]
) -> object:
    here = Navigation(session)
    place = here.place(asked.text_document.uri)
    if place is None:
        raise RpcError(
            INVALID_PARAMS,
            f"{asked.text_document.uri:.200} is in no indexed folder. Open its folder, or `ghostctl roots add` it.",
        )
    root, path = place
    if snapshot is not None:
        line, char = snapshot.clamp(asked.position)
        cursor = cursor_between(snapshot.before(line, char), snapshot.after(line, char))
    else:
        text = await here.view.text(root, path)
        if text is None:
            raise RpcError(INVALID_PARAMS, f"{asked.text_document.uri:.200} is neither open nor indexed.")
        cursor = _cursor(session, text.decode("utf-8", "replace"), asked)
    others = await session.quotable(others)
    report = await session.host.context.show(
        Asked(root, path, cursor, asked.max_tokens, PATIENT_MS, session=session.id, open_documents=others)
    )
    return msgspec.to_builtins(report)


def _cursor(session: Session, text: str, asked: ContextParams) -> Cursor:
    lines = split_lines(text)
    line, char = clamp(lines, asked.position, session.encoding)
    return cursor_between("".join(lines[:line]) + lines[line][:char], lines[line][char:] + "".join(lines[line + 1 :]))
