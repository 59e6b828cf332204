"""Answers in parts, where the client asks for that (`partialResultToken`), so that a long one shows soon."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from ghostd_lsp.session import Session

T = TypeVar("T")
R = TypeVar("R")

_PART = 50


async def answer_in_parts(
    session: Session, token: int | str | None, found: Sequence[T], show: Callable[[T], Awaitable[R]]
) -> list[R]:
    """All that was found, as it is shown; [] once it has been sent in parts, as LSP has it."""
    if token is None:
        return [await show(each) for each in found]
    for start in range(0, len(found), _PART):
        part = [await show(each) for each in found[start : start + _PART]]
        session.protocol.partial_result(token, part)
    return []
