"""What is kept of the Responses API: responses, conversations, and the items that both are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Order = Literal["asc", "desc"]
"""Of items: as they were said, or the last one first."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a conversation: a message, a call, a call's output, thoughts."""

    id: str
    body: bytes
    """The item as JSON, with its id."""


@dataclass(frozen=True, slots=True)
class StoredResponse:
    """One response, whole."""

    id: str
    created_s: float
    """Seconds since the epoch."""
    body: bytes
    """The response object as JSON, its `output` empty."""
    output: tuple[Item, ...] = ()
    input: tuple[Item, ...] = ()
    """What this request added to what was said before."""
    previous_id: str | None = None
    """The response that it continues."""
    conversation_id: str | None = None
    running: bool = False
    """Whether it is still being made, in the background."""


@dataclass(frozen=True, slots=True)
class StoredConversation:
    """A conversation without its items."""

    id: str
    created_s: float
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class History:
    """What was said before a request, the oldest item first."""

    items: tuple[Item, ...] = ()
    unknown_id: str | None = None
    """The response before all of these, which is not kept here; None where the history is complete."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of a list of items."""

    items: tuple[Item, ...]
    more: bool
    """Whether there are others behind them."""
