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
    bare = name[: -len(_DEFAULT_TAG)] if name.lower().endswith(_DEFAULT_TAG) else name
    if not name or (registry.knows(name) and (bare == name or not _is_a_guess(engine, name))):
        return name
    if (pulled := store.pulled(name)) is not None:
        return pulled
    names = [name, bare]
    if ":" not in name.rpartition("/")[2]:
        names.append(name + _DEFAULT_TAG)
    if (found := next((other for other in names[1:] if registry.knows(other)), None)) is not None:
        return found
    # As with Ollama, capitals do not count where that leaves no doubt.
    ids: dict[str, list[str]] = {}
    for info in engine.models():
        ids.setdefault(info.id.lower(), []).append(info.id)
    fitting = next((ids[other.lower()] for other in names if other.lower() in ids), [])
    return fitting[0] if len(fitting) == 1 else name


def _is_a_guess(engine: Engine, name: str) -> bool:
    """Whether the name is only taken for possible: its service, which knows no tags, lists not all of its models."""
    meant = one_deployment(engine, name)
    if meant is None or not meant.upstream or "ollama.chat" in meant.relays:
        return False
    return all(info.id != meant.model for info in meant.provider.models())


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
