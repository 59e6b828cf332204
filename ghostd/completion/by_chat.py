"""Continuing a text by a model that can only hold conversations."""

from __future__ import annotations

from ghostd.conversation import Message
from ghostd.errors import InvalidRequest
from ghostd.types import ChatRequest, CompletionRequest

_TASK = (
    "Continue the text that the user sends. Reply with the continuation alone: begin where the text ends, do not "
    "repeat it, do not comment on it, and put nothing around it."
)


def as_chat(request: CompletionRequest) -> ChatRequest:
    """The conversation that asks for the continuation; raises InvalidRequest for a prompt that is no text."""
    if any(isinstance(piece, int) for piece in request.prompt):
        raise InvalidRequest("This model takes prompts of text only, not of token ids.", "prompt")
    text = "".join(map(str, request.prompt))
    if not text.strip():
        raise InvalidRequest("Invalid value for 'prompt': this model needs some text to continue.", "prompt")
    return ChatRequest(
        model=request.model,
        messages=(Message("system", _TASK), Message("user", text)),
        sampling=request.sampling,
        max_tokens=request.max_tokens,
        stop=request.stop,
        timeouts=request.timeouts,
    )
