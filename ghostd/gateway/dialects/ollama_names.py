"""The names that clients of Ollama use for ghostd's models."""

from __future__ import annotations

from ghostd.engine import Engine
from ghostd.errors import ModelNotFound
from ghostd.ports import ModelStore
from ghostd.routing.deployment import Deployment

_DEFAULT_TAG = ":latest"


def resolved(engine: Engine, store: ModelStore, name: str) -> str:
    """ghostd's name for what a client calls `name`: with or without ":latest", or as it was pulled.

    A name that means nothing is returned as it is.
    """
    registry = engine.registry
    if not name or registry.knows(name):
        return name
    if (pulled := store.pulled(name)) is not None:
        return pulled
    bare = name.removesuffix(_DEFAULT_TAG)
    other = bare if bare != name else name + _DEFAULT_TAG
    if ":" in name.rpartition("/")[2] and bare == name:
        return name  # another tag
    return other if registry.knows(other) else name


def one_deployment(engine: Engine, name: str) -> Deployment | None:
    """What a name means where nothing is to choose between; None elsewhere, and where nobody has the name."""
    registry = engine.registry
    if registry.experiment(name) is not None:
        return None
    try:
        plan = registry.plan(name)
    except ModelNotFound:
        return None
    if plan.virtual or len(plan.tiers) > 1 or len(plan.tiers[0]) > 1:
        return None
    return plan.tiers[0][0].deployment
