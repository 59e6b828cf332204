"""What is asked for an editor, and what answers it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ghostd.completion.stages import Stages
from ghostd.types import FillRequest

Origin = Literal["kept", "prepared", "running", "fresh"]
"""Kept from before; made before it was asked for; written since an earlier key; asked of a model for this request."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A place in a document as it is now."""

    fill: FillRequest
    """Its `trigger`, `session`, limits and texts; `model` as configured."""
    document: str
    """Names the document within the session: its URI, or its path; "" for a text that is none."""
    incremental: bool = False
    """Whether better suggestions may follow a first one."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text to insert at the cursor."""

    id: str
    """For feedback: the ledger's id of the request that made it."""
    text: str
    model: str
    origin: Origin
    confidence: float | None
    """Estimated probability (0..1) of being right, as the model says."""
    final: bool
    """Whether it is the last one of its request."""
    stages: Stages
