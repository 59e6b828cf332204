"""What Gemini's models can do, by name. Source: the model and thinking pages of ai.google.dev, November 2026."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

_NAME = re.compile(r"gemini-(\d+)(?:\.(\d+))?(?:-(\w+(?:-\w+)*))?")


@dataclass(frozen=True, slots=True)
class GeminiTraits:
    """What one model takes."""

    levels: tuple[str, ...] = ()
    """Values of `thinkingLevel`; empty for a model that thinks by a budget, or not at all."""
    budget: bool = False
    """Whether it thinks by `thinkingBudget`."""
    can_disable: bool = False
    """Whether a budget of 0 turns thinking off."""
    needs_signatures: bool = False
    """Whether a function call in the history must carry its `thoughtSignature`."""

    @property
    def thinks(self) -> bool:
        """Whether it can reason before it answers."""
        return self.budget or bool(self.levels)


@lru_cache(maxsize=256)
def gemini_traits(name: str) -> GeminiTraits:
    """What is known of a model of this name; another family's models (Gemma, …) do not think."""
    found = _NAME.match(name.removeprefix("models/"))
    if found is None:
        return GeminiTraits()
    version, kind = (int(found[1]), int(found[2] or 0)), found[3] or ""
    if version < (2, 5):
        return GeminiTraits()
    if version < (3, 0):
        return GeminiTraits(budget=True, can_disable="pro" not in kind)
    levels = ("low", "medium", "high") if "pro" in kind else ("minimal", "low", "medium", "high")
    return GeminiTraits(levels=levels, needs_signatures=True)
