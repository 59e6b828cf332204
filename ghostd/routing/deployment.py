"""One model at one endpoint of one provider: what the router chooses between."""

from __future__ import annotations

from typing import cast

from ghostd.config.providers import ModelConfig, PriceConfig
from ghostd.config.routing import RoutingConfig
from ghostd.models import ModelInfo
from ghostd.ports import Provider, UpstreamProvider
from ghostd.routing.health import Health
from ghostd.routing.limits import Limits

NO_SETTINGS = ModelConfig()


class Deployment:
    """A model that can be asked, with its health and its limits. It lives as long as its configuration does."""

    __slots__ = (
        "_ask",
        "_info",
        "endpoint",
        "health",
        "lacks",
        "limits",
        "model",
        "name",
        "price",
        "provider",
        "settings",
        "upstream",
    )

    def __init__(
        self,
        name: str,
        provider: Provider,
        info: ModelInfo,
        health: Health,
        *,
        endpoint: str = "",
        limits: tuple[Limits, ...] = (),
        settings: ModelConfig = NO_SETTINGS,
        price: PriceConfig | None = None,
        upstream: bool = False,
    ) -> None:
        self.name = name
        """What people call it: "openai/gpt-4.1", or a local model's id."""
        self.provider = provider
        self.model = info.id
        """The provider's own name of the model."""
        self._info = info
        self._ask = cast("UpstreamProvider", provider).model if upstream else None
        self.health = health
        self.endpoint = endpoint
        self.limits = tuple(limit for limit in limits if limit.bounded)
        self.settings = settings
        self.price = price
        self.upstream = upstream
        self.lacks: set[str] = set()
        """Operations among its `relays` that it has turned out not to offer."""

    @property
    def info(self) -> ModelInfo:
        """What is known of the model now."""
        return self._info if self._ask is None else self._ask(self.model)

    def seen(self, info: ModelInfo) -> Deployment:
        """The same deployment with what its provider says of the model now."""
        self._info = info
        return self

    @property
    def relays(self) -> frozenset[str]:
        """Operations that it takes as clients send them."""
        return self.info.relays

    def __repr__(self) -> str:
        return f"<Deployment {self.name} {self.endpoint}>"


def local_deployment(provider: Provider, info: ModelInfo, routing: RoutingConfig) -> Deployment:
    """The deployment of a model on this machine: it costs nothing."""
    return Deployment(info.id, provider, info, Health(routing), price=PriceConfig(input=0.0, output=0.0))
