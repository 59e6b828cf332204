"""In which order a request tries the models that can do it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ghostd.config.routing import Policy
from ghostd.routing.deployment import Deployment
from ghostd.routing.features import Features

_WEIGHTS = {"simple": (0.20, 0.45, 0.35), "medium": (0.40, 0.30, 0.30), "complex": (0.80, 0.10, 0.10)}
"""By complexity: what quality, price and speed count for "balanced"."""
_UNKNOWN_COST_USD = 0.01
_UNKNOWN_MS = 2_000.0


@dataclass(frozen=True, slots=True)
class Score:
    """What a policy sees of one deployment; None where nobody knows."""

    cost_usd: float | None
    latency_ms: float | None
    """Until the whole reply, from what was measured."""
    quality: float
    success: float
    value: float = 0.0
    """What the ranking sorts by, higher first."""


def score(policy: Policy, deployment: Deployment, features: Features) -> Score:
    """How well the deployment suits a request under a policy."""
    cost = cost_of(deployment, features)
    latency = latency_of(deployment, features)
    quality = quality_of(deployment)
    success = deployment.health.success_rate
    cheap = -math.log10(
        (_UNKNOWN_COST_USD if cost is None else cost) + 1e-5
    )  # 5 at nothing, 2 at a cent, 0 at a dollar
    quick = -math.log10((_UNKNOWN_MS if latency is None else latency) + 10)
    if policy == "cheapest":
        value = cheap if cost is not None else -10.0
    elif policy == "fastest":
        value = quick
    elif policy == "quality":
        value = quality
    elif policy == "local-first":
        value = balanced(features, quality, cheap, quick) + (0.0 if deployment.info.remote else 100.0)
    else:
        value = balanced(features, quality, cheap, quick)
    return Score(cost, latency, quality, success, value + 2 * math.log2(success))


def balanced(features: Features, quality: float, cheap: float, quick: float) -> float:
    """One figure of quality (0..1), price and speed (powers of ten), weighed by what the request looks like."""
    for_quality, for_price, for_speed = _WEIGHTS[features.complexity]
    if features.urgent:
        for_speed += 0.4
    if features.thrifty:
        for_price += 0.4
    return 5 * for_quality * quality + for_price * cheap + for_speed * quick


def cost_of(deployment: Deployment, features: Features) -> float | None:
    """US dollars that the request is likely to cost; None where the price is unknown."""
    price = deployment.price
    if price is None:
        return None
    prompt_tokens = features.prompt_tokens * deployment.health.prompt_ratio
    return (prompt_tokens * price.input + features.reply_tokens * price.output) / 1e6


def latency_of(deployment: Deployment, features: Features) -> float | None:
    """Milliseconds that the whole reply is likely to take; None where nothing was measured."""
    health = deployment.health
    if features.stream:
        first = health.first_byte.percentile(0.5)
        each = health.token_ms.percentile(0.5)
        return None if first is None else first + (each or 0.0) * features.reply_tokens
    return health.plain.percentile(0.5)


def quality_of(deployment: Deployment) -> float:
    """From 0 to 1: as configured, else guessed from the price, or for local models from the file's size."""
    if deployment.settings.quality is not None:
        return deployment.settings.quality
    info = deployment.info
    if not info.remote:
        return 0.2 + 0.08 * math.log2(1 + (info.size_bytes or 0) / 1e9)
    if deployment.price is None:
        return 0.5
    return min(1.0, 0.3 + 0.2 * math.log10(1 + 10 * deployment.price.output))
