"""What the ledger keeps of requests, and of what became of their replies."""

from __future__ import annotations

from typing import Literal

import msgspec


class LedgerRow(msgspec.Struct, frozen=True, gc=False):
    """What one request was and cost. It holds no prompt, no reply and no secret."""

    id: str
    """Unique: the request's own, made by ghostd."""
    time_s: float
    """When it began, in seconds since the epoch."""
    operation: str
    """"openai.chat", "fill", …"""
    client: str
    """Who asked: the client's own name, from `x-client`, Zeke's tags or its user agent; "" if unknown."""
    project: str
    """`x-project`, Zeke's tags, or the root's path; "" if unknown."""
    model: str
    """As asked."""
    route: str
    """The route it resolved to; "" if the request never got so far."""
    deployment: str
    """What answered, e.g. "openai/gpt-4.1"; "" if none did."""
    provider: str
    status: Literal["ok", "partial", "error", "cancelled", "refused"]
    """partial: broke off after the first byte; cancelled: the client left; refused: the caller's mistake."""
    http_status: int
    error: str = ""
    """Class name of the error."""
    attempts: int = 1
    stream: bool = False
    latency_ms: float = 0.0
    """Until the last byte."""
    first_byte_ms: float | None = None
    prompt_tokens: int | None = None
    """None where nobody said; the other token counts likewise."""
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    """None where the price is unknown, never 0 for that."""
    cache: Literal["", "hit", "miss"] = ""
    """ghostd's own reply cache; "" where none was asked."""
    reason: str = ""
    """Why it went where it went."""
    experiment: str = ""
    """"name/arm" of an A/B split."""
    session: str = ""
    """A/B subject, hashed."""
    features: str = ""
    """The router's features as JSON, for the replay of policies; no text of the request."""


OutcomeKind = Literal["shown", "accepted", "thumb"]
"""shown: a completion was put before the user; accepted: and taken; thumb: the user's verdict."""


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """What became of a reply after it was given; the last one of a kind counts."""

    id: str
    """Unique: made by ghostd."""
    request_id: str
    """LedgerRow.id."""
    time_s: float
    """Seconds since the epoch."""
    kind: OutcomeKind
    value: float = 1.0
    """1 for yes; of a thumb +1 (up) or -1 (down)."""
