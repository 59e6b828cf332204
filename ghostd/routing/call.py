"""One request on its way: what is asked, by whom, and what became of it."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import msgspec
from msgspec import field

from ghostd.errors import GhostdError, RequestEnded
from ghostd.routing.limits import Limits
from ghostd.types import (
    Capability,
    ChatRequest,
    CompletionRequest,
    Delta,
    Embeddings,
    EmbedRequest,
    Feature,
    FillRequest,
    Operation,
    Relayed,
    Usage,
)

Complexity = Literal["simple", "medium", "complex"]

Request = ChatRequest | CompletionRequest | FillRequest | EmbedRequest
Item = Relayed | Delta | Embeddings
"""What answers a call: pieces in the caller's own dialect, or deltas (or vectors) to be put into it."""


@dataclass(frozen=True, slots=True)
class Job:
    """One of the generations that a call asks for."""

    request: Request
    counts_prompt: bool = True
    """Whether its prompt counts in the usage; a prompt counts once, however many choices continue it."""


class Hints(msgspec.Struct, frozen=True, gc=False):
    """What a client says about its request, in headers (`x-project`, …) or in Zeke's `tags`."""

    client: str = ""
    project: str = ""
    intent: str = ""
    """"code", "architecture", "completion", "explain", …"""
    language: str = ""
    complexity: str = ""
    """"simple", "medium" or "complex"."""
    priority: str = ""
    """"low-latency", "low-cost", "quality", …"""
    budget_usd: float | None = None
    session: str = ""


NO_HINTS = Hints()


class Trace(msgspec.Struct, eq=False):
    """What became of a call; filled in on the way."""

    began_s: float = field(default_factory=time.monotonic)
    time_s: float = field(default_factory=time.time)
    route: str = ""
    deployment: str = ""
    provider: str = ""
    limits: Sequence[Limits] = ()
    """Of the deployment that answers."""
    attempts: int = 0
    reason: str = ""
    first_byte_ms: float | None = None
    usage: Usage | None = None
    cost_usd: float | None = None
    experiment: str = ""
    """"name/arm" of an A/B split."""
    subject: str = ""
    """Of the split, hashed."""
    recorded: bool = False
    """Whether the ledger has its row."""
    failures: list[tuple[str, GhostdError]] = field(default_factory=list)
    """Deployment and what it failed with, in order."""
    left_out: list[str] = field(default_factory=list)
    """Parameters that the deployment answers without; see `ghostd.left_out`."""


class Ending:
    """Why ghostd itself ends the request that the current task serves; `reason` is None while it does not."""

    __slots__ = ("reason",)

    def __init__(self) -> None:
        self.reason: RequestEnded | None = None


ending: ContextVar[Ending | None] = ContextVar("ending", default=None)
"""Set by a front-end that ends requests by cancelling their tasks: else a row would say that the client has left."""

_count = itertools.count(int.from_bytes(os.urandom(3), "big"))
_process = os.urandom(5).hex()
_REQUEST_ID = f"req_%011x%06x{_process}"


def new_request_id() -> str:
    """An id that no other request has; later ones sort behind earlier ones, which keeps the ledger's index small.

    Milliseconds, a counter, and what tells this process from every other; no system call.
    """
    return _REQUEST_ID % (time.time_ns() // 1_000_000, next(_count) & 0xFFFFFF)


class Call(msgspec.Struct, eq=False):
    """A request as the router sees it. What only a translating deployment needs is decoded when one is chosen."""

    operation: Operation
    model: str
    capability: Capability
    decode: Callable[[], Sequence[Job]]
    """The request in ghostd's vocabulary; raises RequestError. Called at most once."""
    stream: bool = False
    body: bytes = b""
    """As the client sent it; empty for a call that cannot be relayed."""
    fields: Mapping[str, bytes] = field(default_factory=dict)
    with_usage: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    features: frozenset[Feature] = frozenset()
    prompt_tokens: int = 0
    """Estimated."""
    several: bool = False
    """Whether it holds more than one prompt, each of which needs a context of its own."""
    max_tokens: int | None = None
    effort: str = ""
    """How deep a reasoning is asked for; "" if nothing is said."""
    user: str = ""
    hints: Hints = NO_HINTS
    relayable: bool = True
    """Whether the client takes a reply as an upstream sends it."""
    passed_only: bool = False
    """Whether only a deployment that takes it as it came can answer it."""
    interactive: bool = True
    """Whether somebody waits; background work is not hedged."""
    id: str = field(default_factory=new_request_id)
    """The ledger's; the client's own request id may repeat."""
    trace: Trace = field(default_factory=Trace)

    def drop_body(self) -> None:
        """Let the body go, which may be large: of a call that has failed nothing more is read."""
        self.body, self.fields, self.decode = b"", {}, tuple

    @property
    def longest_tokens(self) -> int:
        """Of its one prompt, estimated; 0 where nobody knows how several share the whole."""
        return 0 if self.several else self.prompt_tokens

    @property
    def age_ms(self) -> float:
        """Milliseconds since it began."""
        return (time.monotonic() - self.trace.began_s) * 1000
