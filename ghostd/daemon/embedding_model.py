"""The model that makes the projects' vectors, as the settings name it. Part of the composition root."""

from __future__ import annotations

from collections.abc import Sequence

from ghostd.config.embeddings import EmbeddingsConfig
from ghostd.context.secrets_in_text import without_secrets
from ghostd.embedded import EmbeddingModel, Vector
from ghostd.engine import Engine
from ghostd.errors import UnsupportedParameter
from ghostd.routing.registry import Registry
from ghostd.types import EmbedRequest, Timeouts
from ghostd.vectors.asking import Asking


def asking_engine(config: EmbeddingsConfig, engine: Engine) -> Asking:
    """How the vectors' model is asked through the engine, which notes each request in the ledger."""
    timeouts = Timeouts(first_byte_s=config.timeout_s, idle_s=config.timeout_s)

    async def embed(texts: Sequence[str]) -> Sequence[Vector]:
        request = EmbedRequest(config.model, tuple((text,) for text in texts), config.dimensions, timeouts)
        _, found = await engine.embed(request)
        return found.vectors

    return Asking(
        config,
        embed,
        lambda: model_of(engine.registry, config.model),
        lambda: not engine.idle,
        lambda text: without_secrets(text)[0],
    )


def model_of(registry: Registry, name: str) -> EmbeddingModel:
    """The one model behind a name; raises ModelNotFound, or UnsupportedParameter where it may be one of several."""
    plan = registry.plan(name)
    found = [choice.deployment for tier in plan.tiers for choice in tier]
    route = plan.route
    several = len({deployment.model for deployment in found}) != 1
    turns = route is not None and (bool(route.fallbacks) or route.local_last_resort)
    if plan.virtual or several or turns or registry.experiment(name) is not None:
        raise UnsupportedParameter(
            f"'{name}' may be answered by more than one model, whose vectors cannot be compared: embeddings.model must"
            " name a single one, without fallbacks.",
            "embeddings.model",
        )
    return EmbeddingModel(found[0].model, any(deployment.info.remote for deployment in found))
