"""How a model marks its thoughts: told by its chat template. The daemon asks, too, so this imports next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Thoughts:
    """How a model marks its thoughts."""

    opener: str
    closer: str
    parts: tuple[str, ...] = ()
    """Control tokens in them, where they are not one token each."""

    @property
    def markers(self) -> tuple[str, ...]:
        """Texts that may be control tokens."""
        return self.parts or (self.opener, self.closer)


_THOUGHTS = (
    Thoughts("<think>", "</think>"),
    Thoughts("<|START_THINKING|>", "<|END_THINKING|>"),
    Thoughts("[THINK]", "[/THINK]"),
    Thoughts("<|channel>thought", "<channel|>", ("<|channel>", "<channel|>")),
    Thoughts("<seed:think>", "</seed:think>"),
    Thoughts("<thinking>", "</thinking>"),
    Thoughts("<thought>", "</thought>"),
)


def thoughts_of(template: str) -> Thoughts | None:
    """The markers that the template writes or looks for; None where it knows none."""
    return next((pair for pair in _THOUGHTS if pair.closer in template), None)


def is_harmony(template: str) -> bool:
    """Whether each message has a header that says what it is, as gpt-oss's have."""
    return "<|channel|>" in template and "<|message|>" in template


@lru_cache(maxsize=1024)
def thinks(template: str) -> bool:
    """Whether replies may begin with thoughts."""
    return is_harmony(template) or thoughts_of(template) is not None
