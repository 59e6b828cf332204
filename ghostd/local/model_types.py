"""What the control API says about local models."""

from __future__ import annotations

import msgspec

from ghostd.local.control_types import ModelState


class StoreSkip(msgspec.Struct, frozen=True):
    """A file of another program's store that is not offered, and why."""

    path: str
    reason: str


class ModelsReport(msgspec.Struct, frozen=True):
    """The local models as they are now, their memory, and what was not offered."""

    models: list[ModelState]
    held_bytes: int
    """Estimated memory of the loaded and loading models."""
    allowed_bytes: int
    """What they may take in all at the moment."""
    pinned: list[str]
    """Names of the models that stay loaded."""
    skips: list[StoreSkip]


class ModelBody(msgspec.Struct, frozen=True):
    """What the commands for one model send."""

    model: str
