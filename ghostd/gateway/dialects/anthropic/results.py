"""Calls of tools and their results stand beside each other, as the Messages API wants them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ghostd.errors import InvalidRequest
from ghostd.gateway.dialects.anthropic.parts import Block, MessageFields


def check_results(messages: Sequence[MessageFields]) -> None:
    """Raise InvalidRequest for a result without its call in the turn before, and for a call without its result.

    Messages of one role that follow each other are one turn. A call that the client wants continued, in the last turn,
    has none yet.
    """
    waiting: dict[str | None, str] = {}
    role = ""
    for number, message in enumerate(messages):
        path = f"messages[{number}].content"
        if message.role == "assistant":
            if role == "user":
                _check_none(waiting)
            waiting.update((block.id, where) for where, block in _blocks(message, path, "tool_use"))
        elif message.role == "user":
            for where, block in _blocks(message, path, "tool_result"):
                if waiting.pop(block.tool_use_id, None) is None:
                    raise InvalidRequest(
                        f"Invalid value for '{where}.tool_use_id': {(block.tool_use_id or '')[:100]!r}; each "
                        "tool_result must answer one tool_use of the message before it.",
                        f"{where}.tool_use_id",
                    )
        else:
            continue
        role = message.role
    if role == "user":
        _check_none(waiting)


def _blocks(message: MessageFields, path: str, kind: str) -> Iterator[tuple[str, Block]]:
    if not isinstance(message.content, str):
        yield from ((f"{path}[{n}]", block) for n, block in enumerate(message.content) if block.type == kind)


def _check_none(waiting: dict[str | None, str]) -> None:
    for identifier, where in waiting.items():
        raise InvalidRequest(
            f"Invalid value for '{where}': the message behind this tool_use has no tool_result for it "
            f"({(identifier or '')[:100]!r}).",
            where,
        )
