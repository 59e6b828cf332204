"""The settings of how requests find a model: [routes], [experiments], [routing]."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Count, Probability, Seconds

Policy = Literal["ordered", "balanced", "cheapest", "fastest", "quality", "local-first"]
"""ordered: as listed; balanced: by success, speed and price together; local-first: this machine's models, then
balanced."""


class RouteEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One deployment of a route."""

    model: str
    """"provider/model", a deployment's name, or a local model's."""
    order: Annotated[int, Meta(ge=1)] = 1
    """Lower ones are tried first; equal ones share the load."""
    weight: Annotated[float, Meta(gt=0)] = 1.0
    """Share of the load among equals."""


class RouteConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A public model name and the deployments behind it."""

    deployments: tuple[str | RouteEntry, ...]
    """What answers, e.g. ["openai/gpt-4.1", {model = "anthropic/claude-sonnet-4-5", order = 2}]."""
    policy: Policy = "ordered"
    """How deployments of one order are ranked; "ordered" shares by weight and load."""
    fallbacks: tuple[str, ...] = ()
    """Models or routes to try when every deployment has failed."""
    fallback_on: tuple[Literal["error", "context", "content_filter"], ...] = ("error", "context")
    """What sends a request to the fallbacks: failures, a prompt too long, a refused content."""
    local_last_resort: bool = False
    """Whether any local model that can do the job answers when all else has failed."""
    timeout_s: Seconds | None = None
    """Time for the whole request; unset: routing.timeout_s."""
    first_byte_s: Seconds | None = None
    """Time until a stream begins; unset: routing.first_byte_s."""
    reply_s: Seconds | None = None
    """Time until a reply that is not streamed begins; unset: routing.reply_s."""
    idle_s: Seconds | None = None
    """Longest silence inside a reply; unset: routing.idle_s."""
    hedge: bool = False
    """Whether a request that waits longer than the 95th percentile is also sent to another deployment."""
    warm: bool = False
    """Whether a connection is kept open to each base URL, so that the first request need not make one."""


class ExperimentArm(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One arm of an A/B split."""

    model: str
    """A model, deployment or route."""
    weight: Annotated[float, Meta(gt=0)] = 1.0
    """Share of the subjects."""


class ExperimentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An A/B split: requests for one model name are shared among arms, each subject always in the same one."""

    model: str
    """The public name whose requests are split."""
    arms: dict[str, ExperimentArm]
    """The arms by name: [experiments.NAME.arms.ARM]."""
    subject: Literal["client", "user", "session"] = "user"
    """What sticks to an arm: the client (API key or name), the request's `user`, or its session header."""
    enabled: bool = True
    """Whether requests are split now."""


class RoutingConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How requests find a model that answers."""

    unknown_model: Literal["error", "fallback"] = "error"
    """What a request for an unknown model gets: an error, or the model "auto"."""
    policy: Policy = "balanced"
    """How the virtual model "auto" ranks the models."""
    timeout_s: Seconds = 600.0
    """Time for a whole request, all attempts together."""
    connect_s: Seconds = 5.0
    """Time to connect to an upstream."""
    first_byte_s: Seconds = 30.0
    """Time until a stream's first event."""
    reply_s: Seconds = 120.0
    """Time until the first byte of a reply that is not streamed."""
    idle_s: Seconds = 60.0
    """Longest silence inside a reply."""
    max_attempts: Count = 5
    """Deployments that one request may try, repeats included."""
    retry_budget: Probability = 0.2
    """Share of the requests that may be repeated attempts at a deployment that has just failed them (failing over to
    another one is free)."""
    backoff_ms: Annotated[int, Meta(ge=0)] = 100
    """First pause before a repeat; doubles, with full jitter."""
    max_backoff_s: Seconds = 5.0
    """Longest pause before a repeat; an upstream that asks for more is not waited for."""
    breaker_failures: Count = 3
    """Failures in a row after which a deployment rests."""
    breaker_rate: Probability = 0.5
    """Share of failures among the last `breaker_window` requests from which it rests."""
    breaker_window: Count = 20
    """Requests that the share is taken over."""
    rest_s: Seconds = 5.0
    """First rest of a deployment; doubles while it keeps failing."""
    max_rest_s: Seconds = 300.0
    """Longest rest."""
    probe_after_s: Seconds = 2.0
    """A deployment that has not answered for so long is asked for a sign of life beside the request."""
    health_interval_s: Seconds = 30.0
    """Period of the checks of deployments that rest, or have failed and are no longer asked; others are not checked."""
