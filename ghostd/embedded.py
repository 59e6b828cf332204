"""What is known of the projects' chunks as vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Vector = Sequence[float]


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """What makes the vectors now."""

    name: str
    """Vectors by models of the same name can be compared."""
    remote: bool
    """Whether the text leaves this machine."""


@dataclass(frozen=True, slots=True)
class SimilarState:
    """How far one root's chunks have vectors."""

    state: Literal["waiting", "embedding", "ready", "failed", "refused"]
    """waiting: for the index. failed: it is tried again. refused: by the settings. `detail` says why."""
    model: str = ""
    """As it is configured."""
    embedded: int = 0
    """Chunks that have vectors."""
    chunks: int = 0
    """Chunks that are to have some, these included."""
    left_out: int = 0
    """Files beyond the limits."""
    detail: str = ""
    """In words: the problem, or what is left out."""
