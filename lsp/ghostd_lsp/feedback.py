"""workspace/executeCommand `ghostd.completionFeedback`: what the user did with a suggestion."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from lsprotocol import types

from ghostd_lsp.decoding import convert_params
from ghostd_lsp.errors import INVALID_PARAMS, RpcError
from ghostd_lsp.params import ExecuteCommandParams, FeedbackParams
from ghostd_lsp.session import Session

FEEDBACK = "ghostd.completionFeedback"


def accepted_command(uri: str, suggestion_id: str) -> types.Command:
    """What an editor runs once an item has been accepted."""
    return types.Command("Accepted", FEEDBACK, arguments=[{"uri": uri, "id": suggestion_id, "kind": "accepted"}])


def completion_feedback(session: Session, params: ExecuteCommandParams) -> Coroutine[Any, Any, object]:
    """Note it; the command answers with null."""
    if len(params.arguments or ()) != 1:
        raise RpcError(INVALID_PARAMS, f"params.arguments: {FEEDBACK} takes one object.")
    assert params.arguments
    told = convert_params(params.arguments[0], FeedbackParams, "params.arguments[0]")
    if not 0 <= told.share <= 1:
        raise RpcError(INVALID_PARAMS, "params.arguments[0].share: a number from 0 to 1.")
    suggestions = session.host.suggestions
    if told.kind == "rejected":
        suggestions.rejected(session.id, told.uri, told.id)
    else:
        suggestions.accepted(session.id, told.uri, told.id, told.share)
    return _nothing()


async def _nothing() -> None:
    return None
