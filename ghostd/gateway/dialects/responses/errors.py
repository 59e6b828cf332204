"""Errors of the Responses API: its own, and others in the names of its parameters."""

from __future__ import annotations

from ghostd.errors import GhostdError, RequestError, UpstreamRejected
from ghostd.gateway.errors import HttpError, printable

_PARAMS = (
    ("reasoning_effort", "reasoning.effort"),
    ("thinking.budget_tokens", "reasoning.effort"),
    ("thinking", "reasoning.effort"),
    ("response_format", "text.format"),
    ("max_completion_tokens", "max_output_tokens"),
    ("max_tokens", "max_output_tokens"),
    ("messages", "input"),
    ("logprobs", "include"),
)
"""What chat completions call a parameter, and what it is here; a path below it is not the same."""
OPERATION = "openai.responses"


class PreviousNotFound(RequestError):
    """The response that the request continues is not kept here, and nobody else can be asked for it."""

    code = "previous_response_not_found"

    def __init__(self, response_id: str) -> None:
        super().__init__(
            f"Previous response with id '{printable(response_id, 100)}' not found.", "previous_response_id"
        )


def no_response(response_id: str) -> HttpError:
    """There is no such response."""
    return HttpError(404, "response_not_found", f"Response with id '{printable(response_id, 100)}' not found.")


def no_conversation(conversation_id: str) -> HttpError:
    """There is no such conversation."""
    shown = printable(conversation_id, 100)
    return HttpError(404, "conversation_not_found", f"Conversation with id '{shown}' not found.")


def no_item(item_id: str) -> HttpError:
    """There is no such item."""
    return HttpError(404, "item_not_found", f"Item with id '{printable(item_id, 100)}' not found.")


def not_kept() -> HttpError:
    """The configuration says that nothing is kept."""
    return HttpError(501, "not_offered", "ghostd keeps no responses and conversations here (responses.enabled).")


def in_own_names(error: GhostdError) -> None:
    """Name the parameter as the Responses API does: providers know it by its name in chat completions."""
    if isinstance(error, UpstreamRejected):
        if error.operation == OPERATION:
            return
    elif not isinstance(error, RequestError):
        return
    param = error.param or ""
    for chat, own in _PARAMS:
        if param == chat or param.startswith((f"{chat}.", f"{chat}[")):
            error.param = own
            return
