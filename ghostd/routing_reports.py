"""What the router says of itself to people: how deployments fare, and why a request would go where."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KindReport:
    """How one kind of calls fares at a deployment: a service may be out of order for this kind alone."""

    kind: str
    """chat, complete, fill, embed, or an operation such as openai.responses."""
    state: str
    rests_for_s: float | None
    last_error: str


@dataclass(frozen=True, slots=True)
class DeploymentReport:
    """How one deployment fares."""

    name: str
    endpoint: str
    """Base URL; "" on this machine."""
    state: str
    """closed (takes requests), open (rests), half-open (on trial)."""
    rests_for_s: float | None
    in_flight: int
    success_rate: float
    """Of the last requests (routing.breaker_window)."""
    first_byte_p50_ms: float | None
    """Of streams."""
    first_byte_p95_ms: float | None
    reply_p50_ms: float | None
    """Of replies that are not streamed, whole."""
    last_error: str
    kinds: tuple[KindReport, ...] = ()
    """Where more than one kind was asked; `state` and what follows it are those of the first."""


@dataclass(frozen=True, slots=True)
class CandidateReport:
    """One deployment, as a request sees it."""

    name: str
    endpoint: str
    rank: int | None
    """Place in the order of trying, from 1; equal places share the load. None: not tried."""
    problem: str
    """Why it is not tried; "" if it is."""
    cost_usd: float | None
    latency_ms: float | None
    quality: float
    success_rate: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where a request would go now, and why."""

    model: str
    route: str
    policy: str
    complexity: str
    prompt_tokens: int
    """Estimated."""
    needs: tuple[str, ...]
    experiment: str
    candidates: tuple[CandidateReport, ...]
    fallbacks: tuple[str, ...]
    problem: str = ""
    """Why it would be refused; "" if it would not."""


@dataclass(frozen=True, slots=True)
class KeyReport:
    """One key, without its value."""

    provider: str
    reference: str
    state: str
    detail: str
