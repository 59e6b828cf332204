"""The settings of what prompts quote: [context]."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta


class ContextConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What prompts quote of the rest of the project."""

    enabled: bool = True
    """Whether anything is looked for."""
    budget_tokens: Annotated[int, Meta(ge=1, le=32_000)] = 1_000
    """Tokens that it may take where a request says nothing."""
    fill_tokens: Annotated[int, Meta(ge=0, le=32_000)] = 1_000
    """Tokens that a fill-in-the-middle prompt may quote of the project, up to a third of the model's context; 0: none.
    A model on this machine reads it anew when the user asks for a completion or pauses, and while they type only where
    it is fast enough."""
    deadline_ms: Annotated[int, Meta(ge=1, le=60_000)] = 250
    """Time to look for it; sources that have not answered by then are left out, and named."""
