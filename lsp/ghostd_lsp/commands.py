"""workspace/executeCommand: ghostd's commands by name."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from ghostd_lsp.context import CONTEXT, show_context
from ghostd_lsp.errors import INVALID_PARAMS, RpcError
from ghostd_lsp.feedback import FEEDBACK, completion_feedback
from ghostd_lsp.next_edit import NEXT_EDIT, REJECT, reject_next_edit, show_next_edit
from ghostd_lsp.params import ExecuteCommandParams
from ghostd_lsp.session import Session

COMMANDS: dict[str, Callable[[Session, ExecuteCommandParams], Coroutine[Any, Any, object]]] = {
    CONTEXT: show_context,
    FEEDBACK: completion_feedback,
    NEXT_EDIT: show_next_edit,
    REJECT: reject_next_edit,
}


def execute_command(session: Session, params: ExecuteCommandParams) -> Coroutine[Any, Any, object]:
    """Take the documents as they are now, and return the work of the command."""
    command = COMMANDS.get(params.command)
    if command is None:
        raise RpcError(INVALID_PARAMS, f"params.command: ghostd knows {', '.join(COMMANDS)} only.")
    return command(session, params)
