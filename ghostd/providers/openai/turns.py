"""Messages for servers whose models' chat templates are strict about the order of roles.

Templates of many open models, and Mistral's API, refuse a system message behind the first turn, and two turns of one
side in a row; clients of other dialects send both (Claude Code's instructions come amid the conversation).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Json = dict[str, Any]

_SYSTEM = ("system", "developer")


def strict_turns(wire: Sequence[Json]) -> list[Json]:
    """One system message at most, at the start; what the system says later, the user passes on.

    Neighbours of the user become one message. Between calls and their results nothing is said.
    """
    turns: list[Json] = []
    waiting: list[Json] = []
    for message in wire:
        if message["role"] in _SYSTEM and any(turn["role"] not in _SYSTEM for turn in (*turns, *waiting)):
            waiting.append({"role": "user", "content": _passed_on(message["content"])})
            continue
        if message["role"] != "tool":
            _add(turns, waiting)
            waiting = []
        _add(turns, (message,))
    _add(turns, waiting)
    return turns


def _add(turns: list[Json], messages: Iterable[Json]) -> None:
    for message in messages:
        last = turns[-1] if turns else None
        same = last is not None and last["role"] == message["role"] and last.get("name") == message.get("name")
        if last is not None and same and message["role"] in ("user", *_SYSTEM):
            turns[-1] = {**last, "content": _joined(last["content"], message["content"])}
        else:
            turns.append(message)


def _passed_on(content: str | list[Json]) -> str:
    text = content if isinstance(content, str) else "\n\n".join(part["text"] for part in content)
    return f"<system>\n{text}\n</system>"


def _joined(one: str | list[Json], other: str | list[Json]) -> str | list[Json]:
    if isinstance(one, str) and isinstance(other, str):
        return f"{one}\n\n{other}"
    return [*_parts(one), *_parts(other)]


def _parts(content: str | list[Json]) -> list[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
