"""The settings of next edits: [next_edit]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from ghostd.config.kinds import Probability


class NextEditConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is proposed after a change."""

    enabled: bool = True
    """Whether editors get next edits."""
    max_proposals: Annotated[int, Meta(ge=1, le=1000)] = 50
    """At once."""
    max_files: Annotated[int, Meta(ge=0, le=1000)] = 50
    """Other files that are looked into for one answer; 0: none."""
    min_confidence: Probability = 0.5
    """Proposals that are less sure are left out."""
    near_lines: Annotated[int, Meta(ge=0, le=1000)] = 0
    """How many lines from the cursor, below or above, a next edit may be to be shown as ghost text; 0: on its
    line only, as not every editor shows ghost text away from the cursor."""
    model: str = ""
    """A model for next edits, asked where nothing else is proposed; "": none."""
    idle_ms: Annotated[int, Meta(ge=0, le=60_000)] = 400
    """The model is asked only once nothing has been edited for so long; in milliseconds."""
    model_timeout_ms: Annotated[int, Meta(ge=1, le=600_000)] = 10_000
    """How long the model may take; in milliseconds."""
