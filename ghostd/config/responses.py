"""The settings of the Responses API: [responses]."""

from __future__ import annotations

from typing import Literal

import msgspec

from ghostd.config.kinds import Bytes, Count


class ResponsesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The Responses API, and what is kept of it."""

    enabled: bool = True
    """Whether responses and conversations are kept on this machine; off: every request stands alone."""
    keep_days: Count = 30
    """What was not used for so long is deleted."""
    max_bytes: Bytes = 1024 * 1024 * 1024
    """Room for all of it; beyond it what was used least recently is deleted."""
    max_history_bytes: Bytes = 32 * 1024 * 1024
    """Largest history that a request may bring along by `previous_response_id` or `conversation`."""
    max_background: Count = 8
    """Responses made at once in the background (`background`); others wait."""
    hosted_tools: Literal["default", "refuse", "drop"] = "default"
    """Tools that only OpenAI's servers can run, for other services. "default": web searches and image generation are
    left out beside tools of the client's own, anything else is refused; "refuse" all; "drop" all."""
