"""Model name → what may answer: the tables that the configuration and the providers give, held in memory."""

from __future__ import annotations

import difflib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import msgspec

from ghostd.config.providers import DeploymentConfig, ModelConfig, PriceConfig, ProviderConfig
from ghostd.config.routing import ExperimentConfig, RouteConfig, RouteEntry
from ghostd.config.settings import Config
from ghostd.errors import ModelNotFound
from ghostd.models import ModelInfo
from ghostd.ports import Provider, Rescanned, UpstreamProvider
from ghostd.routing.deployment import NO_SETTINGS, Deployment, local_deployment
from ghostd.routing.experiments import by_model
from ghostd.routing.health import Health
from ghostd.routing.limits import Limits
from ghostd.routing.plan import AUTO, VIRTUAL, Choice, Plan, Tier

_TTL_S = 1.0
"""How long what was found at run time is taken for true."""
_MANY = 2000
"""Deployments from which on those are forgotten that only requests have named."""
_MAX_HINTED_CHARS = 100

PriceOf = Callable[[str, str], PriceConfig | None]
"""Preset and model name → price; None where it is unknown."""


class Registry:
    """The tables for one configuration. Cheap to make: nothing is asked of any provider before a request needs it."""

    def __init__(
        self,
        config: Config,
        local: Sequence[Provider],
        upstreams: Mapping[str, Sequence[UpstreamProvider]] | None = None,
        price_of: PriceOf = lambda preset, model: None,
        before: Registry | None = None,
    ) -> None:
        """`before` is the registry that this one replaces: what has not changed keeps its health, and the limits go
        on from what has been used of them."""
        self.config = config
        self.local = local
        self.upstreams = dict(upstreams or {})
        self.experiments = by_model(config.experiments)
        self._price_of = price_of
        self._deployments: dict[tuple[str, str, str], Deployment] = {}
        self._limits: dict[tuple[str, str], Limits] = {}
        self._plans: dict[str, Plan] = {}
        self._all: tuple[float, tuple[Choice, ...]] = (float("-inf"), ())
        self._virtuals: dict[str, Plan] = {}
        self._bare: tuple[float, dict[str, str]] = (float("-inf"), {})
        self._forget_at = _MANY
        self._before = before
        if before is not None:
            self._inherit(before)
            self._before = None

    async def look_again(self) -> bool:
        """Have models found that have come since their providers looked; False where there are no such providers."""
        rescanned = [provider for provider in self.local if isinstance(provider, Rescanned)]
        for provider in rescanned:
            await provider.look_again()
        self._bare = (float("-inf"), {})
        return bool(rescanned)

    # --- names ---------------------------------------------------------------------

    def plan(self, name: str) -> Plan:
        """What may answer for this name; raises ModelNotFound."""
        found = self._plans.get(name)
        if found is None:
            found, lasting = self._make_plan(name)
            if lasting:
                self._plans[name] = found
        return found

    def knows(self, name: str) -> bool:
        """Whether something of this name may be there, the setting routing.unknown_model apart."""
        target = self._unaliased(name)
        return target in self.config.routes or target in VIRTUAL or self._choices(target) is not None

    def experiment(self, name: str) -> tuple[str, ExperimentConfig] | None:
        """The running experiment that splits the requests for this name, with its own name."""
        if not self.experiments:
            return None
        return self.experiments.get(name) or self.experiments.get(self._unaliased(name))

    def _make_plan(self, name: str) -> tuple[Plan, bool]:
        """The plan, and whether it holds as long as the configuration does."""
        config = self.config
        target = self._unaliased(name)
        if (route := config.routes.get(target)) is not None:
            return self._route_plan(target, route)
        if (choices := self._choices(target)) is not None:
            found = choices[0].deployment
            return Plan(found.name, (choices,), "ordered"), found.upstream and found.name == target
        if target in VIRTUAL:
            return self.virtual(target), False
        if config.routing.unknown_model == "fallback":
            return self._make_plan(AUTO)[0], False
        raise ModelNotFound(name[:_MAX_HINTED_CHARS], self._similar(name))

    def _unaliased(self, name: str) -> str:
        for _ in range(len(self.config.aliases) + 1):
            target = self.config.aliases.get(name)
            if target is None:
                break
            name = target
        return name

    def _route_plan(self, name: str, route: RouteConfig) -> tuple[Plan, bool]:
        tiers: dict[int, list[Choice]] = {}
        lasting = True
        for entry in route.deployments:
            wanted = RouteEntry(model=entry) if isinstance(entry, str) else entry
            target = self._unaliased(wanted.model)
            choices = self._choices(target) or ()
            lasting = lasting and any(c.deployment.upstream and c.deployment.name == target for c in choices)
            for choice in choices:
                tiers.setdefault(wanted.order, []).append(replace(choice, weight=wanted.weight))
        if not tiers:
            names = ", ".join(entry_names(route))
            raise ModelNotFound(name, (), f"The route '{name}' names models that nobody offers now: {names}.")
        return Plan(name, tuple(tuple(tiers[order]) for order in sorted(tiers)), route.policy, route), lasting

    def _choices(self, name: str) -> Tier | None:
        """The deployments of one model, one for each endpoint; None if there is no such model."""
        if (configured := self.config.deployments.get(name)) is not None:
            provider, _, model = configured.model.partition("/")
            return self._upstream_choices(provider, model, name, configured)
        provider, slash, model = name.partition("/")
        if slash and provider in self.upstreams and (choices := self._upstream_choices(provider, model, name, None)):
            return choices
        for source in self.local:
            for info in source.models():
                if info.id == name:
                    return (Choice(self._local(source, info)),)
        if (full := self._listed_as(name)) is not None:
            provider, _, model = full.partition("/")
            ends = self.upstreams[provider]
            return tuple(Choice(self._upstream(endpoint, provider, model, full, None)) for endpoint in ends)
        return None

    def _listed_as(self, name: str) -> str | None:
        """The full name of an upstream's model whose provider was left out; the first provider that lists it."""
        now = time.monotonic()
        if now - self._bare[0] > _TTL_S:
            found: dict[str, str] = {}
            for provider, endpoints in self.upstreams.items():
                for info in endpoints[0].models():
                    found.setdefault(info.id, f"{provider}/{info.id}")
            self._bare = (now, found)
        return self._bare[1].get(name)

    def _upstream_choices(
        self, provider: str, model: str, name: str, configured: DeploymentConfig | None
    ) -> Tier | None:
        endpoints = self.upstreams.get(provider, ())
        if not model or not endpoints:
            return None
        first = endpoints[0]
        known = first.open_ended or (name, first.endpoint, model) in self._deployments
        if not known and all(info.id != model for info in first.models()):
            return None
        wanted = configured.base_url.rstrip("/") if configured and configured.base_url else None
        return tuple(
            Choice(self._upstream(endpoint, provider, model, name, configured))
            for endpoint in endpoints
            if wanted is None or endpoint.endpoint == wanted
        ) or None  # fmt: skip

    def virtual(self, name: str) -> Plan:
        """One of the virtual models, whatever else the configuration gives its name to."""
        choices = self.everything()
        if (found := self._virtuals.get(name)) is not None:
            return found
        policy = VIRTUAL[name][0] or self.config.routing.policy
        if name == "local":
            choices = tuple(choice for choice in choices if not choice.deployment.info.remote)
        self._virtuals[name] = Plan(name, (choices,), policy, virtual=True)
        return self._virtuals[name]

    def _similar(self, name: str) -> tuple[str, ...]:
        """What may have been meant."""
        found = (choice.deployment.name for choice in self.everything())
        config = self.config
        known = list(dict.fromkeys((*config.routes, *config.aliases, *config.deployments, *found, *VIRTUAL)))
        if len(name) > _MAX_HINTED_CHARS:
            return tuple(known[:10])
        return tuple(difflib.get_close_matches(name, known, 5, 0.3) or known[:10])

    # --- deployments -----------------------------------------------------------------

    def everything(self, *, fresh: bool = False) -> Tier:
        """Every model that is offered now, each endpoint apart; at most a second old."""
        now = time.monotonic()
        if fresh or now - self._all[0] > _TTL_S or self._new_local_models():
            self._all = (now, tuple(Choice(deployment) for deployment in self._walk()))
            self._virtuals = {}
        return self._all[1]

    def _new_local_models(self) -> bool:
        """Whether a model of this machine has come; that costs a look at a list in memory."""
        known = {choice.deployment.model for choice in self._all[1] if not choice.deployment.upstream}
        return any(info.id not in known for source in self.local for info in source.models())

    def _walk(self) -> Iterator[Deployment]:
        names: set[str] = set()
        for source in self.local:
            for info in source.models():
                if info.id not in names:
                    names.add(info.id)
                    yield self._local(source, info)
        for provider, endpoints in self.upstreams.items():
            for info in endpoints[0].models():
                for endpoint in endpoints:
                    yield self._upstream(endpoint, provider, info.id, f"{provider}/{info.id}", None)

    def used(self) -> Sequence[Deployment]:
        """Every deployment that a request or a plan has touched, for status and health checks."""
        return tuple(self._deployments.values())

    def _local(self, source: Provider, info: ModelInfo) -> Deployment:
        key = (source.name, info.id, "")
        found = self._deployments.get(key) or self._inherited(key)
        if found is None or found.provider is not source:
            found = local_deployment(source, info, self.config.routing)
            self._deployments[key] = found
        return found.seen(info)

    def _upstream(
        self, endpoint: UpstreamProvider, provider: str, model: str, name: str, configured: DeploymentConfig | None
    ) -> Deployment:
        key = (name, endpoint.endpoint, model)
        found = self._deployments.get(key)
        if found is None:
            if len(self._deployments) >= self._forget_at:
                self._forget_unlisted()
            settings = self.config.providers.get(provider)
            known = settings.model.get(model, NO_SETTINGS) if settings else NO_SETTINGS
            before = self._inherited(key)
            if before is not None and before.provider is not endpoint:
                before = None  # what was changed may be mended
            found = Deployment(
                name,
                endpoint,
                endpoint.model(model),
                before.health if before is not None else Health(self.config.routing),
                endpoint=endpoint.endpoint,
                limits=(
                    self._limits_of(("", name), configured),
                    self._limits_of((provider, endpoint.endpoint), settings),
                ),
                settings=_with_defaults(known, configured),
                price=known.price or self._price(provider, model, endpoint),
                upstream=True,
            )
            found.health.configure(self.config.routing)
            self._deployments[key] = found
        return found

    def _inherit(self, before: Registry) -> None:
        """Take over what was in use, so that it is still seen, and goes on resting, before it is asked again."""
        for name in {deployment.name for deployment in before.used() if deployment.upstream}:
            self._choices(name)
        for source in self.local:
            for info in source.models():
                if (source.name, info.id, "") in before._deployments:
                    self._local(source, info).health.configure(self.config.routing)

    def _inherited(self, key: tuple[str, str, str]) -> Deployment | None:
        return self._before._deployments.get(key) if self._before is not None else None

    def _forget_unlisted(self) -> None:
        """Drop the deployments that only requests have named, unless something is under way there."""
        listed = {
            (f"{provider}/{info.id}", info.id)
            for provider, endpoints in self.upstreams.items()
            for info in endpoints[0].models()
        }
        self._plans = {name: plan for name, plan in self._plans.items() if name in self.config.routes}
        planned = {choice.deployment for plan in self._plans.values() for tier in plan.tiers for choice in tier}
        self._deployments = {
            (name, endpoint, model): deployment
            for (name, endpoint, model), deployment in self._deployments.items()
            if not deployment.upstream
            or deployment.health.in_flight
            or deployment in planned
            or name in self.config.deployments
            or (name, model) in listed
        }
        self._forget_at = max(_MANY, 2 * len(self._deployments))

    def _limits_of(self, key: tuple[str, str], settings: ProviderConfig | DeploymentConfig | None) -> Limits:
        """The limits of a configured deployment ("", name), or of a provider's endpoint."""
        found = self._limits.get(key)
        if found is None:
            found = (self._before._limits.get(key) if self._before is not None else None) or Limits()
            if settings is not None:
                found.configure(settings.rpm, settings.tpm, settings.max_concurrency)
            if settings is not None:
                self._limits[key] = found
        return found

    def _price(self, provider: str, model: str, endpoint: UpstreamProvider) -> PriceConfig | None:
        if not endpoint.model(model).remote:
            return PriceConfig(input=0.0, output=0.0)
        settings = self.config.providers.get(provider)
        return self._price_of(settings.preset or provider if settings is not None else provider, model)


def entry_names(route: RouteConfig) -> list[str]:
    """What a route names, as it is written."""
    return [entry if isinstance(entry, str) else entry.model for entry in route.deployments]


def _with_defaults(known: ModelConfig, configured: DeploymentConfig | None) -> ModelConfig:
    """The model's settings, the deployment's own defaults over them."""
    if configured is None or (configured.temperature is None and configured.max_tokens is None):
        return known
    return msgspec.structs.replace(
        known,
        temperature=known.temperature if configured.temperature is None else configured.temperature,
        max_tokens=known.max_tokens if configured.max_tokens is None else configured.max_tokens,
    )
