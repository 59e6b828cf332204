"""A request as the worker takes it, and what it says back in ghostd's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from ghostd.conversation import (
    File,
    Message,
    NamedTool,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    Tools,
)
from ghostd.errors import InvalidRequest, UnsupportedParameter
from ghostd.types import PRIORITIES, ChatRequest, Claim, CompletionRequest, Delta, Markup, Sampling, TokenLogprob
from ghostd.workers.catalog import LocalModel
from ghostd.workers.messages import Generate, TurnPiece

TOOL_NAME = re.compile(r"[A-Za-z0-9_./:-]{1,128}")


def generation(request: ChatRequest | CompletionRequest, model: LocalModel, number: int) -> Generate:
    """The request as the worker takes it; raises RequestError."""
    settings = model.settings
    max_tokens = request.max_tokens
    if max_tokens is None and settings is not None:
        max_tokens = settings.max_tokens
    sampling = _sampling(request.sampling, settings.temperature if settings is not None else None)
    stop = list(request.stop)
    if request.drafts is not None:
        sampling["expected"], sampling["references"] = request.drafts.expected, list(request.drafts.texts)
    if isinstance(request, CompletionRequest):
        prompt = [[str(piece)] if isinstance(piece, Markup) else piece for piece in request.prompt]
        if request.heal:
            sampling["heal"] = True
        if request.local.ignore_end:
            sampling["ignore_end"] = True
        if request.local.text_bias:
            sampling["text_bias"] = [[text, bias] for text, bias in request.local.text_bias.items()]
        return Generate(number, prompt, [], max_tokens, stop, sampling, **_claimed(request.claim))
    messages = [turn for index, message in enumerate(request.messages) for turn in _turns(message, index)]
    if not messages:
        raise InvalidRequest("There is no message to answer.", "messages")
    tools, effort = _tools(request.tools), _effort(request.reasoning)
    return Generate(number, [], messages, max_tokens, stop, sampling, tools, effort, **_claimed(request.claim))


def rank(claim: Claim) -> int:
    """How urgent it is; 0 is the most urgent."""
    return PRIORITIES.index(claim.priority)


def _claimed(claim: Claim) -> dict[str, Any]:
    return {"rank": rank(claim), "client": claim.client, "document": claim.document}


def _turns(message: Message, index: int) -> Iterator[dict[str, Any]]:
    """The message as the worker takes it: results of several tools are a message each."""
    if message.role == "tool":
        for part in message.parts:
            if isinstance(part, ToolResult):
                content = "\n".join(_text(inner, index) for inner in part.content)
                name = {} if part.name is None else {"name": part.name}
                yield {"role": "tool", "content": content, "call_id": part.call_id, **name}
        return
    texts, thoughts, calls = [], [], []
    for part in message.parts:
        if isinstance(part, Thinking):
            thoughts.append(part.text)
        elif isinstance(part, ToolCall):
            calls.append([part.id, part.name, part.arguments])
        else:
            texts.append(_text(part, index))
    turn: dict[str, Any] = {"role": message.role, "content": "\n".join(texts)}
    if any(thoughts):
        turn["thoughts"] = "\n".join(filter(None, thoughts))
    if calls:
        turn["calls"] = calls
    yield turn


def _text(part: Part, index: int) -> str:
    if isinstance(part, Text | Refusal | File) and part.text is not None:
        return part.text
    kind = type(part).__name__.lower()
    raise UnsupportedParameter(
        f"messages[{index}] has content of the kind '{kind}'; local models read text only.",
        f"messages[{index}].content",
    )


def _tools(tools: Tools) -> dict[str, Any] | None:
    """What is offered to the model: nothing where it may call nothing."""
    if not tools.tools or tools.choice == "none":
        return None
    for number, tool in enumerate(tools.tools):
        if not TOOL_NAME.fullmatch(tool.name):
            raise InvalidRequest(
                f"Invalid name of a tool: {tool.name[:64]!r}; it has 1 to 128 of letters, digits and '_-./:'.",
                f"tools[{number}].function.name",
            )
    return {
        "tools": [[tool.name, tool.description, tool.parameters, bool(tool.strict)] for tool in tools.tools],
        "choice": None if isinstance(tools.choice, NamedTool) else tools.choice,
        "named": tools.choice.name if isinstance(tools.choice, NamedTool) else None,
        "parallel": tools.parallel,
    }


def _effort(reasoning: Reasoning) -> str | None:
    if reasoning.effort is None and reasoning.budget_tokens is not None:
        return "on" if reasoning.budget_tokens else "none"
    return reasoning.effort


def _sampling(sampling: Sampling, default_temperature: float | None) -> dict[str, Any]:
    """The fields that are set, for the worker."""
    values = {field.name: getattr(sampling, field.name) for field in fields(sampling) if field.name != "optional"}
    values["logit_bias"] = [[token, bias] for token, bias in sampling.logit_bias.items()]
    if values["temperature"] is None:
        values["temperature"] = default_temperature
    return {name: value for name, value in values.items() if value is not None and value != []}


def logprobs(packed: list[list[Any]]) -> tuple[TokenLogprob, ...]:
    """Those that the worker packed into a Piece."""
    return tuple(
        TokenLogprob(
            token_id,
            token.encode("latin-1"),
            logprob,
            tuple((other.encode("latin-1"), value) for other, value, _ in top),
            tuple(number for _, _, number in top),
        )
        for token_id, token, logprob, top in packed
    )


def turn_delta(piece: TurnPiece) -> Delta | None:
    """The piece of a turn as a delta; None for one that says nothing."""
    if not (piece.text or piece.thoughts or piece.calls or piece.logprobs):
        return None
    return Delta(
        piece.text,
        logprobs=logprobs(piece.logprobs),
        tool_calls=tuple(
            ToolCallDelta(index, arguments, call_id, name) for index, call_id, name, arguments in piece.calls
        ),
        reasoning=piece.thoughts,
    )
