"""Kinds of calls: a service may be out of order for one of them and well for the others."""

from __future__ import annotations

from collections.abc import Mapping

from ghostd.routing.call import Call
from ghostd.routing.deployment import Deployment
from ghostd.routing.health import Health
from ghostd.types import Operation

_KINDS: Mapping[Operation, str] = {
    "openai.chat": "chat",
    "anthropic.messages": "chat",
    "gemini.generate": "chat",
    "ollama.chat": "chat",
    "openai.completions": "complete",
    "ollama.generate": "complete",
    "openai.embeddings": "embed",
    "ollama.embed": "embed",
    "mistral.fim": "fill",
    "llamacpp.infill": "fill",
}
"""Operations that are one thing in several dialects; any other one is a kind of its own."""
_FILLS = frozenset(operation for operation, kind in _KINDS.items() if kind == "fill")


def kind_of(call: Call, *, relayed: bool) -> str:
    """What is asked of the service: the call as it came, or what it is translated to."""
    operation = call.operation
    return _KINDS.get(operation, operation) if relayed else call.capability


def relays(deployment: Deployment, call: Call) -> bool:
    """Whether the deployment takes the call as it came."""
    operation = call.operation
    if call.capability == "fill" and _KINDS.get(operation) != "fill" and deployment.relays & _FILLS:
        return False  # its completions take no suffix: it has a call of its own for fills
    return call.relayable and bool(call.body) and operation in deployment.relays and operation not in deployment.lacks


def admits(deployment: Deployment, call: Call, now: float) -> bool:
    """Whether the deployment may be asked such a call now."""
    health = deployment.health
    return health.well or health.admits(now, kind_of(call, relayed=relays(deployment, call)))


def keeper(deployment: Deployment, call: Call) -> Health:
    """What keeps such calls away from the deployment, if anything does: its own breaker, or that of the kind."""
    health = deployment.health
    return health if health.well else health.keeper(kind_of(call, relayed=relays(deployment, call)))
