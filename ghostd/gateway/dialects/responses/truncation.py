"""`truncation: "auto"`: what was said first is left out where the model's context is too small for all of it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from ghostd.errors import ContextTooLong, GhostdError, UpstreamRejected
from ghostd.gateway.dialects.responses.input import Said

_LEFT_OUT = 0.3
"""Of the bytes, where nobody says how many tokens are too many."""
_MARGIN = 0.9
_KEPT_ROLES = ("system", "developer")


class _Head(msgspec.Struct):
    type: str = "message"
    role: str | None = None
    call_id: str | None = None


_HEAD = msgspec.json.Decoder(_Head)


def is_too_long(error: GhostdError) -> bool:
    """Whether a shorter conversation may be answered."""
    return isinstance(error, ContextTooLong) or (isinstance(error, UpstreamRejected) and error.reason == "context")


def shorten(said: Said, error: GhostdError) -> bool:
    """Leave out what was said first; False where only the last message is left.

    Instructions stay, and so does the last message with what follows it; calls go together with their outputs.
    """
    share = _LEFT_OUT
    if isinstance(error, ContextTooLong) and error.prompt_tokens > 0:
        share = max(share / 3, 1 - _MARGIN * error.context_tokens / error.prompt_tokens)
    heads = [_HEAD.decode(item) for item in said.items]
    droppable = _droppable(heads)
    wanted = share * sum(map(len, said.items))
    dropped: set[int] = set()
    for number in droppable:
        if wanted <= 0:
            break
        dropped.add(number)
        wanted -= len(said.items[number])
    if not dropped:
        return False
    gone = {heads[number].call_id for number in dropped} - {None}
    dropped |= {number for number, head in enumerate(heads) if head.call_id in gone}
    said.own_from -= sum(number < said.own_from for number in dropped)
    said.items[:] = [item for number, item in enumerate(said.items) if number not in dropped]
    said.rewritten = True
    return True


def _droppable(heads: Sequence[_Head]) -> list[int]:
    last = max((n for n, head in enumerate(heads) if head.type == "message" and head.role == "user"), default=0)
    return [n for n, head in enumerate(heads[:last]) if head.role not in _KEPT_ROLES]
