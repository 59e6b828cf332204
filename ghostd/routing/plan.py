"""What may answer for a name: deployments in tiers, and the virtual models that ghostd ships."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from ghostd.config.routing import Policy, RouteConfig
from ghostd.routing.deployment import Deployment

AUTO = "auto"
VIRTUAL: Mapping[str, tuple[Policy | None, str]] = {
    AUTO: (None, "the model that suits the request best, by the setting routing.policy"),
    "fast": ("fastest", "the model that answers soonest"),
    "smart": ("quality", "the best model"),
    "code": ("quality", "the best model for code"),
    "local": ("local-first", "the best model on this machine"),
}
"""Names that ghostd ships, with their policies; a route of the same name wins over it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A deployment and its share of the load among its equals."""

    deployment: Deployment
    weight: float = 1.0


Tier = tuple[Choice, ...]
"""Deployments that share the load."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What may answer for a name."""

    name: str
    """The route's, the model's, or the virtual model's."""
    tiers: tuple[Tier, ...]
    """In the order to be tried; with a policy other than "ordered", each tier is ranked."""
    policy: Policy
    route: RouteConfig | None = None
    virtual: bool = False
    """Whether the tiers are all models, of which only those that suit count."""
    rankings: dict[Hashable, Tier] = field(default_factory=dict, compare=False, repr=False)
    """All models of a virtual plan in the order for one kind of request; made once while the plan holds."""
