"""Continuing a text by a model that can only hold conversations."""

from __future__ import annotations

from ghostd.conversation import Message
from ghostd.errors import InvalidRequest
from ghostd.types import ChatRequest, CompletionRequest, FillRequest

_TASK = (
    "Continue the text that the user sends. Reply with the continuation alone: begin where the text ends, do not "
    "repeat it, do not comment on it, and put nothing around it."
)

_FILL_TASK = (
    "The user sends a file in which {hole} marks the cursor. Reply with the text that belongs at the cursor, and "
    "nothing else: no line that is there already, no comment, nothing around it. Keep to the file's style and "
    "indentation. Write {amount}."
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


def hole_between(prefix: str, suffix: str) -> str:
    """A mark for the cursor that stands in neither of the two."""
    hole, number = "<CURSOR>", 0
    while hole in prefix or hole in suffix:
        number += 1
        hole = f"<CURSOR-{number}>"
    return hole


def fill_as_chat(
    request: FillRequest, prefix: str, suffix: str, hole: str, *, lines: bool, max_tokens: int
) -> ChatRequest:
    """The conversation that asks for the text between the two; `lines` says whether several lines are wanted."""
    amount = "as few lines as complete the block" if lines else "at most the rest of the line"
    name = f"File {request.path.name}:\n" if request.path is not None else ""
    return ChatRequest(
        model=request.model,
        messages=(
            Message("system", _FILL_TASK.format(hole=hole, amount=amount)),
            Message("user", f"{name}{prefix}{hole}{suffix}"),
        ),
        sampling=request.sampling,
        max_tokens=max_tokens,
        stop=request.stop,
        timeouts=request.timeouts,
    )
