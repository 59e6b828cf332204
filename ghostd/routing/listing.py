"""Every name that can be asked for, for people and for clients that choose from a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from ghostd.errors import ModelNotFound
from ghostd.models import ModelInfo
from ghostd.routing.plan import VIRTUAL
from ghostd.routing.registry import Registry, entry_names
from ghostd.types import Feature


def list_models(registry: Registry) -> list[ModelInfo]:
    """Every name that can be asked for: models, routes, aliases and virtual models."""
    found: dict[str, ModelInfo] = {}
    for choice in registry.everything(fresh=True):
        deployment = choice.deployment
        name = deployment.name
        found.setdefault(name, replace(deployment.info, id=name))
    for name, route in registry.config.routes.items():
        found[name] = _composed(registry, name, "route", entry_names(route), (name,))
    for name, configured in registry.config.deployments.items():
        found.setdefault(name, _composed(registry, name, "deployment", [configured.model], (name,)))
    for name, target in registry.config.aliases.items():
        found.setdefault(name, _composed(registry, name, "alias", [target], (name,)))
    for name, (_, experiment) in registry.experiments.items():
        if name not in found:
            arms = [arm.model for arm in experiment.arms.values()]
            found[name] = _composed(registry, name, "experiment", arms, arms)
    for name, (_, meaning) in VIRTUAL.items():
        found.setdefault(name, _virtual_info(registry, name, meaning))
    return list(found.values())


def _composed(registry: Registry, name: str, kind: str, parts: Iterable[str], targets: Iterable[str]) -> ModelInfo:
    """A name that stands for the models behind its targets."""
    plans = []
    for target in targets:
        with suppress(ModelNotFound):
            plans.append(registry.plan(target))
    if not plans:
        return ModelInfo(name, "ghostd", frozenset(), state="failed", detail=f"{kind}: nobody offers its models")
    infos = [choice.deployment.info for plan in plans for tier in plan.tiers for choice in tier]
    return ModelInfo(
        name,
        "ghostd",
        frozenset().union(*(info.capabilities for info in infos)),
        features=_features(infos),
        remote=any(info.remote for info in infos),
        detail=f"{kind}: {', '.join(parts)}",
    )


def _virtual_info(registry: Registry, name: str, meaning: str) -> ModelInfo:
    infos = [choice.deployment.info for tier in registry.virtual(name).tiers for choice in tier]
    able = [info for info in infos if info.state != "failed"]
    return ModelInfo(
        name,
        "ghostd",
        frozenset().union(*(info.capabilities for info in able)),
        features=_features(able),
        state="ready" if able else "failed",
        detail=meaning,
    )


def _features(infos: Sequence[ModelInfo]) -> frozenset[Feature] | None:
    """What one of them can do; None where nobody knows it of one."""
    found: set[Feature] = set()
    for info in infos:
        if info.features is None:
            return None
        found |= info.features
    return frozenset(found)
