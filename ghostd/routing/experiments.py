"""A/B splits: which arm a request belongs to, the same for the same subject."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass

from ghostd.config.routing import ExperimentConfig
from ghostd.routing.call import Call


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where a request of a split model goes."""

    experiment: str
    arm: str
    model: str
    subject: str
    """Hashed; "" where the request names none: then each request is assigned anew."""


def assign(name: str, experiment: ExperimentConfig, call: Call) -> Assignment:
    """The arm of a call. Weights may change without moving more subjects than they must."""
    subject = _subject(experiment, call)
    if subject:
        digest = hashlib.blake2b(f"{name}\0{subject}".encode("utf-8", "replace"), digest_size=16).digest()
        point = int.from_bytes(digest[:8], "big") / 2**64
        hashed = digest[8:].hex()
    else:
        point, hashed = random.random(), ""  # noqa: S311 - a lottery, no secret
    arm = _arm(experiment, point)
    return Assignment(name, arm, experiment.arms[arm].model, hashed)


def _subject(experiment: ExperimentConfig, call: Call) -> str:
    if experiment.subject == "session":
        return call.hints.session
    if experiment.subject == "client":
        return call.hints.client
    return call.user or call.hints.client


def _arm(experiment: ExperimentConfig, point: float) -> str:
    total = sum(arm.weight for arm in experiment.arms.values())
    reached = 0.0
    for name, arm in experiment.arms.items():
        reached += arm.weight / total
        if point < reached:
            return name
    return name


def by_model(experiments: Mapping[str, ExperimentConfig]) -> dict[str, tuple[str, ExperimentConfig]]:
    """The running experiments by the public name that they split."""
    return {experiment.model: (name, experiment) for name, experiment in experiments.items() if experiment.enabled}
