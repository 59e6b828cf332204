"""What Anthropic's models can do, by name: for those that the service has not described itself.

Source: the models' pages and the thinking, effort and structured output guides of platform.claude.com, November 2026.
A name that this table does not know is taken for a newer model, which behaves like the newest known ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

Effort = Literal["low", "medium", "high", "xhigh", "max"]

DEFAULT_MAX_TOKENS = 32_000
"""Limit of a reply for requests that give none, where the model can say so much. `max_tokens` is required, and prompt
and limit together must fit into the context of older models, so that the model's own maximum would refuse prompts."""


@dataclass(frozen=True, slots=True)
class ModelTraits:
    """What one model takes."""

    context_tokens: int | None = 1_000_000
    max_output_tokens: int | None = 128_000
    budget: bool = False
    """`thinking: {"type": "enabled", "budget_tokens": …}`."""
    adaptive: bool = True
    """`thinking: {"type": "adaptive"}` with `output_config.effort`."""
    can_disable: bool = True
    """`thinking: {"type": "disabled"}`."""
    efforts: tuple[Effort, ...] = ("low", "medium", "high", "xhigh", "max")
    sampling: Literal["free", "one", "none"] = "none"
    """Whether temperature, top_p and top_k are taken; "one": not both of temperature and top_p."""
    structured: bool = True
    """`output_config.format` and strict tools."""
    vision: bool = True
    pdf: bool = True

    @property
    def thinks(self) -> bool:
        """Whether it can reason before it answers."""
        return self.budget or self.adaptive

    @property
    def default_max_tokens(self) -> int:
        """The limit of a reply for requests that give none."""
        return min(self.max_output_tokens or 4096, DEFAULT_MAX_TOKENS)


_NEWEST = ModelTraits()
_ALWAYS_THINKING = replace(_NEWEST, can_disable=False)
_V46 = replace(_NEWEST, budget=True, efforts=("low", "medium", "high", "max"), sampling="one")
_V45 = ModelTraits(
    context_tokens=200_000, max_output_tokens=64_000, budget=True, adaptive=False, efforts=(), sampling="one"
)
_V41 = replace(_V45, max_output_tokens=32_000)
_V4 = replace(_V41, structured=False, sampling="free")
_V37 = replace(_V4, max_output_tokens=64_000)
_V35 = replace(_V4, budget=False, max_output_tokens=8192)
_V3 = replace(_V35, max_output_tokens=4096, pdf=False)

_TABLE: tuple[tuple[re.Pattern[str], ModelTraits], ...] = tuple(
    (re.compile(pattern), traits)
    for pattern, traits in (
        (r"claude-(2|instant)", replace(_V3, vision=False)),
        (r"claude-3-(opus|sonnet|haiku)", _V3),
        (r"claude-3-5-haiku", replace(_V35, vision=False)),
        (r"claude-3-5", _V35),
        (r"claude-3-7", _V37),
        (r"claude-opus-4-1", _V41),
        (r"claude-opus-4(-0|-2025\d{4})?$", _V4),
        (r"claude-sonnet-4(-0|-2025\d{4})?$", _V37),
        (r"claude-opus-4-5", replace(_V45, efforts=("low", "medium", "high"))),
        (r"claude-(sonnet|haiku)-4-5", _V45),
        (r"claude-(opus|sonnet)-4-6", _V46),
        (r"claude-(fable|mythos)", _ALWAYS_THINKING),
    )
)


def traits_of(name: str) -> ModelTraits:
    """What is known of a model of this name."""
    for pattern, traits in _TABLE:
        if pattern.match(name):
            return traits
    return _NEWEST
