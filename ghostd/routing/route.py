"""Model name → deployment. A model is public under its provider's name for it; `auto` picks by capability."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ghostd.errors import InvalidRequest, ModelNotFound
from ghostd.ports import Provider
from ghostd.types import Capability, ModelInfo

AUTO = "auto"
"""Virtual model: the first model, in the providers' order, that can do what is asked."""

_CAN = {
    "chat": "chat",
    "complete": "continue text",
    "fill": "fill in the middle",
    "embed": "make embeddings",
}


@dataclass(frozen=True, slots=True)
class Deployment:
    """One model at one provider."""

    provider: Provider
    info: ModelInfo


def deployments(providers: Sequence[Provider]) -> list[Deployment]:
    """Every model that is on offer now; where two providers share a name, the first one's."""
    found: dict[str, Deployment] = {}
    for provider in providers:
        for info in provider.models():
            found.setdefault(info.id, Deployment(provider, info))
    return list(found.values())


def resolve(providers: Sequence[Provider], model: str, needs: Sequence[Capability]) -> Deployment:
    """The deployment behind `model` that has any of the capabilities `needs`, or the best one for "auto".

    Raises ModelNotFound for a name that nobody has (and for "auto" when no model fits), InvalidRequest for a
    model that cannot do what is asked.
    """
    known = deployments(providers)
    if model == AUTO:
        for capability in needs:
            for deployment in known:
                if capability in deployment.info.capabilities and deployment.info.state != "failed":
                    return deployment
        raise ModelNotFound(model, tuple(d.info.id for d in known))
    for deployment in known:
        if deployment.info.id == model:
            if deployment.info.capabilities.isdisjoint(needs):
                raise InvalidRequest(f"The model '{model}' cannot {_CAN[needs[0]]}.", "model")
            return deployment
    raise ModelNotFound(model, tuple(d.info.id for d in known))
